"""Steadiness before the method: 100 requests are due in a second, and the last ten seconds before minute 0 are looked at."""

import pytest
from synthetic import MINUTE_0, Synthetic, healthy

from steady_state.instants import Span
from steady_state.outcomes import Outcome
from steady_state.steadiness import unsteady

LOOK = Span(MINUTE_0 - 10.0, MINUTE_0)


def reasons(run: Synthetic) -> list[str]:
    return unsteady(run.history(), LOOK)


def test_a_quiet_platform_is_steady() -> None:
    assert reasons(healthy()) == []


@pytest.mark.parametrize(("count", "said"), [(5, []), (6, ["6 of 1000 requests got a 4xx"])])
def test_what_the_load_is_always_refused_does_not_keep_a_run_from_starting(count: int, said: list[str]) -> None:
    """Half a per cent of 4xx may be there at the baseline (ADR 0015): 5 of 1,000, not 6."""
    assert reasons(healthy().with_count("search", -9.0, count, Outcome.CLIENT_ERROR)) == said


def test_half_a_per_cent_of_failures_does() -> None:
    assert reasons(healthy().with_count("search", -9.0, 4)) == []
    assert reasons(healthy().with_count("search", -9.0, 5, every=5)) == ["5 of 1000 requests failed"]
