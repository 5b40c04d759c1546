"""A folder as an operator has it, and ``ostiary`` run on it in this process."""

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli import main
from gateway.store.opening import open_store

ROOT = Path(__file__).parents[2]
MODEL = (ROOT / "policies" / "model.conf").read_text()
RULES = """\
p, role:user, main, self, git/*, write, , allow
p, role:user, main, self, slack/post, write, args.channel in ['#help'], allow
p, *, *, *, *, write, tool.destructive, deny
p, role:security, main, system, gateway/policy, manage, , allow
"""
UPSTREAMS = """\
[upstreams.git]
command = ["nowhere/mcp-server-git"]
[upstreams.git.tools]
"*" = "write"
git_reset = "destructive"
"""


@dataclass
class Site:
    root: Path

    def ostiary(self, *words: str, input: str = "", **environ: str) -> Result:
        clean = {
            "MONGODB_URI": None,
            "PORT": None,
            "MCP_ADMIN_EMAIL": None,
            "OSTIARY_CONFIG": None,
            "OSTIARY_TRACE": None,
        }
        return CliRunner(env={**clean, **environ}).invoke(
            main, ["--config", str(self.root / "config"), *words], input=input
        )

    def fine(self, *words: str, **more: str) -> str:
        """What the command wrote to standard output; it must have ended well."""
        result = self.ostiary(*words, **more)
        assert result.exit_code == 0, result.output
        return result.stdout

    def json(self, *words: str):
        return json.loads(self.fine(*words, "--json"))

    def wrong(self, *words: str, code: int = 1, **more: str) -> str:
        """What the command wrote to standard error; it must have ended badly, without a trace."""
        result = self.ostiary(*words, **more)
        assert result.exit_code == code, result.output
        assert "Traceback" not in result.output
        return result.stderr

    def store(self):
        return open_store(str(self.root / "var" / "ostiary.db"))

    def with_store(self, work):
        """What ``work`` gives for the open store."""

        async def opened():
            store = self.store()
            await store.open()
            try:
                return await work(store)
            finally:
                await store.close()

        return asyncio.run(opened())

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o644)
        return path


@pytest.fixture
def site(tmp_path):
    site = Site(tmp_path / "site")
    site.write("config/ostiary.toml", "")
    site.write("config/upstreams.toml", UPSTREAMS)
    site.write("policies/model.conf", MODEL)
    site.write("policies/rules.csv", RULES)
    return site
