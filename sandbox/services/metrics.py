"""Counters, gauges and histograms in Prometheus' text format; a family without samples is not exposed."""

from bisect import bisect_left
from collections.abc import Callable

BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
Labels = tuple[str, ...]


def _text(names: Labels, values: Labels) -> str:
    pairs = (f'{name}="{_escape(value)}"' for name, value in zip(names, values, strict=True))
    return "{" + ",".join(pairs) + "}" if names else ""


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


class Counter:
    """A family of counters; label values are given in the order of the names."""

    kind = "counter"

    def __init__(self, name: str, labels: Labels) -> None:
        self.name = name
        self._labels = labels
        self._values: dict[Labels, float] = {}

    def add(self, *values: str, amount: float = 1) -> None:
        """Counts."""
        self._values[values] = self._values.get(values, 0) + amount

    def lines(self) -> list[str]:
        """The samples as text."""
        return [f"{self.name}{_text(self._labels, key)} {value:g}" for key, value in self._values.items()]


class Gauge:
    """A family of values that are read when somebody looks."""

    kind = "gauge"

    def __init__(self, name: str, labels: Labels) -> None:
        self.name = name
        self._labels = labels
        self._readers: dict[Labels, Callable[[], float]] = {}

    def read(self, *values: str, reader: Callable[[], float]) -> None:
        """Registers where the value of these labels comes from."""
        self._readers[values] = reader

    def lines(self) -> list[str]:
        """The samples as text."""
        return [f"{self.name}{_text(self._labels, key)} {reader():g}" for key, reader in self._readers.items()]


class Histogram:
    """A family of histograms of seconds."""

    kind = "histogram"

    def __init__(self, name: str, labels: Labels) -> None:
        self.name = name
        self._labels = labels
        self._counts: dict[Labels, list[int]] = {}
        self._sums: dict[Labels, float] = {}

    def observe(self, seconds: float, *values: str) -> None:
        """Adds one duration."""
        counts = self._counts.setdefault(values, [0] * (len(BUCKETS_S) + 1))
        counts[bisect_left(BUCKETS_S, seconds)] += 1
        self._sums[values] = self._sums.get(values, 0.0) + seconds

    def lines(self) -> list[str]:
        """The samples as text."""
        return [line for key, counts in self._counts.items() for line in self._family(key, counts)]

    def _family(self, key: Labels, counts: list[int]) -> list[str]:
        names, total, lines = (*self._labels, "le"), 0, []
        for bound, count in zip((*BUCKETS_S, None), counts, strict=True):
            total += count
            edge = "+Inf" if bound is None else f"{bound:g}"
            lines.append(f"{self.name}_bucket{_text(names, (*key, edge))} {total}")
        labels = _text(self._labels, key)
        return [*lines, f"{self.name}_sum{labels} {self._sums[key]:.6f}", f"{self.name}_count{labels} {total}"]


class Metrics:
    """The families that every service exposes."""

    def __init__(self) -> None:
        self.requests = Counter("http_requests_total", ("method", "path", "status"))
        self.durations = Histogram("http_request_duration_seconds", ("method", "path"))
        self.active = 0
        self.hits = Counter("cache_hits_total", ("cache_type",))
        self.misses = Counter("cache_misses_total", ("cache_type",))
        self.calls = Counter("calls_total", ("dependency", "outcome"))
        self.breaker_state = Gauge("circuit_breaker_state", ("name",))
        self.breaker_transitions = Counter("circuit_breaker_transitions_total", ("name", "to"))
        self.fallbacks = Counter("fallbacks_total", ("kind",))
        self.gauges = Gauge("active_connections", ())
        self.gauges.read(reader=lambda: self.active)

    def called(self, dependency: str, *, ok: bool) -> None:
        """Counts one try at a dependency."""
        self.calls.add(dependency, "ok" if ok else "error")

    def cached(self, cache_type: str, *, hit: bool) -> None:
        """Counts one look into a cache."""
        (self.hits if hit else self.misses).add(cache_type)

    def text(self) -> str:
        """The whole exposition."""
        families = [getattr(self, name) for name in vars(self) if name != "active"]
        return "".join(
            f"# TYPE {family.name} {family.kind}\n" + "\n".join(lines) + "\n" for family in families if (lines := family.lines())
        )
