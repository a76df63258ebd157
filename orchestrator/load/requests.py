"""The bytes of each request: a pure function of order, route and arrival number, so that nothing has to be remembered."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from urllib.parse import quote, urlsplit

import orjson

from orchestrator.load.order import Contents, UserPool, WorkerOrder
from orchestrator.load.queries import PHRASE_BYTES, query

FIELDS = re.compile(r"\{(query|content_id|user_id|operation_id)\}")
_SKEW_BYTES = 6
_USER_AGENT = "chaos-orchestrator"


@dataclass(frozen=True, slots=True)
class User:
    """One simulated user: an id and the headers that only this user sends."""

    user_id: str
    headers: bytes
    token: str


def _users(pool: UserPool) -> tuple[list[User], list[User]]:
    """Known and anonymous users, each with an address of its own."""
    addresses = (pool.first_address + number for number in range(len(pool.known) + pool.anonymous))
    known = [
        User(user.user_id, f"X-Forwarded-For: {next(addresses)}\r\nAuthorization: Bearer {user.token}\r\n".encode(), user.token)
        for user in pool.known
    ]
    anonymous = [User(f"visitor-{n}", f"X-Forwarded-For: {next(addresses)}\r\n".encode(), "") for n in range(pool.anonymous)]
    return known, anonymous


class Template:
    """Text with fields, cut once: even pieces are literal, odd ones are names of fields."""

    def __init__(self, text: str) -> None:
        self._pieces = FIELDS.split(text)
        self.fields = frozenset(self._pieces[1::2])

    def fill(self, values: Mapping[str, str]) -> str:
        pieces = self._pieces.copy()
        for at in range(1, len(pieces), 2):
            pieces[at] = values[pieces[at]]
        return "".join(pieces)


class RequestMaker:
    """Makes the requests of one route."""

    def __init__(self, order: WorkerOrder, name: str, users: tuple[list[User], list[User]]) -> None:
        route = order.routes[name]
        url = urlsplit(order.base_url)
        self._name = f"{order.plan.source}-{name}"
        self._seed = order.seed
        self._key = blake2b(f"{order.seed}/{self._name}".encode()).digest()
        self._known, self._anonymous = users
        self._ratio = route.authenticated_ratio
        self._contents: Contents = order.contents
        self._path = Template(f"{route.method} {url.path.rstrip('/')}{route.path} HTTP/1.1\r\n")
        self._body = None if route.body is None else Template(orjson.dumps(route.body).decode())
        kind = b"" if route.body is None else b"Content-Type: application/json\r\n"
        host = url.netloc.rpartition("@")[2]
        self._head = f"Host: {host}\r\nUser-Agent: {_USER_AGENT}\r\nAccept: application/json\r\n".encode() + kind
        self._check = {path: Template(text) for path, text in route.check.equals.items()}
        self._needed = self._path.fields.union(*(t.fields for t in (self._body, *self._check.values()) if t is not None))

    def make(self, number: int) -> bytes:
        """The whole request with arrival number `number`."""
        user = self.user(number)
        values = self._values(number, user)
        path = self._path.fill({field: quote(values[field], safe="") for field in self._path.fields})
        if self._body is None:
            return b"%b%b%bContent-Length: 0\r\n\r\n" % (path.encode(), self._head, user.headers)
        body = self._body.fill(values).encode()
        return b"%b%b%bContent-Length: %d\r\n\r\n%b" % (path.encode(), self._head, user.headers, len(body), body)

    def expected(self, number: int) -> dict[str, str]:
        """Dotted path in the answer -> the value that it must have."""
        if not self._check:
            return {}
        values = self._values(number, self.user(number))
        return {path: template.fill(values) for path, template in self._check.items()}

    def user(self, number: int) -> User:
        """Users take turns; calls with a token are spread evenly over a route's calls."""
        known_before = math.floor(number * self._ratio)
        if math.floor((number + 1) * self._ratio) > known_before:
            return self._known[(known_before + self._key[0]) % len(self._known)]
        return self._anonymous[(number - known_before + self._key[0]) % len(self._anonymous)]

    def _values(self, number: int, user: User) -> dict[str, str]:
        values = {"user_id": user.user_id, "operation_id": f"{self._name}-{self._seed:x}-{number}"}
        if self._needed & {"query", "content_id"}:
            random = blake2b(number.to_bytes(8), key=self._key, digest_size=PHRASE_BYTES + _SKEW_BYTES).digest()
            values["query"] = query(random)
            values["content_id"] = self._content_id(random[PHRASE_BYTES:])
        return values

    def _content_id(self, random: bytes) -> str:
        # Log-uniform, that is Zipf with exponent 1: of 10,000 items the first 100 get half of the calls.
        share = int.from_bytes(random) / 2 ** (8 * len(random))
        return self._contents.id_format.format(number=int((self._contents.count + 1) ** share))


def request_makers(order: WorkerOrder) -> dict[str, RequestMaker]:
    """One maker a route."""
    users = _users(order.users)
    return {name: RequestMaker(order, name, users) for name in order.routes}
