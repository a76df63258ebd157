"""From the recording in a run directory to every report of it."""

from __future__ import annotations

import json
from typing import Any

from orchestrator.run_directory import RunDirectory
from steady_state.document import document
from steady_state.history import History
from steady_state.judge import Judgement, judge
from steady_state.recording import read_recording


def judge_directory(directory: RunDirectory) -> Judgement:
    """Judge the recording again. Raises RecordingError."""
    with directory.recording.open(encoding="utf-8", errors="replace") as lines:
        return judge(History(read_recording(lines)))


def report_text(judgement: Judgement) -> str:
    """`report.json`, byte for byte the same for the same recording."""
    return json.dumps(document(judgement), indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n"


def write_reports(directory: RunDirectory) -> dict[str, Any]:
    """Judge and write all reports. Returns the content of `report.json`."""
    judgement = judge_directory(directory)
    text = report_text(judgement)
    directory.save("report.json", text)
    report: dict[str, Any] = json.loads(text)
    return report
