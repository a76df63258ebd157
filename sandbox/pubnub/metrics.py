"""The server's own counters in Prometheus text."""

from collections import Counter
from collections.abc import Iterator

_HELP = {
    "pubnub_requests_total": "answered requests by endpoint and HTTP status",
    "pubnub_messages_published_total": "messages and signals that were accepted",
    "pubnub_messages_delivered_total": "messages and signals in answers to subscribers",
    "pubnub_polls_expired_total": "long polls that ended without a message",
    "pubnub_polls_abandoned_total": "long polls whose client went away",
}


class Metrics:
    """Counters by series, written as in the exposition: name with labels."""

    def __init__(self) -> None:
        self._series: Counter[str] = Counter(dict.fromkeys(list(_HELP)[1:], 0))

    def add(self, name: str, amount: int = 1) -> None:
        """Raise a counter without labels."""
        self._series[name] += amount

    def answered(self, endpoint: str, status: int) -> None:
        """Note one answer."""
        self._series[f'pubnub_requests_total{{endpoint="{endpoint}",status="{status}"}}'] += 1

    def render(self, *, open_polls: int) -> str:
        """The whole exposition."""
        return "\n".join([*self._counters(), *_gauge(open_polls)]) + "\n"

    def _counters(self) -> Iterator[str]:
        for name, meaning in _HELP.items():
            yield f"# HELP {name} {meaning}"
            yield f"# TYPE {name} counter"
            yield from (f"{key} {value}" for key, value in self._series.items() if key.partition("{")[0] == name)


def _gauge(open_polls: int) -> Iterator[str]:
    yield "# HELP pubnub_polls_open long polls that wait for a message"
    yield "# TYPE pubnub_polls_open gauge"
    yield f"pubnub_polls_open {open_polls}"
