"""Keeps the status of PodDisruptionBudgets: evictions are judged by a count of their own, people look here."""

from sandbox.kube.budgets import covers, health
from sandbox.kube.controllers.base import Controller
from sandbox.kube.objects import Object, merge_conditions, namespace_of
from sandbox.kube.resources import DEPLOYMENTS, DISRUPTION_BUDGETS, PODS, REPLICA_SETS, STATEFUL_SETS
from sandbox.kube.store import Change


class BudgetController(Controller):
    def start(self) -> None:
        self.store.subscribe(DISRUPTION_BUDGETS.key, self.on_change)
        self.store.subscribe(PODS.key, self._on_pod)
        for kind in (DEPLOYMENTS, REPLICA_SETS, STATEFUL_SETS):
            self.store.subscribe(kind.key, self._on_scaled)

    def _on_pod(self, change: Change) -> None:
        versions = [version for version in (change.object, change.previous) if version is not None]
        for budget in self.store.list(DISRUPTION_BUDGETS.key, namespace_of(change.object)):
            if any(covers(budget, version) for version in versions):
                self.enqueue_object(budget)

    def _on_scaled(self, change: Change) -> None:
        for budget in self.store.list(DISRUPTION_BUDGETS.key, namespace_of(change.object)):
            self.enqueue_object(budget)

    def reconcile(self, namespace: str, name: str) -> None:
        budget = self.store.get(DISRUPTION_BUDGETS.key, namespace, name)
        if budget is None:
            return
        found = health(self.store, budget)
        enough = {"type": "DisruptionAllowed", "status": "True", "reason": "SufficientPods", "message": ""}
        too_few = {"type": "DisruptionAllowed", "status": "False", "reason": "InsufficientPods", "message": ""}

        def change(draft: Object) -> None:
            old = draft.get("status", {}).get("conditions")
            draft["status"] = {
                "observedGeneration": draft["metadata"]["generation"],
                "expectedPods": found.expected,
                "currentHealthy": found.current,
                "desiredHealthy": found.desired,
                "disruptionsAllowed": found.spare,
                "conditions": merge_conditions(old, [enough if found.spare else too_few]),
            }

        self.registry.mutate(DISRUPTION_BUDGETS, namespace, name, change)
