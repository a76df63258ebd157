"""The signal test's cases: every signal meets every phase, and every Python meets each of both."""

from __future__ import annotations

from itertools import product

from accuracy.signals.cases import FIVE, LATE, PHASES, SIGNALS, cases


def test_every_pair_of_signal_phase_and_python_is_met() -> None:
    found = cases(["a", "b", "c"])
    assert len(found) == 33
    assert {(one.name, one.moment) for one in found} >= set(product(SIGNALS, PHASES))
    assert {(one.name, one.python) for one in found} == set(product(SIGNALS, "abc"))
    assert {(one.moment, one.python) for one in found} >= set(product(PHASES, "abc"))
    assert [(one.name, one.moment) for one in found[-3:]] == list(LATE)


def test_one_python_is_enough() -> None:
    assert {one.python for one in cases(["a"])} == {"a"}


def test_five_in_a_row_are_of_three_kinds() -> None:
    assert len(FIVE) == 5
    assert len(set(FIVE)) == 3
