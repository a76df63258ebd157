"""Words for people: what they cannot be told must not stop the run."""

from __future__ import annotations

import io
import sys

import pytest

from orchestrator.progress import announce


class Gone(io.StringIO):
    """A terminal that was closed."""

    def write(self, _text: str) -> int:
        raise OSError(5, "Input/output error")


def test_results_go_to_stdout_and_the_rest_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    announce("news")
    announce("verdict=PASS", to_stdout=True)
    told = capsys.readouterr()
    assert (told.out, told.err) == ("verdict=PASS\n", "news\n")


def test_a_terminal_that_is_gone_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    closed.close()
    for stream in (Gone(), closed):
        monkeypatch.setattr(sys, "stderr", stream)
        announce("news")
