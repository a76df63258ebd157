"""The Prometheus text format."""

from __future__ import annotations

import pytest

from probes.clients.prometheus import samples, totals

TEXT = r"""# HELP calls_total Tries.
# TYPE calls_total counter
calls_total{dependency="qdrant",outcome="ok"} 12
calls_total{dependency="qdrant",outcome="error"} 3 1700000000000
calls_total{ outcome = "ok" , dependency="redis", } 4.0
calls_total_created{dependency="qdrant"} 99
calls_total 7
odd{text="a \"quoted\" }, \\ and\na line"} +Inf
broken{text="open} 1
"""


def test_sums_by_a_label_over_all_other_labels() -> None:
    assert totals(samples(TEXT, "calls_total", {}), "dependency") == {"qdrant": 15, "redis": 4}


def test_only_samples_that_carry_the_labels() -> None:
    assert totals(samples(TEXT, "calls_total", {"outcome": "error"}), "dependency") == {"qdrant": 3}


def test_label_escapes_and_special_values() -> None:
    (sample,) = samples(TEXT, "odd", {})
    assert sample.labels == {"text": 'a "quoted" }, \\ and\na line'}
    assert sample.value == float("inf")


def test_a_line_without_labels() -> None:
    assert [sample.value for sample in samples(TEXT, "calls_total", {}) if not sample.labels] == [7.0]


def test_a_broken_line_of_the_metric_is_an_error_not_a_zero() -> None:
    with pytest.raises(ValueError, match="broken"):
        list(samples(TEXT, "broken", {}))


def test_a_metric_that_is_not_there_has_no_samples() -> None:
    assert totals(samples(TEXT, "calls", {}), "dependency") == {}
