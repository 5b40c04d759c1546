"""The process as a whole: what runs in the background never ends unnoticed, and what is dead is ended."""

import asyncio
import logging
from pathlib import Path

import pytest

from gateway.app import Gateway, lasting, tell_fault
from gateway.policy.terms import MAIN, Subject
from gateway.sessions import Stream, StreamClosed
from gateway.settings import load
from tests.builders import MODEL


async def test_background_work_that_ends_in_a_fault_is_told_aloud_and_begun_again(caplog: pytest.LogCaptureFixture):
    begun: list[int] = []

    async def work() -> None:
        begun.append(len(begun))
        if len(begun) < 3:
            raise RuntimeError(f"fault {len(begun)}")

    await asyncio.wait_for(lasting("the work", work, again=0), 5)
    assert begun == [0, 1, 2]
    told = [record for record in caplog.records if record.levelno == logging.CRITICAL]
    assert [record.message for record in told] == ["the work ended in a fault and is begun again"] * 2
    assert "fault 2" in caplog.text


async def test_background_work_ends_with_its_keeper():
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append("clean")

    keeper = asyncio.create_task(lasting("the work", work))
    await asyncio.sleep(0.01)
    keeper.cancel()
    await asyncio.wait({keeper}, timeout=5)
    assert keeper.cancelled()
    assert ended == ["clean"]


def test_what_nobody_caught_is_logged_without_its_words(caplog: pytest.LogCaptureFixture):
    try:
        raise BaseExceptionGroup("canary-1", [ValueError("canary-2"), KeyError("canary-3")])
    except BaseExceptionGroup as fault:
        tell_fault(None, {"message": "unhandled", "exception": fault})
    assert "canary" not in caplog.text
    for word in ("unhandled", "ExceptionGroup", "ValueError", "KeyError", "test_app.py"):
        assert word in caplog.text


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A gateway's folder with nothing behind it."""
    files = {
        "config/ostiary.toml": "[audit]\nretention_days = 1\n",
        "policies/model.conf": MODEL,
        "policies/rules.csv": "",
        "policies/limits.toml": "",
    }
    tmp_path.chmod(0o700)
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.write_text(text)
        path.chmod(0o600)
    return tmp_path


async def test_a_stream_that_opened_while_its_key_was_taken_away_ends_by_itself(folder: Path):
    gateway = Gateway(load(folder / "config", {}))
    await gateway.start()
    try:
        late = Stream(Subject("user:gone@example.com", credential="gone"), MAIN, lambda message: message)
        gateway._sessions.attach(late)
        with pytest.raises(StreamClosed):
            await late.take(10)
    finally:
        await gateway.stop()
