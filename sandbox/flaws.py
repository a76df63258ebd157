"""Planted defects of the platform: each a row of settings, with the cell of the verdict that it must turn."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from sandbox.settings import Settings

NEVER = 1_000_000


class UnknownFlawError(Exception):
    """No flaw has this name; the text lists those that there are."""


@dataclass(frozen=True, slots=True)
class Flaw:
    """One defect. `fault` and `criterion` name the cell that must turn to `expected`; `may_follow` are cells that may turn with it."""

    name: str
    summary: str
    fault: str
    criterion: str
    expected: str
    settings: dict[str, int | float | bool] = field(default_factory=dict)
    may_follow: tuple[tuple[str, str], ...] = ()
    experiment: str = ""


def _cells(fault: str, *criteria: str) -> tuple[tuple[str, str], ...]:
    return tuple((fault, criterion) for criterion in criteria)


FLAWS: tuple[Flaw, ...] = (
    Flaw(
        name="one-replica",
        summary="discovery runs as one pod, so that killing it is an outage until its replacement is ready",
        fault="pod-kill",
        criterion="zero_downtime",
        expected="FAIL",
        settings={"discovery_replicas": 1},
        may_follow=_cells("pod-kill", "error_rate_during", "degradation", "recovery_time", "breakers", "error_rate_after"),
        experiment="experiments/flaws/pod-kill.json",
    ),
    Flaw(
        name="breaker-never-opens",
        summary="sync's breaker for PubNub needs a million failures in a row, so that it never opens",
        fault="pubnub-partition",
        criterion="breakers",
        expected="FAIL",
        settings={"pubnub_breaker_failures": NEVER},
        may_follow=_cells("pubnub-partition", "degradation", "amplification"),
        experiment="experiments/flaws/partition.json",
    ),
    Flaw(
        name="breaker-never-closes",
        summary="sync's breaker for PubNub stays open for an hour, so that it is open long after PubNub is back",
        fault="pubnub-partition",
        criterion="breakers",
        expected="FAIL",
        settings={"pubnub_breaker_open_s": 3600.0},
        may_follow=_cells("pubnub-partition", "recovery_time", "degradation", "error_rate_after", "delivery"),
        experiment="experiments/flaws/partition.json",
    ),
    Flaw(
        name="retry-storm",
        summary="sync tries every publish twenty times without a pause, and its breaker does not stop it",
        fault="pubnub-partition",
        criterion="amplification",
        expected="FAIL",
        settings={"pubnub_tries": 20, "pubnub_backoff_s": 0.0, "pubnub_breaker_failures": NEVER},
        may_follow=_cells("pubnub-partition", "breakers", "degradation"),
        experiment="experiments/flaws/partition.json",
    ),
    Flaw(
        name="no-fallback",
        summary="discovery has neither keyword search nor last-known answers when Qdrant is away",
        fault="qdrant-partition",
        criterion="error_rate_during",
        expected="FAIL",
        settings={"discovery_keyword_fallback": False, "discovery_stale_fallback": False},
        may_follow=_cells("qdrant-partition", "zero_downtime", "degradation", "breakers", "recovery_time", "error_rate_after"),
        experiment="experiments/flaws/qdrant-partition.json",
    ),
    Flaw(
        name="fallback-not-marked",
        summary="discovery answers from its fallbacks without saying so",
        fault="qdrant-partition",
        criterion="degradation",
        expected="FAIL",
        settings={"discovery_marks_degraded": False},
        experiment="experiments/flaws/qdrant-partition.json",
    ),
    Flaw(
        name="no-failover",
        summary="a service whose replica is away tries neither another replica nor the primary",
        fault="replica-failure",
        criterion="error_rate_during",
        expected="FAIL",
        settings={"replica_failover": False},
        may_follow=_cells("replica-failure", "zero_downtime", "degradation", "breakers", "recovery_time", "error_rate_after"),
        experiment="experiments/flaws/replica-failure.json",
    ),
)


def settings(names: Iterable[str]) -> Settings:
    """The platform's settings with these flaws planted. Raises UnknownFlawError."""
    values: dict[str, int | float | bool] = {}
    for name in names:
        values |= _flaw(name).settings
    return Settings(**values)  # type: ignore[arg-type]


def as_json() -> list[dict[str, Any]]:
    """All flaws as plain data."""
    return [asdict(flaw) | {"may_follow": [{"fault": fault, "criterion": one} for fault, one in flaw.may_follow]} for flaw in FLAWS]


def _flaw(name: str) -> Flaw:
    found = next((flaw for flaw in FLAWS if flaw.name == name), None)
    if found is None:
        raise UnknownFlawError(f"no flaw is called {name!r}; these are known: {', '.join(flaw.name for flaw in FLAWS)}")
    return found
