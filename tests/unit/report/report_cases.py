"""Reports of synthetic runs for the tests of the renderings: one that holds, one that fails, one that proves nothing."""

from __future__ import annotations

import copy
import json
from functools import cache
from typing import Any

import synthetic

from orchestrator.report.writing import report_text
from steady_state import observations as obs
from steady_state.judge import Judgement
from steady_state.outcomes import Outcome

HOSTILE = '<script>alert("x")</script> | a `b` *c* \x00\x1b[31m red'
"""What a platform may answer: markup of every kind, and control characters."""


@cache
def healthy() -> Judgement:
    return synthetic.healthy().judged()


@cache
def failing() -> Judgement:
    """Content is down for two seconds after the pod kill, half of search fails, and one breaker never opens."""
    run = synthetic.healthy().with_failures("content", 41.0, 43.0).with_failures("search", 41.5, 47.5, every=2)
    run = run.with_breaker(synthetic.PUBNUB_BREAKER, "sync-0")
    number = run.load["load"].first_at_or_after("content", synthetic.MINUTE_0 + 41.0)
    exemplar = obs.ExemplarLine(
        t=run.load["load"].due("content", number),
        source="load",
        route="content",
        number=number,
        outcome=Outcome.SERVER_ERROR,
        status=503,
        detail=HOSTILE,
        served_by="api-gateway-0",
    )
    return run.with_line(exemplar).judged()


@cache
def inconclusive() -> Judgement:
    """The flush was not felt, one cell does not apply, and an operator left a note."""
    run = synthetic.healthy().without_step("cache_flush", "proof").with_fault("partition", not_applicable={"degradation": HOSTILE})
    return run.with_line(obs.NoteLine(t=synthetic.MINUTE_0 + 5, text=HOSTILE)).judged()


@cache
def killed() -> Judgement:
    return synthetic.healthy().killed(130.0).judged()


@cache
def never_began() -> Judgement:
    """The run ended before minute 0."""
    return synthetic.healthy().killed(-5.0).judged()


def report_of(judgement: Judgement) -> dict[str, Any]:
    """The content of `report.json` as the renderings get it."""
    content: dict[str, Any] = json.loads(report_text(judgement))
    return content


def with_hostile_strings(report: dict[str, Any]) -> dict[str, Any]:
    """The same report with markup and control characters wherever a string may come from outside."""
    changed = copy.deepcopy(report)
    changed["title"] = changed["target"] = HOSTILE
    for fault in changed["faults"]:
        fault |= {"proof": HOSTILE, "target": HOSTILE, "exposure_source": HOSTILE, "trouble": HOSTILE, "role": HOSTILE}
    for cell in changed["cells"]:
        cell["because"] = HOSTILE
        if "evidence" in cell:
            cell["evidence"] = [HOSTILE]
    changed["ended"] = {"how": "aborted", "reason": HOSTILE}
    changed["notes"] = [{"t": 1.0, "text": HOSTILE}]
    return changed
