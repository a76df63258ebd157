"""Who asks: the administrator by the cluster's one token, or a ServiceAccount by a token that was issued for it."""

import hmac
import secrets
import time
from dataclasses import dataclass

from sandbox.kube import errors
from sandbox.kube.objects import Object, format_time, name_of, namespace_of, uid_of
from sandbox.kube.resources import SERVICE_ACCOUNTS
from sandbox.kube.store import Store

MASTERS = "system:masters"
AUTHENTICATED = "system:authenticated"
_SHORTEST_S, _USUAL_S = 600, 3600


@dataclass(frozen=True, slots=True)
class User:
    """As roles are bound to it."""

    name: str
    groups: frozenset[str]


ADMINISTRATOR = User("kubernetes-admin", frozenset((MASTERS, AUTHENTICATED)))


@dataclass(frozen=True, slots=True)
class _Issued:
    namespace: str
    name: str
    uid: str
    until_s: float


class Identities:
    """The tokens of one cluster; those of accounts are gone with it."""

    def __init__(self, store: Store, token: str) -> None:
        self._store = store
        self._administrator = f"Bearer {token}".encode()
        self._issued: dict[str, _Issued] = {}

    def of(self, authorization: str) -> User:
        """The user behind an Authorization header. Raises ApiError 401 for a token that is unknown, over, or of an account that is gone."""
        if hmac.compare_digest(authorization.encode(errors="surrogateescape"), self._administrator):
            return ADMINISTRATOR
        scheme, _, token = authorization.partition(" ")
        issued = self._issued.get(token) if scheme == "Bearer" else None
        if issued is None or issued.until_s < time.time() or not self._is_there(issued):
            raise errors.unauthorized()
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{issued.namespace}", AUTHENTICATED)
        return User(f"system:serviceaccount:{issued.namespace}:{issued.name}", frozenset(groups))

    def _is_there(self, issued: _Issued) -> bool:
        account = self._store.get(SERVICE_ACCOUNTS.key, issued.namespace, issued.name)
        return account is not None and uid_of(account) == issued.uid

    def issue(self, account: Object, request: Object) -> Object:
        """Answer a TokenRequest for a ServiceAccount. Raises ApiError 422 for less than 10 minutes."""
        lasts_s = (request.get("spec") or {}).get("expirationSeconds") or _USUAL_S
        if lasts_s < _SHORTEST_S:
            why = "Invalid value: may not specify a duration less than 10 minutes"
            raise errors.invalid("TokenRequest", "authentication.k8s.io", "", "spec.expirationSeconds", why)
        token, until_s = secrets.token_urlsafe(32), time.time() + lasts_s
        self._issued[token] = _Issued(namespace_of(account), name_of(account), uid_of(account), until_s)
        return {
            "kind": "TokenRequest",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {"name": name_of(account), "namespace": namespace_of(account), "creationTimestamp": None},
            "spec": {"audiences": [], "expirationSeconds": lasts_s},
            "status": {"token": token, "expirationTimestamp": format_time(until_s)},
        }
