"""Counters of answered requests in Prometheus text, under the names that Qdrant uses."""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

_BOUNDS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


class RestMetrics:
    """Answers by method, endpoint (as a path template) and status, with the time they took in the server."""

    def __init__(self) -> None:
        self._answers: Counter[tuple[str, str, int]] = Counter()
        self._buckets: dict[tuple[str, str, int], list[int]] = defaultdict(lambda: [0] * (len(_BOUNDS_S) + 1))
        self._sums_s: defaultdict[tuple[str, str, int], float] = defaultdict(float)

    def count(self, method: str, endpoint: str, status: int, duration_s: float) -> None:
        """Note one answer."""
        key = (method, endpoint, status)
        self._answers[key] += 1
        self._sums_s[key] += duration_s
        self._buckets[key][bisect_left(_BOUNDS_S, duration_s)] += 1

    def render(self, *, version: str, points_per_collection: Mapping[str, int]) -> str:
        """The whole exposition."""
        return "\n".join([*_gauges(version, points_per_collection), *self._totals(), *self._durations()]) + "\n"

    def _totals(self) -> Iterator[str]:
        yield "# HELP rest_responses_total total number of responses"
        yield "# TYPE rest_responses_total counter"
        for key, total in sorted(self._answers.items()):
            yield f"rest_responses_total{{{_labels(key)}}} {total}"

    def _durations(self) -> Iterator[str]:
        yield "# HELP rest_responses_duration_seconds response duration histogram"
        yield "# TYPE rest_responses_duration_seconds histogram"
        for key, buckets in sorted(self._buckets.items()):
            labels, cumulated = _labels(key), 0
            for bound_s, count in zip((*_BOUNDS_S, "+Inf"), buckets, strict=True):
                cumulated += count
                yield f'rest_responses_duration_seconds_bucket{{{labels},le="{bound_s}"}} {cumulated}'
            yield f"rest_responses_duration_seconds_sum{{{labels}}} {self._sums_s[key]:.6f}"
            yield f"rest_responses_duration_seconds_count{{{labels}}} {cumulated}"


def _labels(key: tuple[str, str, int]) -> str:
    method, endpoint, status = key
    return f'method="{method}",endpoint="{endpoint}",status="{status}"'


def _gauges(version: str, points_per_collection: Mapping[str, int]) -> Iterator[str]:
    yield "# HELP app_info information about qdrant server"
    yield "# TYPE app_info gauge"
    yield f'app_info{{name="qdrant",version="{version}"}} 1'
    yield "# HELP collections_total number of collections"
    yield "# TYPE collections_total gauge"
    yield f"collections_total {len(points_per_collection)}"
    yield "# HELP collection_points approximate amount of points per collection"
    yield "# TYPE collection_points gauge"
    for name, points in sorted(points_per_collection.items()):
        yield f'collection_points{{id="{name}"}} {points}'
