"""What was seen first and where: the failing requests of the baseline and of each fault's window."""

from __future__ import annotations

from steady_state.failures import Failures, failures, request_lines
from steady_state.judge import BASELINE, Judgement

Explanations = dict[str, Failures]


def explanations(judgement: Judgement) -> Explanations:
    """Baseline and each injected fault: its failing requests; empty for a run without minute 0."""
    history = judgement.history
    if not history.started:
        return {}
    spans = {BASELINE: history.baseline} | {window.name: window.span for window in judgement.windows}
    failed = request_lines(history)
    return {name: failures(history, span, failed) for name, span in spans.items()}
