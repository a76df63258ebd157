"""`orchestrator judge`: a recording judged again, or several of one plan together."""

from __future__ import annotations

from pathlib import Path

from orchestrator.errors import RefusedError
from orchestrator.progress import announce
from orchestrator.report import terminal
from orchestrator.report.pooled import pooled
from orchestrator.report.writing import judge_directory, report_text, write_reports
from orchestrator.run_directory import open_run_directory
from steady_state.pooling import NotPoolableError, pool
from steady_state.verdict import EXIT_CODES


def run(paths: list[Path], *, check: bool) -> int:
    """The exit code of the verdict; with `check`, 1 when another report would be written. Raises RefusedError or RecordingError."""
    if len(paths) > 1:
        return _pool(paths, check=check)
    (path,) = paths
    directory = open_run_directory(path)
    if check:
        if not directory.report.is_file():
            raise RefusedError(f"{directory.report} is not there, so there is nothing to compare with: leave --check out to write it")
        same = directory.report.read_text(encoding="utf-8") == report_text(judge_directory(directory))
        said = "the recording gives the same report" if same else "the recording gives ANOTHER report"
        announce(f"{directory.report}: {said}", to_stdout=True)
        return 0 if same else 1
    try:
        report = write_reports(directory)
    except OSError as error:
        raise RefusedError(f"the reports cannot be written: {error.filename or directory.path}: {error.strerror}") from error
    announce(terminal.grid(report), to_stdout=True)
    announce(f"verdict={report['verdict']} exit={report['exit_code']} run={path}", to_stdout=True)
    return int(report["exit_code"])


def _pool(paths: list[Path], *, check: bool) -> int:
    """Several runs of one plan together; the exit code is that of the worst. Raises RefusedError when they are not of one plan."""
    if check:
        raise RefusedError("--check compares one run with its report.json; give it one run directory")
    try:
        found = pool([judge_directory(open_run_directory(path)) for path in paths])
    except NotPoolableError as error:
        raise RefusedError(str(error)) from error
    code = EXIT_CODES[found.verdict]
    announce(pooled(found), to_stdout=True)
    announce(f"verdict={found.verdict.value} exit={code} runs={len(found.runs)}", to_stdout=True)
    return code
