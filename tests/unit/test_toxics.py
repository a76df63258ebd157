"""Toxics on a hand-driven clock: when chunks leave, in which order, and that none is lost."""

import asyncio
import heapq
from collections.abc import Callable, Mapping
from itertools import count, pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.toxiproxy.errors import ApiError
from sandbox.toxiproxy.link import Link, Outlet
from sandbox.toxiproxy.metrics import Labels, Traffic, TrafficBook
from sandbox.toxiproxy.toxic import Toxic, new_toxic
from sandbox.toxiproxy.toxics import slice_points


class HandTimer:
    def __init__(self, call: Callable[[], None]) -> None:
        self.call = call
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class HandClock:
    """Time that moves only when the test says so."""

    def __init__(self) -> None:
        self.time_s = 1000.0
        self._numbers = count()
        self._timers: list[tuple[float, int, HandTimer]] = []

    def now_s(self) -> float:
        return self.time_s

    def after(self, wait_s: float, call: Callable[[], None]) -> HandTimer:
        timer = HandTimer(call)
        heapq.heappush(self._timers, (self.time_s + max(0.0, wait_s), next(self._numbers), timer))
        return timer

    def pass_time(self, seconds: float) -> None:
        stop_s = self.time_s + seconds
        while self._timers and self._timers[0][0] <= stop_s:
            due_s, _, timer = heapq.heappop(self._timers)
            self.time_s = max(self.time_s, due_s)
            if not timer.cancelled:
                timer.call()
        self.time_s = stop_s


class Wire(asyncio.Transport):
    """A transport that remembers what was written, when, and what was asked of it."""

    def __init__(self, clock: HandClock) -> None:
        super().__init__()
        self._clock = clock
        self.written: list[tuple[float, bytes]] = []
        self.closed_s: float | None = None
        self.paused = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append((self._clock.time_s, bytes(data)))

    def close(self) -> None:
        self.closed_s = self._clock.time_s

    def is_closing(self) -> bool:
        return self.closed_s is not None

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    @property
    def data(self) -> bytes:
        return b"".join(data for _, data in self.written)


class Bench:
    """One link between two wires, with the list of toxics that a proxy would keep."""

    def __init__(self, *toxics: Toxic) -> None:
        self.clock = HandClock()
        self.start_s = self.clock.time_s
        self.source, self.sink = Wire(self.clock), Wire(self.clock)
        self.traffic = Traffic()
        self.toxics = list(toxics)
        outlet = Outlet(self.sink, self.traffic)
        self.link = Link(self.source, outlet, self.traffic, self.toxics, self.clock, Random(7))

    def add(self, toxic: Toxic) -> None:
        self.toxics.append(toxic)
        self.link.add(toxic)

    def remove(self, name: str) -> None:
        self.toxics[:] = [toxic for toxic in self.toxics if toxic.name != name]
        self.link.remove(name)

    def change(self, toxic: Toxic, attributes: Mapping[str, int]) -> None:
        toxic.change({"attributes": attributes})
        self.link.change(toxic)

    def arrivals(self) -> list[tuple[float, bytes]]:
        """Seconds since the start and data of every write."""
        return [(round(at_s - self.start_s, 6), data) for at_s, data in self.sink.written]

    @property
    def closed_after_s(self) -> float | None:
        return None if self.sink.closed_s is None else round(self.sink.closed_s - self.start_s, 6)


def toxic(kind: str, **attributes: int) -> Toxic:
    return new_toxic({"type": kind, "attributes": attributes})


def test_a_link_without_toxics_writes_at_once_and_counts() -> None:
    bench = Bench()
    bench.link.receive(b"abc")
    bench.link.end()
    assert bench.arrivals() == [(0.0, b"abc")]
    assert bench.closed_after_s == 0.0
    assert bench.traffic == Traffic(received_bytes=3, sent_bytes=3)


def test_latency_runs_from_each_arrival_and_the_end_comes_after_the_data() -> None:
    bench = Bench(toxic("latency", latency=200))
    bench.link.receive(b"a")
    bench.clock.pass_time(0.05)
    bench.link.receive(b"b")
    bench.link.end()
    bench.clock.pass_time(1)
    assert bench.arrivals() == [(0.2, b"a"), (0.25, b"b")]
    assert bench.closed_after_s == 0.25


def test_latency_removed_hands_on_at_once_what_it_held() -> None:
    bench = Bench(toxic("latency", latency=200))
    bench.link.receive(b"a")
    bench.clock.pass_time(0.1)
    bench.remove("latency_downstream")
    bench.link.receive(b"b")
    assert bench.arrivals() == [(0.1, b"a"), (0.1, b"b")]


def test_latency_changed_counts_from_the_arrival() -> None:
    slow = toxic("latency", latency=500)
    bench = Bench(slow)
    bench.link.receive(b"a")
    bench.clock.pass_time(0.1)
    bench.change(slow, {"latency": 300})
    bench.clock.pass_time(1)
    assert bench.arrivals() == [(0.3, b"a")]


def test_jitter_stays_in_its_range_and_keeps_the_order() -> None:
    bench = Bench(toxic("latency", latency=200, jitter=50))
    chunks = [bytes([number]) for number in range(200)]
    for chunk in chunks:
        bench.link.receive(chunk)
        bench.clock.pass_time(0.3)
    delays_s = [at_s - 0.3 * number for number, (at_s, _) in enumerate(bench.arrivals())]
    assert bench.sink.data == b"".join(chunks)
    assert 0.15 <= min(delays_s) < 0.17
    assert 0.23 < max(delays_s) <= 0.250001


def test_bandwidth_sends_100_ms_worth_at_a_time() -> None:
    bench = Bench(toxic("bandwidth", rate=1))
    bench.link.receive(b"x" * 250)
    bench.clock.pass_time(1)
    assert [(at_s, len(data)) for at_s, data in bench.arrivals()] == [(0.1, 100), (0.2, 100), (0.25, 50)]


def test_bandwidth_saves_no_credit_while_idle() -> None:
    bench = Bench(toxic("bandwidth", rate=10))
    bench.clock.pass_time(5)
    bench.link.receive(b"x" * 1000)
    bench.clock.pass_time(1)
    assert bench.arrivals() == [(5.1, b"x" * 1000)]


def test_bandwidth_rate_0_lets_nothing_through_until_changed() -> None:
    dam = toxic("bandwidth", rate=0)
    bench = Bench(dam)
    bench.link.receive(b"x" * 100)
    bench.clock.pass_time(8000)
    assert bench.sink.data == b""
    bench.change(dam, {"rate": 1})
    bench.clock.pass_time(0.2)
    assert bench.sink.data == b"x" * 100


def test_a_full_stage_holds_the_source_back_until_it_drains() -> None:
    bench = Bench(toxic("bandwidth", rate=1000))
    bench.link.receive(b"x" * 200_000)
    assert bench.source.paused
    bench.clock.pass_time(0.1)
    assert bench.source.paused
    bench.clock.pass_time(0.1)
    assert not bench.source.paused


def test_a_full_sink_holds_the_source_back_with_and_without_toxics() -> None:
    for bench in (Bench(), Bench(toxic("latency", latency=1))):
        bench.link.set_sink_full(True)
        assert bench.source.paused
        bench.link.set_sink_full(False)
        assert not bench.source.paused


def test_slicer_waits_between_slices() -> None:
    bench = Bench(toxic("slicer", average_size=10, delay=10_000))
    bench.link.receive(bytes(range(40)))
    bench.clock.pass_time(1)
    assert [at_s for at_s, _ in bench.arrivals()] == [0.0, 0.01, 0.02, 0.03]
    assert bench.sink.data == bytes(range(40))


def test_timeout_starts_again_with_each_chunk_and_drops_it() -> None:
    bench = Bench(toxic("timeout", timeout=100))
    bench.clock.pass_time(0.08)
    bench.link.receive(b"dropped")
    bench.clock.pass_time(1)
    assert bench.sink.data == b""
    assert bench.closed_after_s == 0.18


def test_timeout_0_never_closes_but_its_removal_does() -> None:
    bench = Bench(toxic("timeout", timeout=0))
    bench.link.receive(b"dropped")
    bench.clock.pass_time(3600)
    assert bench.closed_after_s is None
    bench.remove("timeout_downstream")
    assert bench.closed_after_s == 3600


def test_slow_close_delays_the_end_only_and_its_removal_closes_at_once() -> None:
    for remove_at_s, closed_at_s in ((None, 0.3), (0.1, 0.1)):
        bench = Bench(toxic("slow_close", delay=300))
        bench.link.receive(b"a")
        bench.link.end()
        if remove_at_s is not None:
            bench.clock.pass_time(remove_at_s)
            bench.remove("slow_close_downstream")
        bench.clock.pass_time(1)
        assert bench.arrivals() == [(0.0, b"a")]
        assert bench.closed_after_s == closed_at_s


def test_limit_data_counts_over_changes_and_closes_at_the_limit() -> None:
    limit = toxic("limit_data", bytes=5)
    bench = Bench(limit)
    bench.link.receive(b"abc")
    bench.change(limit, {"bytes": 7})
    assert bench.closed_after_s is None
    bench.link.receive(b"defgh")
    bench.link.receive(b"lost")
    assert bench.sink.data == b"abcdefg"
    assert bench.closed_after_s == 0.0


def test_reset_peer_waits_for_data_and_drops_it() -> None:
    bench = Bench(toxic("reset_peer", timeout=100))
    assert bench.link.resets_on_close
    bench.clock.pass_time(5)
    bench.link.receive(b"a")
    bench.clock.pass_time(0.05)
    bench.link.receive(b"b")
    bench.clock.pass_time(1)
    assert bench.sink.data == b""
    assert bench.closed_after_s == 5.1


def test_toxics_work_in_the_order_in_which_they_were_added() -> None:
    bench = Bench(toxic("limit_data", bytes=4), toxic("latency", latency=100))
    bench.link.receive(b"abcdef")
    bench.clock.pass_time(1)
    assert bench.arrivals() == [(0.1, b"abcd")]
    assert bench.closed_after_s == 0.1


def test_toxicity_is_the_share_of_connections_and_a_change_throws_the_dice_again() -> None:
    half = new_toxic({"type": "timeout", "toxicity": 0.5})
    rng = Random(3)
    struck = sum(half.strikes(rng) for _ in range(1000))
    assert 430 < struck < 570
    bench = Bench(half)
    half.change({"toxicity": 0})
    bench.link.change(half)
    bench.link.receive(b"a")
    half.change({"toxicity": 1})
    bench.link.change(half)
    bench.link.receive(b"b")
    assert bench.sink.data == b"a"


@given(size=st.integers(1, 5000), average=st.integers(1, 600), data=st.data())
def test_slices_cover_the_data_and_stay_in_their_range(size: int, average: int, data: st.DataObject) -> None:
    variation = data.draw(st.integers(0, average - 1))
    edges = [0, *slice_points(size, average, variation, Random(size)), size]
    widths = [stop - start for start, stop in pairwise(edges)]
    assert min(widths) > 0
    assert max(widths) <= average + variation


HOLDERS = {
    "latency": {"latency": 30, "jitter": 20},
    "bandwidth": {"rate": 3},
    "slicer": {"average_size": 7, "size_variation": 3, "delay": 900},
    "slow_close": {"delay": 40},
    "noop": {},
}
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("receive"), st.binary(min_size=1, max_size=400)),
        st.tuples(st.just("wait"), st.floats(0, 0.2)),
        st.tuples(st.just("add"), st.sampled_from(sorted(HOLDERS))),
        st.tuples(st.just("remove"), st.sampled_from(sorted(HOLDERS))),
        st.tuples(st.just("change"), st.sampled_from(sorted(HOLDERS))),
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(operations=OPERATIONS)
def test_toxics_that_only_delay_lose_and_reorder_nothing(operations: list[tuple[str, object]]) -> None:
    bench, sent = Bench(), b""
    for verb, argument in operations:
        sent += apply(bench, verb, argument)
    bench.link.end()
    bench.clock.pass_time(60)
    assert bench.sink.data == sent
    assert bench.sink.closed_s is not None
    assert bench.traffic == Traffic(len(sent), len(sent))
    assert not bench.source.paused


def apply(bench: Bench, verb: str, argument: object) -> bytes:
    """Do one operation; the bytes that it sent."""
    if isinstance(argument, bytes):
        bench.link.receive(argument)
        return argument
    if isinstance(argument, float):
        bench.clock.pass_time(argument)
        return b""
    kind = str(argument)
    present = {toxic.type: toxic for toxic in bench.toxics}
    if verb == "add" and kind not in present:
        bench.add(toxic(kind, **HOLDERS[kind]))
    elif verb == "remove" and kind in present:
        bench.remove(present[kind].name)
    elif verb == "change" and kind in present:
        bench.change(present[kind], {key: value + 5 for key, value in HOLDERS[kind].items()})
    return b""


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"type": "latency", "stream": "sideways"}, "stream was invalid, can be either upstream or downstream"),
        ({"type": "earthquake"}, "invalid toxic type"),
        ({"type": "latency", "attributes": {"latency": "long"}}, "bad request body: latency must be an integer"),
        ({"type": "latency", "attributes": {"latency": -1}}, "bad request body: latency must not be negative"),
        ({"type": "latency", "attributes": [1]}, "bad request body: attributes must be an object"),
        ({"type": "latency", "toxicity": "high"}, "bad request body: toxicity must be a number"),
        ({"type": "slicer"}, "bad request body: average_size must be positive"),
    ],
)
def test_a_toxic_that_cannot_work_is_refused(body: dict[str, object], message: str) -> None:
    with pytest.raises(ApiError, match=message) as raised:
        new_toxic(body)
    assert raised.value.status == 400


def test_series_are_escaped_and_survive_their_proxy() -> None:
    book = TrafficBook()
    labels = Labels("upstream", 'a"b\\c', "127.0.0.1:1", "127.0.0.1:2")
    book.traffic(labels).received_bytes += 5
    book.traffic(labels).received_bytes += 5
    line = 'direction="upstream",proxy="a\\"b\\\\c",listener="127.0.0.1:1",upstream="127.0.0.1:2"'
    assert f"toxiproxy_proxy_received_bytes_total{{{line}}} 10" in book.exposition().splitlines()
