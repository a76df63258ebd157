"""`orchestrator explain`: each cell that is not green on one screen, from the recording alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from orchestrator.errors import RefusedError
from orchestrator.report.sheet import STYLES, sheet
from orchestrator.report.view import beyond
from orchestrator.report.words import SYMBOLS, clipped, figure, printable, request
from orchestrator.report.writing import judge_directory
from orchestrator.run_directory import open_run_directory
from steady_state.explanation import Explanation, explain, unproven_cells
from steady_state.failures import Failures, Seen
from steady_state.judge import Cell, Judgement
from steady_state.verdict import Finding

KINDS, REASONS, EVIDENCE = 4, 5, 3
"""As many kinds of failure, reasons and lines of evidence fit on the screen."""
MOST_BECAUSE, MOST_OWN = 320, 120
"""Characters of the finding and of each reason of our own that fit there; `report.json` has the finding whole."""


def screens(path: Path, cell: str | None = None) -> str:
    """All screens of a run directory, or that of one cell. Raises RefusedError (no run there, no such cell) or RecordingError."""
    judgement = judge_directory(open_run_directory(path))
    chosen = unproven_cells(judgement) if cell is None else [_named(judgement, cell)]
    if not chosen:
        return nothing(judgement)
    return "\n\n".join(screen(explain(judgement, same[0]), [one.criterion for one in same]) for same in alike(chosen))


def alike(cells: list[Cell]) -> list[list[Cell]]:
    """Cells of one fault with the same finding share a screen (a fault that was not injected spoils all of its cells alike)."""
    groups: dict[tuple[str, Finding | None], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((cell.fault, cell.finding), []).append(cell)
    return list(groups.values())


def nothing(judgement: Judgement) -> str:
    """The sentence for a run whose cells are all green; a run that proves nothing as a whole says so here."""
    run_id = judgement.history.recording.run.run_id
    count = sum(1 for cell in judgement.cells if cell.finding is not None)
    if judgement.verdict.value == "PASS":
        return f"Nothing to explain: all {count} cells of run {run_id} are PASS."
    return f"No cell of run {run_id} needs an explanation, but the run is {judgement.verdict.value}: {_whole(judgement)}."


def _whole(judgement: Judgement) -> str:
    end = judgement.history.recording.end
    if not judgement.history.faults:
        return "its plan holds no fault"
    if judgement.history.recording.lost:
        return judgement.history.recording.lost[0]
    return f"it ended as {end.ended}{f' ({end.reason})' if end.reason else ''}" if end else "it was cut off"


def _named(judgement: Judgement, name: str) -> Cell:
    """The cell `fault/criterion`. Raises RefusedError when there is none, or when it does not apply."""
    cells = {f"{cell.fault}/{cell.criterion}": cell for cell in judgement.cells}
    found = cells.get(name)
    if found is None:
        red = [f"{cell.fault}/{cell.criterion}" for cell in unproven_cells(judgement)]
        raise RefusedError(f"no cell is called {name!r}; choose one of {', '.join(red or cells)}")
    if found.finding is None:
        raise RefusedError(f"{name} does not apply: {found.not_applicable}")
    return found


def screen(explained: Explanation, criteria: Sequence[str], *, colour: bool | None = None) -> str:
    """One cell, or several with one finding: what failed first, what each sampler saw around it, what was our own doing."""
    return sheet(_parts(explained, criteria), colour=colour)


def _parts(explained: Explanation, criteria: Sequence[str]) -> Iterator[RenderableType]:
    finding = explained.finding
    verdict = finding.verdict.value
    yield Rule(characters="─")
    yield Text(f"{printable(explained.cell.fault)} x {', '.join(criteria)}", style="bold")
    yield Text.assemble(
        (f"{SYMBOLS[verdict]} {verdict}", STYLES[verdict]), f" {printable(clipped(finding.because, MOST_BECAUSE))}{_limit(explained)}"
    )
    for line in beyond(finding.because, finding.evidence)[:EVIDENCE]:
        yield Text(f"  {printable(line)}", style="dim")
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column()
    for heading, sentences in _rows(explained):
        table.add_row(Text(heading, style="bold"), Text(printable("\n".join(sentences))))
    yield table


def _limit(explained: Explanation) -> str:
    finding = explained.finding
    if finding.limit is None or finding.measured is None:
        return ""
    return f" [{figure(finding.measured, finding.unit)}, limit {figure(finding.limit, finding.unit)}]"


def _rows(explained: Explanation) -> Iterator[tuple[str, list[str]]]:
    if explained.fault:
        yield "the fault, s", [", ".join(f"{what} {'never' if at is None else f'{at:.2f}'}" for what, at in explained.fault)]
    yield from _failing(explained.failing)
    yield "reasons of our own", list(_own(explained))
    start, end = explained.around
    yield f"{start:.1f} to {end:.1f} s", ["what each sampler saw:"]
    for sighting in explained.seen:
        yield f"  {sighting.sampler}", list(sighting.sentences)


def _failing(failing: Failures) -> Iterator[tuple[str, list[str]]]:
    if failing.first is None:
        yield "failing requests", ["none in the window of this cell"]
        return
    yield "first failing", [request(dict(failing.first))]
    healthy = "none since minute 0" if failing.last_healthy_s is None else f"second {failing.last_healthy_s}"
    yield "last healthy", [f"{healthy}; last failing request of the window {failing.last_s:.2f} s"]
    more = [f"and {len(failing.seen) - KINDS} kinds more"] if len(failing.seen) > KINDS else []
    yield "failed in all", [*(_kind(one) for one in failing.seen[:KINDS]), *more]


def _kind(one: Seen) -> str:
    status = f" {one.status}" if one.status else ""
    return f"{one.count} x {one.route} {one.outcome}{status} ({one.source}, {one.first_s:.1f} to {one.last_s:.1f} s)"


def _own(explained: Explanation) -> Iterator[str]:
    if not explained.reasons:
        yield f"none: no gap, no lag of the generator{', no CPU steal' if explained.host_seen else '; CPU steal was not recorded'}"
        return
    yield from (clipped(reason, MOST_OWN) for reason in explained.reasons[:REASONS])
    if len(explained.reasons) > REASONS:
        yield f"and {len(explained.reasons) - REASONS} more"
