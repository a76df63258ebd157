"""Records events about objects, counting repetitions instead of storing them again."""

from dataclasses import dataclass

from sandbox.kube.objects import Object, name_of, namespace_of, now, object_reference, stable_suffix, uid_of
from sandbox.kube.registry import Registry
from sandbox.kube.resources import EVENTS

_KEPT = 1000


@dataclass(frozen=True, slots=True)
class Recorder:
    """Writes events in the name of one component, such as 'kubelet' or 'deployment-controller'."""

    registry: Registry
    component: str
    host: str = ""

    def normal(self, obj: Object, reason: str, message: str) -> None:
        self._record(obj, "Normal", reason, message)

    def warning(self, obj: Object, reason: str, message: str) -> None:
        self._record(obj, "Warning", reason, message)

    def _record(self, obj: Object, kind: str, reason: str, message: str) -> None:
        namespace = namespace_of(obj) or "default"
        name = f"{name_of(obj)}.{stable_suffix([uid_of(obj), kind, reason, message, self.component], 16)}"
        if self.registry.mutate(EVENTS, namespace, name, _count_once_more) is None:
            self._store(namespace, name, obj, {"type": kind, "reason": reason, "message": message})
        self._forget_oldest()

    def _store(self, namespace: str, name: str, obj: Object, what: dict[str, str]) -> None:
        instant = now()
        event: Object = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": namespace, "uid": name, "creationTimestamp": instant},
            "involvedObject": object_reference(obj),
            **what,
            "source": {"component": self.component, **({"host": self.host} if self.host else {})},
            "firstTimestamp": instant,
            "lastTimestamp": instant,
            "eventTime": None,
            "count": 1,
            "reportingComponent": self.component,
            "reportingInstance": self.host,
        }
        # Past the registry: events of a namespace that is going away must not be refused.
        self.registry.store.put(EVENTS.key, event)

    def _forget_oldest(self) -> None:
        store = self.registry.store
        if store.count(EVENTS.key) > _KEPT:
            events = store.list(EVENTS.key)
            oldest = min(events, key=lambda event: int(event["metadata"]["resourceVersion"]))
            store.remove(EVENTS.key, namespace_of(oldest), name_of(oldest))


def _count_once_more(event: Object) -> None:
    event["count"] += 1
    event["lastTimestamp"] = now()
