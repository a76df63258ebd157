"""A link: one direction of one connection, from its source through the chain of stages into its sink."""

import asyncio
from collections.abc import Sequence
from random import Random

from sandbox.toxiproxy.clock import Clock
from sandbox.toxiproxy.metrics import Traffic
from sandbox.toxiproxy.stages import Receiver, Stage
from sandbox.toxiproxy.toxic import Toxic


class Outlet:
    """The end of a chain: writes into the sink and counts."""

    __slots__ = ("_sink", "_traffic", "closed")

    def __init__(self, sink: asyncio.Transport, traffic: Traffic) -> None:
        self._sink = sink
        self._traffic = traffic
        self.closed = False

    def receive(self, data: bytes) -> None:
        if self.closed:
            return
        self._traffic.sent_bytes += len(data)
        self._sink.write(data)

    def end(self) -> None:
        """Close the sink when what was written has left; there is no half-close."""
        if not self.closed:
            self.closed = True
            self._sink.close()


class Link:
    """Feeds what the source sends through the toxics' stages, and holds the source back when they or the sink are full."""

    __slots__ = (
        "_clock", "_ended", "_head", "_outlet", "_rng", "_sink_full", "_source", "_source_held", "_stages", "_toxics",
        "_traffic",
    )  # fmt: skip

    def __init__(
        self, source: asyncio.Transport, outlet: Outlet, traffic: Traffic, toxics: Sequence[Toxic], clock: Clock, rng: Random
    ) -> None:
        """`toxics` is the proxy's own list, in the order of the chain; the proxy announces each change to it."""
        self._source = source
        self._outlet = outlet
        self._traffic = traffic
        self._toxics = toxics
        self._clock = clock
        self._rng = rng
        self._head: Receiver = outlet
        self._stages: dict[str, Stage] = {}
        self._sink_full = False
        self._source_held = False
        self._ended = False
        for toxic in toxics:
            self.add(toxic)

    @property
    def resets_on_close(self) -> bool:
        """Whether a stage wants the connection reset instead of closed."""
        return any(stage.resets_on_close for stage in self._stages.values())

    def receive(self, data: bytes) -> None:
        self._traffic.received_bytes += len(data)
        self._head.receive(data)
        if self._stages:
            self.review_flow()

    def end(self) -> None:
        """The source has sent everything it had."""
        if not self._ended:
            self._ended = True
            self._head.end()

    def sink_lost(self) -> None:
        self._outlet.closed = True

    def set_sink_full(self, full: bool) -> None:
        self._sink_full = full
        self.review_flow()

    def add(self, toxic: Toxic) -> None:
        """Put a toxic into the chain, unless the dice spare this connection."""
        stage = toxic.stage(self._clock, self._rng)
        if stage is None:
            return
        stage.on_released = self.review_flow
        self._stages[toxic.name] = stage
        self._relink()
        stage.begin()

    def change(self, toxic: Toxic) -> None:
        """Bring changed attributes and toxicity to this connection; the dice are thrown again."""
        stage = self._stages.get(toxic.name)
        if stage is None:
            self.add(toxic)
        elif toxic.strikes(self._rng):
            stage.change(toxic.attributes)
        else:
            stage.flush()
            self._leave(toxic.name)

    def remove(self, name: str) -> None:
        """Take a toxic out of the chain; what it held goes on at once."""
        stage = self._stages.get(name)
        if stage is not None:
            stage.removed()
            self._leave(name)

    def review_flow(self) -> None:
        """Pause or resume the source to match what the sink and the stages can take."""
        hold = self._sink_full or any(stage.is_full for stage in self._stages.values())
        if hold == self._source_held or self._source.is_closing():
            return
        self._source_held = hold
        if hold:
            self._source.pause_reading()
        else:
            self._source.resume_reading()

    def _leave(self, name: str) -> None:
        del self._stages[name]
        self._relink()
        self.review_flow()

    def _relink(self) -> None:
        following: Receiver = self._outlet
        for toxic in reversed(self._toxics):
            stage = self._stages.get(toxic.name)
            if stage is not None:
                stage.following = following
                following = stage
        self._head = following
