"""Several runs of one plan together, for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from orchestrator.report.power_words import share
from orchestrator.report.sheet import STYLES, sheet
from orchestrator.report.words import SYMBOLS, printable
from steady_state.pooling import Passes, Pool, PooledCell, PooledRecovery, Recovery
from steady_state.verdict import Verdict

FEWEST = 6
"""Fewer values cannot enclose their median with 95 % confidence, whatever their distribution."""


def pooled(pool: Pool, *, colour: bool | None = None) -> str:
    """Runs, recovery times, pass probabilities; those that are not all PASS are told with their colour."""
    parts: list[RenderableType] = [
        Text(_title(pool), style="bold"),
        *_runs(pool),
        "",
        Text("Recovery time of each fault, over the runs that could tell it", style="bold"),
        _recoveries(pool),
        *_too_few(pool),
        "",
        Text("Pass probability (95% interval, Clopper-Pearson); INCONCLUSIVE is neither PASS nor FAIL", style="bold"),
        _passes(pool),
        "",
        Text(_in_words(pool.whole)),
    ]
    return sheet(parts, colour=colour)


def _title(pool: Pool) -> str:
    verdict = pool.verdict.value
    return f"{SYMBOLS[verdict]} {verdict}, the worst of {len(pool.runs)} runs: {printable(pool.title)}"


def _runs(pool: Pool) -> Iterable[Text]:
    for run, verdict in pool.runs:
        yield Text.assemble("  ", (f"{verdict.value:12}", STYLES[verdict.value]), f" {printable(run)}")


def _recoveries(pool: Pool) -> Table:
    table = _table("fault", "runs", "INCONCL.", "median", "range", "median of all runs to come, 95%")
    for one in pool.recoveries:
        table.add_row(*_texts(one.fault, str(len(one.times)), str(one.unjudged), *_figures(one)))
    return table


def _figures(one: PooledRecovery) -> tuple[str, str, str]:
    if one.median is None:
        return ("–", "–", "–")
    interval = one.interval
    enclosed = f"{_time(interval[0])} to {_time(interval[1])}" if interval else "too few runs"
    return (_time(one.median), f"{_time(one.times[0])} to {_time(one.times[-1])}", enclosed)


def _time(recovery: Recovery) -> str:
    return f"{'more than ' if recovery.unseen else ''}{recovery.seconds:.1f} s"


def _too_few(pool: Pool) -> Iterable[Text]:
    if any(one.interval is None for one in pool.recoveries):
        yield Text(f"Fewer than {FEWEST} recovery times are too few for a 95% interval of their median, so the range stands alone.")


def _passes(pool: Pool) -> Table:
    """Cells of one fault with the same counts share a row."""
    table = _table("fault", "criteria", "PASS of judged", "INCONCL.", "pass probability")
    table.add_row("all", "the whole run", *_count(pool.whole))
    for (fault, passes), criteria in _together(pool.cells).items():
        table.add_row(*_texts(fault, ", ".join(criteria)), *_count(passes))
    return table


def _together(cells: Iterable[PooledCell]) -> dict[tuple[str, Passes], list[str]]:
    found: dict[tuple[str, Passes], list[str]] = {}
    for cell in cells:
        found.setdefault((cell.fault, cell.passes), []).append(cell.criterion)
    return found


def _count(passes: Passes) -> tuple[Text, str, str]:
    worst = Verdict.FAIL if passes.passed < passes.judged else Verdict.INCONCLUSIVE if passes.inconclusive else Verdict.PASS
    return (Text(f"{passes.passed} of {passes.judged}", style=STYLES[worst.value]), str(passes.inconclusive), _interval(passes))


def _interval(passes: Passes) -> str:
    low, high = passes.interval
    return f"{share(low)} to {share(high)}" if passes.judged else "nothing judged"


def _in_words(whole: Passes) -> str:
    if not whole.judged:
        return "No run was PASS or FAIL: nothing is known of how often this platform passes."
    apart = f"; {whole.inconclusive} INCONCLUSIVE not counted" if whole.inconclusive else ""
    return f"{whole.passed} of {whole.judged} runs passed: between {_interval(whole).replace(' to ', ' and ')} of runs to come{apart}."


def _texts(*words: str) -> Iterator[Text]:
    """As text, never as markup."""
    yield from (Text(printable(word)) for word in words)


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        table.add_column(column)
    return table
