"""Power: the shortest outage and the smallest error rate that this load and these samplers could have seen.

A green cell says no more than that nothing was seen; these numbers say what would have been. They are no criterion.
Source: an exact binomial for rates, the plan of the arrivals for outages; failures are taken as independent of each other.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from steady_state.binomial import CONFIDENCE, clopper_pearson, detectable
from steady_state.history import History
from steady_state.instants import HAIR_S, Span
from steady_state.judge import BASELINE, Judgement
from steady_state.judged_plan import Limits
from steady_state.rates import rate
from steady_state.verdict import Verdict
from steady_state.windows import Window

Power = dict[str, Any]
SEEN = 2
"""Fewer failures are an accident: FAIL needs at least two. Source: design 6."""
TENTH_S = 0.1
"""Downtime is judged to 0.1 s, half up. Source: design 6."""


def power(judgement: Judgement) -> Power:
    """Key `power` of `report.json`: outages by route, error rates by window, and what one verdict says of the next run."""
    history = judgement.history
    windows: dict[str, Power] = {}
    if history.started:
        windows[BASELINE] = _baseline(history, history.baseline)
        windows |= {window.name: _window(window) for window in judgement.windows}
    return {
        "chance": CONFIDENCE,
        "outages": {route: outage for route in history.plan.routes if (outage := _outage(history, route)) is not None},
        "windows": windows,
        "pass_probability": pass_probability([judgement.verdict]),
    }


def pass_probability(verdicts: Iterable[Verdict]) -> list[float] | None:
    """The 95 % interval of the probability that a run passes (Clopper-Pearson); None where no run was PASS or FAIL."""
    judged = [verdict for verdict in verdicts if verdict is not Verdict.INCONCLUSIVE]
    if not judged:
        return None
    return [round(end, 4) for end in clopper_pearson(judged.count(Verdict.PASS), len(judged))]


def certain_outage_s(rates_per_s: Iterable[float], row: int) -> float:
    """The shortest outage that is certain to hold `row` requests due in a row, whatever its phase to the even arrivals.

    A stretch of length L holds at least floor(L x rate) arrivals of each source. Raises ValueError without a source.
    """
    rates = list(rates_per_s)
    candidates = sorted(count / rate_per_s for rate_per_s in rates for count in range(1, row + 1))
    for length in candidates:
        if sum(math.floor(length * rate_per_s + HAIR_S) for rate_per_s in rates) >= row:
            return length
    raise ValueError("no source of requests")


def _outage(history: History, route: str) -> Power | None:
    """Load and outside probe together. None for a route that nobody asked for."""
    rates = [plan.routes[route].rate_per_s for plan in history.recording.load_plans.values() if route in plan.routes]
    if not rates:
        return None
    limits = history.limits
    seen_s = certain_outage_s(rates, limits.downtime_row)
    # It is measured from the first request due in it, which may be one arrival late.
    failed_s = max(seen_s, limits.downtime_s - TENTH_S / 2 + 1 / max(rates))
    return {"requests_per_s": round(sum(rates), 3), "seen_s": round(seen_s, 4), "failed_s": round(failed_s, 4)}


def _baseline(history: History, span: Span) -> Power:
    return {"during": None, "after": _after(history, span), "routes": _routes(history, span)}


def _window(window: Window) -> Power:
    history, limits = window.history, window.history.limits
    worst = Span(window.injected, min(window.end, window.injected + limits.worst_window_s))
    during = _rate(rate(history, worst).counted, limits.error_ratio_during)
    after = _after(history, Span(window.settled, window.end)) if window.settled is not None and window.settled < window.end else None
    return {"during": during, "after": after, "routes": _routes(history, window.span)}


def _after(history: History, span: Span) -> Power:
    limits: Limits = history.limits
    return _rate(rate(history, span).counted, limits.error_ratio_after)


def _routes(history: History, span: Span) -> dict[str, Power]:
    """Each route of the load over the whole window."""
    return {route.route: _rate(rate(history, span, [route.route]).counted, None) for route in history.load()}


def _rate(counted: int, limit: float | None) -> Power:
    """The smallest true error rates that show two failures, and that break the limit, with 95 % probability."""
    found: Power = {"counted": counted, "seen_ratio": _rounded(detectable(SEEN, counted))}
    if limit is not None:
        found["failed_ratio"] = _rounded(detectable(max(SEEN, math.ceil(limit * counted - HAIR_S)), counted))
    return found


def _rounded(ratio: float | None) -> float | None:
    return None if ratio is None else round(ratio, 6)
