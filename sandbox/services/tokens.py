"""Access and refresh tokens: JWT, HS256. Verifying one needs nothing but the secret."""

import time
import uuid
from dataclasses import dataclass
from typing import Any

import jwt

_ALGORITHM = "HS256"
_REMEMBERED = 10_000


class BadToken(Exception):  # noqa: N818 - what the caller sent
    """Not a token of ours, or one whose time is over."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who calls: the claims of a verified access token."""

    user_id: str
    tier: str
    session_id: str


@dataclass(frozen=True, slots=True)
class Refresh:
    """The claims of a verified refresh token; `jti` is its turn within its family."""

    user_id: str
    tier: str
    session_id: str
    jti: str


class Tokens:
    """Issues and verifies the tokens of one platform."""

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._verified: dict[str, dict[str, Any]] = {}

    def issue(self, kind: str, identity: Identity, *, lives_s: int) -> tuple[str, str]:
        """A token and its jti; kind is access or refresh."""
        now, jti = int(time.time()), uuid.uuid4().hex
        claims = {
            "sub": identity.user_id,
            "tier": identity.tier,
            "sid": identity.session_id,
            "typ": kind,
            "jti": jti,
            "iat": now,
            "exp": now + lives_s,
        }
        return jwt.encode(claims, self._secret, algorithm=_ALGORITHM), jti

    def identity(self, token: str) -> Identity:
        """The bearer of an access token; raises BadToken. A token of another issuer may lack session and type."""
        claims = self._claims(token)
        if claims.get("typ", "access") != "access":
            raise BadToken("not an access token")
        return Identity(claims["sub"], str(claims.get("tier", "free")), str(claims.get("sid", "")))

    def refresh(self, token: str) -> Refresh:
        """The claims of a refresh token; raises BadToken."""
        claims = self._claims(token)
        if claims.get("typ") != "refresh":
            raise BadToken("not a refresh token")
        return Refresh(claims["sub"], str(claims["tier"]), str(claims["sid"]), str(claims["jti"]))

    def _claims(self, token: str) -> dict[str, Any]:
        """The claims; a signature is verified once, the time at every call."""
        claims = self._verified.get(token)
        if claims is None:
            claims = self._verify(token)
            if len(self._verified) >= _REMEMBERED:
                self._verified.clear()
            self._verified[token] = claims
        if claims["exp"] <= time.time():
            raise BadToken("the token has expired")
        return claims

    def _verify(self, token: str) -> dict[str, Any]:
        try:
            return jwt.decode(token, self._secret, algorithms=[_ALGORITHM], options={"require": ["sub", "exp"]})
        except jwt.InvalidTokenError as error:
            raise BadToken(str(error)) from error


def bearer(header: str | None) -> str | None:
    """The token of an Authorization header; None when there is none."""
    scheme, _, token = (header or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None
