"""The recorder: lines are numbered without holes whoever writes them, and what cannot be written is an error."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from orchestrator.errors import HarnessError
from orchestrator.recorder import Recorder
from steady_state.observations import FaultLine, NoteLine


def note(t: float = 1.0) -> NoteLine:
    return NoteLine(t=t, text="something")


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_many_threads_leave_no_hole_and_no_torn_line(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "recording.jsonl")

    def write(thread: int) -> None:
        for number in range(100):
            recorder.record(FaultLine(t=number, fault=f"thread {thread}", phase="proof") if number % 50 == 0 else note(number))

    threads = [threading.Thread(target=write, args=(thread,)) for thread in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept = recorder.kept()
    recorder.close()
    assert [line["seq"] for line in lines(recorder.path)] == list(range(800))
    assert [line.seq for line in kept] == list(range(800))


def test_a_line_is_on_disk_when_record_returns(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "recording.jsonl")
    recorder.record(note())
    assert len(lines(recorder.path)) == 1
    recorder.close()


def test_after_forget_nothing_is_kept_in_memory(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "recording.jsonl")
    recorder.record(note())
    recorder.forget()
    recorder.record(note())
    assert recorder.kept() == []
    recorder.close()
    assert len(lines(recorder.path)) == 2


def test_a_full_disk_is_our_error() -> None:
    recorder = Recorder(Path("/dev/full"))
    with pytest.raises(HarnessError, match="cannot be written"):
        recorder.record(note())
    assert recorder.kept() == []
    with pytest.raises(HarnessError):
        recorder.close()
    recorder.close()


def test_a_line_after_the_end_is_our_error(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "recording.jsonl")
    recorder.close()
    recorder.close()
    with pytest.raises(HarnessError):
        recorder.record(note())
