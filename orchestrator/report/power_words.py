"""What a run could have seen, and what its verdict says of the next one, in one or two sentences."""

from __future__ import annotations

from typing import Any

from orchestrator.report.words import Report
from steady_state.binomial import passes_needed

Power = dict[str, Any]
GOAL = 0.9
"""The pass probability for which the reader is told how many passes in a row would show it."""


def power_sentences(report: Report) -> list[str]:
    """Of outages and error rates, then of the verdict; none for a report without the key `power`."""
    power = report.get("power")
    if not power:
        return []
    return [sentence for sentence in (_seen(power), _proves(report["verdict"], power["pass_probability"])) if sentence]


def share(ratio: float | None) -> str:
    """A ratio with two significant digits; a dash where no number of failures would have sufficed."""
    return "–" if ratio is None else f"{float(f'{100 * ratio:.2g}'):g}%"


def _seen(power: Power) -> str:
    """The weakest of all routes and windows: what could have been seen everywhere."""
    outages = _outages(power)
    rates = _rates(power)
    if not outages and not rates:
        return "Power: nothing was asked, so nothing could have been seen."
    return f"Power: {'; '.join(part for part in (outages, rates) if part)}."


def _outages(power: Power) -> str:
    if not power["outages"]:
        return ""
    route, worst = max(power["outages"].items(), key=lambda item: item[1]["seen_s"])
    failed_s = max(one["failed_s"] for one in power["outages"].values())
    seen = f"an outage (a route answers nothing) of {worst['seen_s']:.2f} s ({route}, the quietest) is always seen"
    return f"{seen}, one of {failed_s:.2f} s always fails"


def _rates(power: Power) -> str:
    after = [window["after"] for window in power["windows"].values() if window["after"] is not None]
    if not after:
        return ""
    worst = min(after, key=lambda one: one["counted"])
    if worst["seen_ratio"] is None:
        return f"{worst['counted']} requests after a fault can show no error rate"
    return (
        f"after a fault an error rate of {share(worst['seen_ratio'])} is seen (2 failures or more) and one of "
        f"{share(worst['failed_ratio'])} fails, each with {power['chance']:.0%} probability if failures are independent "
        f"({worst['counted']:,} requests in the smallest window)"
    )


def _proves(verdict: str, interval: list[float] | None) -> str:
    if interval is None:
        return "One INCONCLUSIVE run says nothing about how often this platform passes."
    low, high = interval
    if verdict == "FAIL":
        return f"One FAIL proves that it can fail, not how often: between {share(1 - high)} and {share(1 - low)} of runs (95% interval)."
    return (
        f"One PASS proves little: a platform that passes only 1 run in {round(1 / low)} can show it (95% interval of its pass probability: "
        f"{share(low)} to {share(high)}); {passes_needed(GOAL)} passes in a row show {GOAL:.0%}: orchestrator judge runs/A runs/B ..."
    )
