"""`load: {engine: none}`: the platform's own traffic is not known; the outside probe alone tells downtime and recovery."""

import pytest
from synthetic import Ending, Synthetic, cell_of, healthy

from steady_state import observations as obs
from steady_state.outcomes import Outcome
from steady_state.verdict import Verdict

KNOWN = ("zero_downtime", "recovery_time", "breakers", "delivery", "validity")
UNKNOWN = ("degradation", "error_rate_during", "error_rate_after", "amplification", "state_kept")


def foreign(run: Synthetic) -> Synthetic:
    """The same run as seen without a load of ours."""
    changed = run.with_change(lambda line: [] if of_the_load(line) else [line])
    changed.plan = changed.plan.model_copy(update={"load_engine": "none"})
    return changed


def of_the_load(line: obs.Observation) -> bool:
    match line:
        case obs.LoadPlanLine():
            return line.plan.source == "load"
        case obs.TallyLine() | obs.RequestLine() | obs.LoadEndLine() | obs.ExemplarLine():
            return line.source == "load"
        case _:
            return False


@pytest.mark.parametrize("criterion", KNOWN)
def test_downtime_recovery_and_what_the_samplers_see_are_judged(criterion: str) -> None:
    assert foreign(healthy()).finding("link_latency", criterion).verdict is Verdict.PASS


@pytest.mark.parametrize("criterion", UNKNOWN)
def test_rates_are_inconclusive_by_name(criterion: str) -> None:
    finding = foreign(healthy()).finding("link_latency", criterion)

    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "the load is" in finding.because


def test_an_outage_shows_in_the_outside_probe() -> None:
    """Search fails from 85 s to 90 s: 10 requests a second of the probe."""
    judged = foreign(healthy().with_failures("search", 85.0, 90.0)).judged()

    downtime = cell_of(judged, "link_latency", "zero_downtime").finding
    recovery = cell_of(judged, "link_latency", "recovery_time").finding
    assert downtime is not None
    assert recovery is not None
    assert (downtime.verdict, downtime.measured) == (Verdict.FAIL, 5.0)
    assert recovery.verdict is Verdict.PASS


def test_recovery_is_told_by_the_outside_probe() -> None:
    """The latency ends at 92.1 s, search fails until 100 s: recovered 7.9 s after it."""
    finding = foreign(healthy().with_failures("search", 85.0, 100.0)).finding("link_latency", "recovery_time")

    assert finding.measured == pytest.approx(7.9, abs=0.2)


@pytest.mark.parametrize("outcome", [Outcome.CLIENT_ERROR, Outcome.RATE_LIMITED])
def test_a_route_that_only_refuses_is_not_known_to_be_available(outcome: Outcome) -> None:
    """Where the load is the platform's own no other criterion looks at refusals."""
    run = foreign(healthy()).with_endings("search", 60.0, 65.0, Ending(outcome, 20.0), sources=["outside"])

    found = run.finding("pod_kill", "zero_downtime")

    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.because.startswith("search answered with nothing but refusals (4xx) for 5.0 s from 60.1 s")
