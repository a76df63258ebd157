"""Durations as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.durations import in_words, seconds


@pytest.mark.parametrize(
    ("written", "length_s"),
    [(90, 90), (0, 0), (1.5, 1.5), ("90", 90), ("90s", 90), ("10m", 600), ("1h", 3600), ("1.5 h", 5400), ("250ms", 0.25), (" 3m ", 180)],
)
def test_what_is_accepted(written: object, length_s: float) -> None:
    assert seconds(written) == length_s


@pytest.mark.parametrize("written", ["", "m", "10 minutes", "-5m", "1e3", "10M", "1h30m", "0x10", "nan", "inf", ".5h", "10m\n5s"])
def test_what_is_not(written: str) -> None:
    with pytest.raises(ValueError, match="is not a duration; "):
        seconds(written)


@given(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.integers()), st.dictionaries(st.text(), st.none())
    )
)
def test_anything_is_a_length_or_a_refusal(written: object) -> None:
    try:
        assert 0 <= seconds(written) <= 7 * 24 * 3600
    except ValueError as error:
        assert "; " in str(error)  # noqa: PT017 - both ends are right


@pytest.mark.parametrize(("length_s", "words"), [(240, "4 min"), (45, "45 s"), (3605, "60 min 5 s"), (0.5, "0.5 s"), (0, "0 s")])
def test_for_people(length_s: float, words: str) -> None:
    assert in_words(length_s) == words
