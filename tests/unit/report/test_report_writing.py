"""All reports of a run directory: what is written, in what order it can fail, and that nothing depends on chance."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import synthetic

from orchestrator.report import writing
from orchestrator.run_directory import RunDirectory

FILES = ["junit.xml", "recording.jsonl", "report.html", "report.json", "report.md"]


@pytest.fixture
def directory(tmp_path: Path) -> RunDirectory:
    run = synthetic.healthy().with_failures("search", 41.5, 47.5, every=2)
    (tmp_path / "recording.jsonl").write_text("\n".join(run.texts()) + "\n", encoding="utf-8")
    return RunDirectory(tmp_path)


def contents(directory: RunDirectory) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.path.iterdir()}


def test_all_reports_are_written_and_report_json_is_returned(directory: RunDirectory) -> None:
    report = writing.write_reports(directory)
    assert sorted(contents(directory)) == FILES
    assert report == json.loads(directory.report.read_text(encoding="utf-8"))
    assert "<svg" in (directory.path / "report.html").read_text(encoding="utf-8")


def test_another_process_with_other_hashes_writes_the_same_bytes(directory: RunDirectory) -> None:
    writing.write_reports(directory)
    here = contents(directory)
    program = (
        "import sys; from pathlib import Path; from orchestrator.report.writing import write_reports;"
        "from orchestrator.run_directory import RunDirectory; write_reports(RunDirectory(Path(sys.argv[1])))"
    )
    environment = os.environ | {"PYTHONHASHSEED": "4711"}
    subprocess.run([sys.executable, "-c", program, str(directory.path)], env=environment, check=True, timeout=60)
    assert contents(directory) == here


def test_a_picture_that_cannot_be_drawn_costs_only_the_picture(
    directory: RunDirectory, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_judgement: object) -> str:
        raise ImportError("no matplotlib")

    monkeypatch.setattr(writing, "picture", broken)
    assert writing.write_reports(directory)["verdict"] == "FAIL"
    assert "The picture could not be drawn: ImportError: no matplotlib" in (directory.path / "report.html").read_text(encoding="utf-8")
    assert "no matplotlib" in caplog.text


def test_fonts_are_kept_in_our_cache_or_for_this_process_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert writing._font_cache() == tmp_path / "chaos-orchestrator" / "matplotlib"
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    fleeting = writing._font_cache()
    assert fleeting.is_dir()
    assert tmp_path not in fleeting.parents
    fleeting.rmdir()
