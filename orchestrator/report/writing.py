"""From the recording in a run directory to every report of it. The one module here that touches files."""

from __future__ import annotations

import atexit
import json
import logging
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from orchestrator.report.explanations import explanations
from orchestrator.report.junit import junit_xml
from orchestrator.report.markdown import markdown
from orchestrator.report.page import page
from orchestrator.report.picture import picture
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
    """Judge and write all reports, the machine's first. Returns the content of `report.json`."""
    judgement = judge_directory(directory)
    text = report_text(judgement)
    directory.save("report.json", text)
    report: dict[str, Any] = json.loads(text)
    reasons = explanations(judgement)
    directory.save("junit.xml", junit_xml(report))
    directory.save("report.md", markdown(report, reasons))
    directory.save("report.html", page(report, reasons, _picture(judgement)))
    return report


def _picture(judgement: Judgement) -> str:
    """The picture, or the words that stand in its place."""
    os.environ.setdefault("MPLCONFIGDIR", str(_font_cache()))
    try:
        return picture(judgement)
    except Exception as error:  # noqa: BLE001 - the named edge: a picture that cannot be drawn must not cost the verdict
        trouble = f"The picture could not be drawn: {type(error).__name__}: {error}"
        logging.getLogger(__name__).error(trouble)
        return trouble


def _font_cache() -> Path:
    """Where matplotlib keeps its list of fonts: in our cache, or nowhere for long where that cannot be written."""
    try:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        kept = base / "chaos-orchestrator" / "matplotlib"
        kept.mkdir(parents=True, exist_ok=True)
        if os.access(kept, os.W_OK):
            return kept
    except (OSError, RuntimeError):
        pass  # no home, or one that cannot be written, costs only the second that the list takes each time
    fleeting = Path(tempfile.mkdtemp(prefix="chaos-orchestrator-"))
    atexit.register(shutil.rmtree, fleeting, ignore_errors=True)
    return fleeting
