"""What the process itself is given before it serves."""

import subprocess
import sys


def test_the_limit_of_open_files_is_raised_to_what_the_system_allows():
    code = (
        "import resource; from gateway.cli.running import allow_many_files;"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]));"
        "allow_many_files(); soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE); print(soft == hard)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip() == "True"
