"""A breaker in its place: with its metrics, its log lines and its copy in Redis."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, Protocol

import orjson

from sandbox.services.breaker import Breaker, Change, Permit, Rules, State
from sandbox.services.metrics import Metrics


class CopyStore(Protocol):
    """What keeps the copies of the breakers' states; raises StoreError."""

    async def get(self, key: str) -> bytes | None: ...
    async def put(self, key: str, value: bytes, *, ttl_s: int) -> None: ...


class StoreError(Exception):
    """The store did not answer."""


class Guard:
    """One named breaker of a service. Keeping the copy never holds up a call."""

    def __init__(self, name: str, rules: Rules, metrics: Metrics) -> None:
        self.name = name
        self.breaker = Breaker(rules, time.monotonic, self._changed)
        self.used = False
        self._metrics = metrics
        self._log = logging.getLogger("breaker")
        self._keep: Callable[[], None] = lambda: None
        metrics.breaker_state.read(name, reader=lambda: self.breaker.state.level)

    def acquire(self) -> Permit | None:
        """Leave for one call, as the breaker's."""
        self.used = True
        return self.breaker.acquire()

    def record(self, permit: Permit, *, ok: bool | None) -> None:
        """Settles a call, as the breaker's."""
        self.breaker.record(permit, ok=ok)

    def describe(self) -> dict[str, Any]:
        """The breaker as the health document shows it."""
        breaker = self.breaker
        return {
            "state": breaker.state.value,
            "failure_count": breaker.failure_count,
            "transitions": breaker.transitions.total(),
        }

    async def attach(self, store: CopyStore, *, ttl_s: int) -> None:
        """Takes over the copied state, if there is one, and keeps the copy from now on."""
        key, tasks = f"circuit_breaker:{self.name}:state", set[asyncio.Task[None]]()
        try:
            self._restore(await store.get(key))
        except StoreError:
            self._log.info("no copy of the breaker's state", extra={"breaker": self.name})

        def keep() -> None:
            task = asyncio.ensure_future(self._write(store, key, ttl_s))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        self._keep = keep

    async def _write(self, store: CopyStore, key: str, ttl_s: int) -> None:
        try:
            await store.put(key, self._copy(), ttl_s=ttl_s)
        except StoreError:
            self._log.info("the copy of the breaker's state was not kept", extra={"breaker": self.name})

    def _copy(self) -> bytes:
        breaker, shift_s = self.breaker, time.time() - time.monotonic()
        return orjson.dumps(
            {
                "state": breaker.state.value,
                "failure_count": breaker.failure_count,
                "success_count": breaker.success_count,
                "last_failure_time": breaker.last_failure_s and breaker.last_failure_s + shift_s,
                "opened_at": breaker.opened_at_s and breaker.opened_at_s + shift_s,
            }
        )

    def _restore(self, copy: bytes | None) -> None:
        if copy is None or self.used:
            return
        try:
            fields = orjson.loads(copy)
            state, failures, opened_at = State(fields["state"]), int(fields["failure_count"]), fields["opened_at"]
            opened_at_s = None if opened_at is None else float(opened_at) - time.time() + time.monotonic()
        except (ValueError, KeyError, TypeError):
            self._log.warning("unreadable copy of a breaker's state", extra={"breaker": self.name})
            return
        self.breaker.restore(state, failure_count=failures, opened_at_s=opened_at_s)

    def _changed(self, change: Change) -> None:
        self._metrics.breaker_transitions.add(self.name, change.new.value)
        self._log.warning(
            "circuit breaker changed state",
            extra={"breaker": self.name, "from": change.old.value, "to": change.new.value, "failure_count": change.failure_count},
        )
        self._keep()
