"""Gives every namespace its default service account."""

from sandbox.kube.controllers.base import Controller
from sandbox.kube.nodes import service_account
from sandbox.kube.objects import is_deleting
from sandbox.kube.resources import NAMESPACES, SERVICE_ACCOUNTS


class NamespaceController(Controller):
    def start(self) -> None:
        self.store.subscribe(NAMESPACES.key, self.on_change)

    def reconcile(self, namespace: str, name: str) -> None:
        space = self.store.get(NAMESPACES.key, "", name)
        if space is None or is_deleting(space):
            return
        if self.store.get(SERVICE_ACCOUNTS.key, name, "default") is None:
            self.registry.create(SERVICE_ACCOUNTS, name, service_account(name))
