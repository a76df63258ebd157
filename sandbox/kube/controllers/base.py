"""What every controller is: a set of keys to look at again, and one function that looks."""

import asyncio
import logging
from abc import ABC, abstractmethod

from sandbox.kube.objects import Object, name_of, namespace_of
from sandbox.kube.registry import Registry
from sandbox.kube.store import Change

log = logging.getLogger(__name__)

_RETRY_S = 1.0


class Controller(ABC):
    """Subclasses subscribe in `start`, call `enqueue`, and bring one object to its wanted state in `reconcile`.

    Several changes of one object within the same turn of the loop cause one reconciliation.
    """

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.store = registry.store
        self._pending: dict[tuple[str, str], None] = {}
        self._scheduled = False
        self._stopped = False

    @abstractmethod
    def start(self) -> None:
        """Subscribe to the store."""

    @abstractmethod
    def reconcile(self, namespace: str, name: str) -> None:
        """Look at one object again. Must not depend on which change caused it."""

    def stop(self) -> None:
        self._stopped = True

    def enqueue(self, namespace: str, name: str) -> None:
        self._pending[namespace, name] = None
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._drain)

    def enqueue_object(self, obj: Object) -> None:
        self.enqueue(namespace_of(obj), name_of(obj))

    def on_change(self, change: Change) -> None:
        """A listener for the controller's own kind."""
        self.enqueue_object(change.object)

    def _drain(self) -> None:
        self._scheduled = False
        pending, self._pending = self._pending, {}
        for namespace, name in pending:
            if not self._stopped:
                self._reconcile_safely(namespace, name)

    def _reconcile_safely(self, namespace: str, name: str) -> None:
        try:
            self.reconcile(namespace, name)
        except Exception:  # the edge of a controller: one bad object must not end it for all others
            log.exception("%s: %s/%s, again in %s s", type(self).__name__, namespace, name, _RETRY_S)
            asyncio.get_running_loop().call_later(_RETRY_S, self.enqueue, namespace, name)
