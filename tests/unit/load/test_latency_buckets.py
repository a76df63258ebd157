"""Buckets and quantiles against the hdrhistogram package."""

from __future__ import annotations

import math
from collections import Counter

from hdrh.histogram import HdrHistogram
from hypothesis import given
from hypothesis import strategies as st

from steady_state.latency import bucket_index, bucket_value_us, quantile

HOUR_US = 3_600_000_000
LATENCIES = st.integers(min_value=1, max_value=HOUR_US)


def reference() -> HdrHistogram:
    return HdrHistogram(1, HOUR_US, 2)


@given(LATENCIES)
def test_a_value_falls_into_the_same_bucket(us: int) -> None:
    assert bucket_index(us) == reference()._counts_index_for(us)


@given(LATENCIES)
def test_a_bucket_stands_for_its_highest_value(us: int) -> None:
    value = bucket_value_us(bucket_index(us))
    assert value == reference().get_highest_equivalent_value(us)
    assert us <= value <= us * 1.0079


def test_buckets_follow_each_other_without_a_hole() -> None:
    for index in range(3000):
        assert bucket_index(bucket_value_us(index)) == index
        assert bucket_index(bucket_value_us(index) + 1) == index + 1


@given(st.lists(LATENCIES, min_size=1, max_size=200), st.sampled_from([0.0, 0.5, 0.95, 0.99, 1.0]))
def test_a_quantile_is_the_nearest_rank(values: list[int], q: float) -> None:
    histogram = reference()
    for value in values:
        histogram.record_value(value)
    rank = max(1, math.ceil(q * len(values) - 1e-9))
    found = quantile(Counter(map(bucket_index, values)).items(), q)
    assert found == histogram.get_value_at_percentile(100 * rank / len(values))
    assert found == bucket_value_us(bucket_index(sorted(values)[rank - 1]))


def test_merged_seconds_may_repeat_an_index() -> None:
    assert quantile([(5, 1), (9, 1), (5, 1)], 0.5) == 5


def test_nothing_has_no_quantile() -> None:
    assert quantile([], 0.95) is None
