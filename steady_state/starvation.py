"""A machine with no time to spare: what fails on it is not to be laid at the platform's door while both run on it.

Definition and numbers are ADR 0018.
"""

from __future__ import annotations

from steady_state.history import History
from steady_state.instants import Span

FULL_RATIO = 0.97
"""Work and steal together; the kernel's idle time is never counted to the last tick."""
FULL_SHARE = 0.25
"""Share of the seconds. A pod that starts fills two cores for one or two seconds of the 28 that a window has at least."""


def starved(history: History, span: Span) -> str:
    """Why a failure in this span may be the machine's doing; empty where it cannot be."""
    if not history.plan.shares_our_machine:
        return ""
    seconds = [line for line in history.recording.hosts if span.contains(line.t)]
    full = [line for line in seconds if line.busy_ratio + line.steal_ratio >= FULL_RATIO]
    if not full or len(full) < FULL_SHARE * span.length_s:
        return ""
    steal = max(line.steal_ratio for line in full)
    return (
        f"the machine on which platform and orchestrator run had no time to spare in {len(full)} of {span.length_s:.0f} s "
        f"(CPU steal up to {steal:.0%})"
    )
