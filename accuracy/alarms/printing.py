"""The measurement in words: what was looked at in every alarm, then the shares, the figure last."""

from __future__ import annotations

from accuracy.alarms.counting import GROUPS, Summary
from accuracy.alarms.looking import Alarm
from steady_state.verdict import Verdict

SHOWN = 40
"""More alarms than this are only counted here; all of them stand in the results file."""
NAMES = {"placebo": "placebo cells of runs without faults", "healthy": "cells of healthy runs with all faults"}


def words(summary: Summary) -> str:
    """All that is said at the end."""
    alarms = summary.alarms
    lines = [line for alarm in alarms[:SHOWN] for line in alarm_lines(alarm)]
    if len(alarms) > SHOWN:
        lines.append(f"... and {len(alarms) - SHOWN} more cells that are not PASS, all in the results file")
    for group in GROUPS:
        for verdict in (Verdict.FAIL, Verdict.INCONCLUSIVE):
            lines.append(f"{verdict.value} among {NAMES[group]}: {summary.cells(group, verdict).words}")
            lines.append(f"  runs with one or more, which alone are independent: {summary.runs(group, verdict).words}")
    lines += [f"not measured: {sentence}" for sentence in summary.trouble]
    return "\n".join([*lines, figure(summary)])


def alarm_lines(alarm: Alarm) -> list[str]:
    """One cell that is not PASS, and what was looked at."""
    placebo = f" placebo {alarm.placebo}" if alarm.placebo else ""
    first = (
        "no failing request" if alarm.first_failing is None else ", ".join(f"{key} {value}" for key, value in alarm.first_failing.items())
    )
    steal = "not recorded" if alarm.steal_ratio is None else f"{alarm.steal_ratio:.1%} at most"
    return [
        f"{alarm.verdict.value} {alarm.run}{placebo} {alarm.fault}/{alarm.criterion}: {alarm.because}",
        f"  first failing request: {first}; CPU steal around it: {steal}",
        *(f"  {reason}" for reason in alarm.reasons),
    ]


def figure(summary: Summary) -> str:
    """The one line that counts."""
    parts = [
        f"{group} {summary.cells(group, Verdict.FAIL).count} FAIL and {summary.cells(group, Verdict.INCONCLUSIVE).ratio:.2%} INCONCLUSIVE "
        f"of {summary.cells(group, Verdict.FAIL).of} cells in {summary.runs(group, Verdict.FAIL).of} runs"
        for group in GROUPS
    ]
    return f"aa: {'; '.join(parts)}: goal {'met' if summary.met else 'NOT met'}"
