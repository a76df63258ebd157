"""PodDisruptionBudgets: how many pods of each may be evicted now, and what an eviction that is too many is told."""

import math
from dataclasses import dataclass

from sandbox.kube import errors
from sandbox.kube.objects import Object, controller_uid, is_deleting, labels_of, name_of, namespace_of, pod_ready, uid_of
from sandbox.kube.resources import DEPLOYMENTS, DISRUPTION_BUDGETS, PODS, REPLICA_SETS, STATEFUL_SETS
from sandbox.kube.selectors import matches
from sandbox.kube.store import Store

_SCALED = (DEPLOYMENTS, REPLICA_SETS, STATEFUL_SETS)
_FINISHED = ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class Health:
    """Counts of pods: there should be, are healthy, must stay healthy."""

    expected: int
    current: int
    desired: int

    @property
    def spare(self) -> int:
        return max(0, self.current - self.desired) if self.expected else 0


def covers(budget: Object, pod: Object) -> bool:
    """Whether the pod is one of the budget's. An empty selector is every pod of the namespace, a missing one none."""
    selector = budget["spec"].get("selector")
    return selector is not None and namespace_of(budget) == namespace_of(pod) and matches(selector, labels_of(pod))


def health(store: Store, budget: Object) -> Health:
    """Counted anew; a pod under deletion is not healthy."""
    found = store.list(PODS.key, namespace_of(budget), lambda pod: covers(budget, pod))
    pods = [pod for pod in found if pod["status"].get("phase") not in _FINISHED]
    current = sum(pod_ready(pod) and not is_deleting(pod) for pod in pods)
    spec = budget["spec"]
    least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
    if isinstance(least, int):
        return Health(len(pods), current, least)
    expected = _replicas(store, pods)
    if least is not None:
        return Health(expected, current, _share(least, expected))
    return Health(expected, current, max(0, expected - _share(1 if most is None else most, expected)))


def _replicas(store: Store, pods: list[Object]) -> int:
    """As many as the controllers of the pods should have; of a Deployment's two ReplicaSets in an update, as many as the Deployment."""
    scaled = {uid_of(obj): obj for kind in _SCALED for obj in store.list(kind.key)}
    owners = {uid for pod in pods if (uid := controller_uid(pod)) in scaled}
    top = {above if (above := controller_uid(scaled[uid])) in scaled else uid for uid in owners}
    return sum(int(scaled[uid]["spec"]["replicas"]) for uid in top)


def _share(value: int | str, of: int) -> int:
    """A count, or a percentage of one, rounded up."""
    return value if isinstance(value, int) else math.ceil(int(value.rstrip("%")) * of / 100)


def check_eviction(store: Store, pod: Object) -> None:
    """Raises ApiError 429 when the pod's budget does not allow its eviction, 500 when it has two budgets."""
    if pod["status"].get("phase") in (*_FINISHED, "Pending") or is_deleting(pod):
        return
    budgets = store.list(DISRUPTION_BUDGETS.key, namespace_of(pod), lambda budget: covers(budget, pod))
    if len(budgets) > 1:
        message = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
        raise errors.ApiError(500, "InternalError", message)
    for budget in budgets:
        found = health(store, budget)
        if found.spare <= 0 and not _may_go_unhealthy(budget, pod, found):
            raise errors.violates_budget(name_of(budget), found.desired, found.current)


def _may_go_unhealthy(budget: Object, pod: Object, found: Health) -> bool:
    """A pod that is not ready is no loss: it may go where the budget is met without it, or always where the budget says so."""
    if pod_ready(pod):
        return False
    return budget["spec"].get("unhealthyPodEvictionPolicy") == "AlwaysAllow" or found.current >= found.desired > 0
