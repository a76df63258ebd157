"""The table of kinds that the API serves."""

from dataclasses import dataclass

from sandbox.kube import errors

_ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
_ALWAYS = ("metadata.name", "metadata.namespace")
_EVENT_FIELDS = (
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "reportingComponent",
    "source",
    "type",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One kind: how it is named, where it lives, what can be asked of it."""

    plural: str
    kind: str
    group: str = ""
    version: str = "v1"
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    verbs: tuple[str, ...] = _ALL_VERBS
    fields: tuple[str, ...] = ()
    """Field selectors beyond metadata.name and metadata.namespace."""
    generation: bool = False
    """Counts changes of its spec in metadata.generation."""

    @property
    def key(self) -> str:
        """Its name in the store: 'pods', 'deployments.apps'."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def singular(self) -> str:
        return self.kind.lower()

    @property
    def selectable_fields(self) -> tuple[str, ...]:
        return _ALWAYS + self.fields

    @property
    def has_status(self) -> bool:
        return "status" in self.subresources


PODS = Resource(
    plural="pods",
    kind="Pod",
    short_names=("po",),
    categories=("all",),
    subresources=("status", "log", "eviction", "proxy"),
    fields=("spec.nodeName", "spec.restartPolicy", "spec.serviceAccountName", "status.phase", "status.podIP"),
)
SERVICES = Resource(
    plural="services",
    kind="Service",
    short_names=("svc",),
    categories=("all",),
    subresources=("status", "proxy"),
    fields=("spec.clusterIP", "spec.type"),
)
ENDPOINTS = Resource(plural="endpoints", kind="Endpoints", short_names=("ep",))
CONFIG_MAPS = Resource(plural="configmaps", kind="ConfigMap", short_names=("cm",))
EVENTS = Resource(plural="events", kind="Event", short_names=("ev",), fields=_EVENT_FIELDS)
NAMESPACES = Resource(
    plural="namespaces",
    kind="Namespace",
    namespaced=False,
    short_names=("ns",),
    subresources=("status",),
    verbs=("create", "delete", "get", "list", "patch", "update", "watch"),
    fields=("status.phase",),
)
NODES = Resource(
    plural="nodes",
    kind="Node",
    namespaced=False,
    short_names=("no",),
    subresources=("status",),
    fields=("spec.unschedulable",),
)
SERVICE_ACCOUNTS = Resource(plural="serviceaccounts", kind="ServiceAccount", short_names=("sa",), subresources=("token",))
DEPLOYMENTS = Resource(
    group="apps",
    plural="deployments",
    kind="Deployment",
    short_names=("deploy",),
    categories=("all",),
    subresources=("status", "scale"),
    generation=True,
)
REPLICA_SETS = Resource(
    group="apps",
    plural="replicasets",
    kind="ReplicaSet",
    short_names=("rs",),
    categories=("all",),
    subresources=("status", "scale"),
    fields=("status.replicas",),
    generation=True,
)
STATEFUL_SETS = Resource(
    group="apps",
    plural="statefulsets",
    kind="StatefulSet",
    short_names=("sts",),
    categories=("all",),
    subresources=("status", "scale"),
    generation=True,
)
CONTROLLER_REVISIONS = Resource(group="apps", plural="controllerrevisions", kind="ControllerRevision")
ENDPOINT_SLICES = Resource(group="discovery.k8s.io", plural="endpointslices", kind="EndpointSlice")
LEASES = Resource(group="coordination.k8s.io", plural="leases", kind="Lease")
DISRUPTION_BUDGETS = Resource(
    group="policy",
    plural="poddisruptionbudgets",
    kind="PodDisruptionBudget",
    short_names=("pdb",),
    subresources=("status",),
    generation=True,
)
RBAC = "rbac.authorization.k8s.io"
ROLES = Resource(group=RBAC, plural="roles", kind="Role")
ROLE_BINDINGS = Resource(group=RBAC, plural="rolebindings", kind="RoleBinding")
CLUSTER_ROLES = Resource(group=RBAC, plural="clusterroles", kind="ClusterRole", namespaced=False)
CLUSTER_ROLE_BINDINGS = Resource(group=RBAC, plural="clusterrolebindings", kind="ClusterRoleBinding", namespaced=False)
ACCESS_REVIEWS = Resource(
    group="authorization.k8s.io",
    plural="selfsubjectaccessreviews",
    kind="SelfSubjectAccessReview",
    namespaced=False,
    verbs=("create",),
)

ALL = (
    PODS,
    SERVICES,
    ENDPOINTS,
    CONFIG_MAPS,
    EVENTS,
    NAMESPACES,
    NODES,
    SERVICE_ACCOUNTS,
    DEPLOYMENTS,
    REPLICA_SETS,
    STATEFUL_SETS,
    CONTROLLER_REVISIONS,
    ENDPOINT_SLICES,
    LEASES,
    DISRUPTION_BUDGETS,
    ROLES,
    ROLE_BINDINGS,
    CLUSTER_ROLES,
    CLUSTER_ROLE_BINDINGS,
    ACCESS_REVIEWS,
)

_BY_PATH = {(resource.group, resource.version, resource.plural): resource for resource in ALL}
_BY_KIND = {(resource.api_version, resource.kind): resource for resource in ALL}


def for_path(group: str, version: str, plural: str) -> Resource:
    """The resource behind /apis/GROUP/VERSION/PLURAL. Raises ApiError 404."""
    try:
        return _BY_PATH[group, version, plural]
    except KeyError:
        raise errors.unknown_path() from None


def for_kind(api_version: str, kind: str) -> Resource:
    """The resource of an object. Raises ApiError 404."""
    try:
        return _BY_KIND[api_version, kind]
    except KeyError:
        raise errors.ApiError(404, "NotFound", f'no matches for kind "{kind}" in version "{api_version}"') from None
