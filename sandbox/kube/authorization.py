"""Whether a user may do something: Roles, ClusterRoles and what binds them, as RBAC reads them.

Not here: aggregated roles, and the rule that nobody may grant more than he has.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from sandbox.kube.identity import MASTERS, User
from sandbox.kube.objects import Object
from sandbox.kube.resources import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ROLE_BINDINGS, ROLES
from sandbox.kube.store import Store

_OWN_REVIEWS = ("selfsubjectaccessreviews", "selfsubjectrulesreviews")


@dataclass(frozen=True, slots=True)
class Attributes:
    """What is asked. `resource` is a plural; a subresource stands beside it, namespace '' is the whole cluster."""

    verb: str
    group: str
    resource: str
    subresource: str = ""
    namespace: str = ""
    name: str = ""

    @property
    def full_resource(self) -> str:
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource

    def refusal(self, user: User) -> str:
        """The sentence of a refusal, as the API server says it."""
        where = f'in the namespace "{self.namespace}"' if self.namespace else "at the cluster scope"
        what = f'cannot {self.verb} resource "{self.full_resource}" in API group "{self.group}" {where}'
        return f'User "{user.name}" {what}'


def allowed(store: Store, user: User, asked: Attributes) -> bool:
    """Everybody who is known may ask what he may do; the rest must be granted by a rule."""
    if MASTERS in user.groups:
        return True
    if asked.group == "authorization.k8s.io" and asked.resource in _OWN_REVIEWS and asked.verb == "create":
        return True
    return any(_grants(rule, asked) for rule in _rules(store, user, asked.namespace))


def _rules(store: Store, user: User, namespace: str) -> Iterator[Object]:
    bindings = store.list(CLUSTER_ROLE_BINDINGS.key)
    if namespace:
        bindings += store.list(ROLE_BINDINGS.key, namespace)
    for binding in bindings:
        if any(_is_meant(subject, user, binding) for subject in binding.get("subjects") or ()):
            yield from _role(store, binding).get("rules") or ()


def _role(store: Store, binding: Object) -> Object:
    """The role that is bound; one that does not exist grants nothing."""
    reference, namespace = binding["roleRef"], binding["metadata"].get("namespace", "")
    if reference["kind"] == CLUSTER_ROLES.kind:
        return store.get(CLUSTER_ROLES.key, "", reference["name"]) or {}
    return store.get(ROLES.key, namespace, reference["name"]) or {}


def _is_meant(subject: Object, user: User, binding: Object) -> bool:
    match subject["kind"]:
        case "ServiceAccount":
            namespace = subject.get("namespace") or binding["metadata"].get("namespace", "")
            return user.name == f"system:serviceaccount:{namespace}:{subject['name']}"
        case "Group":
            return subject["name"] in user.groups
        case _:
            return bool(user.name == subject["name"])


def _grants(rule: Object, asked: Attributes) -> bool:
    names = rule.get("resourceNames") or ()
    return (
        _has(rule.get("verbs"), asked.verb)
        and _has(rule.get("apiGroups"), asked.group)
        and (_has(rule.get("resources"), asked.full_resource) or _any_with(rule, asked.subresource))
        and (not names or asked.name in names)
    )


def _has(values: list[str] | None, wanted: str) -> bool:
    return "*" in (values or ()) or wanted in (values or ())


def _any_with(rule: Object, subresource: str) -> bool:
    """`*/scale` is the scale of everything."""
    return bool(subresource) and f"*/{subresource}" in (rule.get("resources") or ())
