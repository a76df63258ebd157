"""The Prometheus text format: samples of one metric, and their sums by a label."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

_SAMPLE = re.compile(
    r"""(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)
        (?:\s*\{(?P<labels>(?:[^"}]|"(?:[^"\\]|\\.)*")*)\}\s*|\s+)
        (?P<value>[^\s{}"]+)(?:\s+-?\d+)?\s*""",
    re.VERBOSE,
)
_LABEL = re.compile(r"([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*\"((?:[^\"\\]|\\.)*)\"\s*(?:,|$)\s*")
_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {"n": "\n"}


@dataclass(frozen=True, slots=True)
class Sample:
    """One line of the metric: its labels and its value."""

    labels: Mapping[str, str]
    value: float

    def carries(self, labels: Mapping[str, str]) -> bool:
        """Whether the sample has all these labels with these values."""
        return all(self.labels.get(name) == value for name, value in labels.items())


def samples(text: str, metric: str, labels: Mapping[str, str]) -> Iterator[Sample]:
    """The samples of a metric that carry the labels. Raises ValueError for a line of that metric that cannot be read."""
    for line in text.splitlines():
        if not line.startswith(metric) or line[len(metric) : len(metric) + 1] not in ("{", " ", "\t"):
            continue
        sample = _sample(line)
        if sample.carries(labels):
            yield sample


def totals(found: Iterable[Sample], by: str) -> dict[str, int]:
    """Sums of counters by the value of one label; samples without that label do not count."""
    sums: dict[str, float] = {}
    for sample in found:
        if (key := sample.labels.get(by)) is not None:
            sums[key] = sums.get(key, 0.0) + sample.value
    return {key: int(value) for key, value in sums.items()}


def _sample(line: str) -> Sample:
    match = _SAMPLE.fullmatch(line)
    if match is None:
        raise ValueError(f"not a Prometheus sample: {line[:100]!r}")
    return Sample(labels=_labels(match["labels"] or "", line), value=float(match["value"]))


def _labels(text: str, line: str) -> dict[str, str]:
    labels, position, text = {}, 0, text.strip()
    while position < len(text):
        match = _LABEL.match(text, position)
        if match is None:
            raise ValueError(f"labels that cannot be read: {line[:100]!r}")
        labels[match[1]] = _ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[1]), match[2])
        position = match.end()
    return labels
