"""The pods of each workload as last seen: one picture fed by lists and by a watch, whichever is newer."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from probes.clients.kube import PodList
from probes.clients.kube_watch import PodEvent
from probes.clients.pods import Pod, Selector
from steady_state.instants import Instant

Listener = Callable[[str, Instant], None]
"""Called with the workload whose pods changed and the instant of arrival."""


class PodView:
    """Pods by workload. Resource versions order what a list and a watch say; Kubernetes promises that they compare as integers."""

    def __init__(self) -> None:
        self.version = 0
        """From here a watch goes on: the version of the newest list or event."""
        self._listed = 0
        self._pods: dict[str, Pod] = {}
        self._deleted: dict[str, int] = {}
        self._selectors: dict[str, Selector] = {}
        self._shown: dict[str, tuple[object, ...]] = {}
        self._listeners: list[Listener] = []

    def select(self, workload: str, selector: Selector) -> None:
        """From now on the workload's pods are shown."""
        self._selectors[workload] = selector

    @property
    def workloads(self) -> frozenset[str]:
        """Workloads whose selector is known."""
        return frozenset(self._selectors)

    def pods(self, workload: str) -> list[Pod]:
        """The workload's pods by name; none while its selector is not known."""
        selector = self._selectors.get(workload)
        matching = [] if selector is None else [pod for pod in self._pods.values() if selector.matches(pod.labels)]
        return sorted(matching, key=lambda pod: (pod.name, pod.uid))

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call the listener after each change; the answer ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def apply_list(self, listed: PodList, t: Instant) -> list[str]:
        """Take over a list. Returns the workloads whose pods changed (or are shown for the first time)."""
        if listed.version < self._listed:
            # A store that counts from a lower version again is a new one: what the old one said is over.
            self._pods, self._deleted, self.version = {}, {}, 0
        there = {pod.uid: pod for pod in listed.pods if pod.uid not in self._deleted}
        newer = {uid: pod for uid, pod in self._pods.items() if pod.version > listed.version}
        self._pods = there | newer
        self._deleted = {uid: version for uid, version in self._deleted.items() if version > listed.version}
        self._listed = listed.version
        self.version = max(self.version, listed.version)
        return self._tell(t)

    def apply_event(self, event: PodEvent) -> list[str]:
        """Take over one event of the watch, unless a list has said something newer. Returns the workloads that changed."""
        self.version = max(self.version, event.version)
        pod = event.pod
        if pod is None:
            return []
        known = self._pods.get(pod.uid)
        if event.change == "DELETED":
            self._pods.pop(pod.uid, None)
            self._deleted[pod.uid] = event.version
        elif event.version > (known.version if known is not None else self._listed):
            self._pods[pod.uid] = pod
        return self._tell(event.t)

    def _tell(self, t: Instant) -> list[str]:
        changed = [workload for workload in self._selectors if self._changed(workload)]
        for workload in changed:
            for listener in tuple(self._listeners):
                listener(workload, t)
        return changed

    def _changed(self, workload: str) -> bool:
        shown = _shown(self.pods(workload))
        if self._shown.get(workload) == shown:
            return False
        self._shown[workload] = shown
        return True


def _shown(pods: Iterable[Pod]) -> tuple[object, ...]:
    return tuple((pod.name, pod.uid, pod.ip, pod.ready, pod.restarts) for pod in pods)
