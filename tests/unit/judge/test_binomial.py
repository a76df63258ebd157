"""Binomial arithmetic against figures that can be checked by hand."""

from __future__ import annotations

import math

import pytest

from steady_state.binomial import at_least, clopper_pearson, detectable, median_rank, passes_needed


def test_at_least_counts_coins() -> None:
    assert at_least(2, 3, 0.5) == pytest.approx(4 / 8)
    assert at_least(1, 3, 0.5) == pytest.approx(7 / 8)
    assert at_least(3, 3, 0.5) == pytest.approx(1 / 8)
    assert at_least(0, 3, 0.5) == 1
    assert at_least(4, 3, 0.5) == 0
    assert (at_least(1, 3, 0.0), at_least(3, 3, 1.0)) == (0, 1)


def test_at_least_is_steady_over_a_million_tries() -> None:
    # 1 - exp(-1), the limit of Poisson.
    assert at_least(1, 1_000_000, 1e-6) == pytest.approx(1 - math.exp(-1), abs=1e-6)
    assert at_least(999_999, 1_000_000, 1 - 1e-6) == pytest.approx(2 * math.exp(-1), abs=1e-6)


def test_one_pass_leaves_almost_everything_possible() -> None:
    assert clopper_pearson(1, 1) == (pytest.approx(0.025), 1.0)
    assert clopper_pearson(0, 1) == (0.0, pytest.approx(0.975))
    assert clopper_pearson(0, 0) == (0.0, 1.0)


def test_all_of_n_is_the_nth_root() -> None:
    low, high = clopper_pearson(10, 10)
    assert low == pytest.approx(0.025 ** (1 / 10))  # 69.15 %
    assert high == 1.0


def test_nine_of_ten_is_the_figure_of_the_tables() -> None:
    assert clopper_pearson(9, 10) == (pytest.approx(0.5550, abs=1e-4), pytest.approx(0.9975, abs=1e-4))
    assert clopper_pearson(1, 10) == (pytest.approx(0.0025, abs=1e-4), pytest.approx(0.4450, abs=1e-4))


def test_detectable_is_where_the_chance_is_reached() -> None:
    # With one success wanted: 1 - (1 - p)^n = 0.95, so p = 1 - 0.05^(1/n).
    assert detectable(1, 100) == pytest.approx(1 - 0.05 ** (1 / 100))
    two = detectable(2, 1000)
    assert two is not None
    none_or_one = (1 - two) ** 1000 + 1000 * two * (1 - two) ** 999
    assert none_or_one == pytest.approx(0.05)
    assert detectable(2, 1) is None


def test_the_median_lies_between_the_ends_of_six() -> None:
    assert [median_rank(values) for values in (0, 1, 5, 6, 8, 9, 12, 15)] == [None, None, None, 1, 1, 2, 3, 4]


def test_passes_needed_is_the_first_that_suffices() -> None:
    needed = passes_needed(0.9)
    assert needed == 36
    assert clopper_pearson(needed, needed)[0] >= 0.9 > clopper_pearson(needed - 1, needed - 1)[0]
