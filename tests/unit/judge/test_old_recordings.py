"""Recordings outlive versions: what was written is read for ever, what a later version wrote is refused in a sentence."""

from __future__ import annotations

import json
import lzma
from pathlib import Path

import pytest

from steady_state.document import document
from steady_state.history import History
from steady_state.judge import judge
from steady_state.observations import SCHEMA_VERSION
from steady_state.recording import RecordingError, read_recording

RECORDINGS = Path(__file__).resolve().parents[1] / "recordings"


def lines_of(name: str) -> list[str]:
    with lzma.open(RECORDINGS / name, "rt", encoding="utf-8") as file:
        return file.readlines()


def test_a_recording_of_schema_1_is_judged_as_when_it_was_written() -> None:
    """One real pod kill on the sandbox on 2026-11-27, by the commit before `shares_our_machine` was in the plan: PASS in 13 cells."""
    report = document(judge(History(read_recording(lines_of("schema-1.jsonl.xz")))))
    assert (report["verdict"], report["lost_lines"]) == ("PASS", [])
    assert report["counts"] == {"PASS": 13, "INCONCLUSIVE": 0, "FAIL": 0}
    recovery = next(cell for cell in report["cells"] if (cell["fault"], cell["criterion"]) == ("pod-kill", "recovery_time"))
    assert recovery["measured"] == pytest.approx(3.733)


def test_a_recording_of_a_later_schema_is_refused_with_the_fix() -> None:
    first = json.loads(lines_of("schema-1.jsonl.xz")[0])
    assert first["kind"] == "run"
    later = json.dumps(first | {"schema_version": SCHEMA_VERSION + 1, "something": "new"})
    with pytest.raises(
        RecordingError,
        match=f"schema version {SCHEMA_VERSION + 1}, this orchestrator reads up to {SCHEMA_VERSION}: judge it with a newer one",
    ):
        read_recording([later])
