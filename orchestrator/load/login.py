"""Logs the test users in, before the load starts."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address

import httpx

from orchestrator.load.order import KnownUser
from probes.target import TargetDescription, Users

_AT_ONCE = 16
_TIMEOUT_S = 10.0
_FIRST_ADDRESS = IPv4Address("100.112.0.0")  # shared address space of RFC 6598, beside the users of load and outside probe


class LoginError(Exception):
    """Test users could not log in; the text is one sentence."""


async def log_in(description: TargetDescription, numbers: Sequence[int], environment: Mapping[str, str]) -> list[KnownUser]:
    """The users with their tokens, in the order of `numbers`; none on a platform without. Raises LoginError when one of them fails."""
    users = description.users
    if users is None or not numbers:
        return []
    password = environment.get(users.password_env)
    if not password:
        raise LoginError(f"the password of the test users is missing: set {users.password_env} in the environment")
    slots = asyncio.Semaphore(_AT_ONCE)
    limits = httpx.Limits(max_connections=_AT_ONCE, max_keepalive_connections=_AT_ONCE)
    async with httpx.AsyncClient(base_url=description.gateway_url, timeout=_TIMEOUT_S, limits=limits, trust_env=False) as client:

        async def one(number: int) -> KnownUser | str:
            async with slots:
                return await _log_in(client, users, number, password)

        results = await asyncio.gather(*(one(number) for number in numbers))
    known = [result for result in results if isinstance(result, KnownUser)]
    failures = [result for result in results if isinstance(result, str)]
    if failures:
        where = f"{description.gateway_url}{users.login_path}"
        raise LoginError(f"{len(failures)} of {len(numbers)} test users could not log in at {where}: {failures[0]}")
    return known


async def _log_in(client: httpx.AsyncClient, users: Users, number: int, password: str) -> KnownUser | str:
    """The user with a token, or why there is none."""
    user_id = users.id_format.format(number=number)
    # The platform limits logins per client and anonymous calls per address, so every user has its own of both.
    headers = {"X-Client-ID": f"chaos-{user_id}", "X-Forwarded-For": str(_FIRST_ADDRESS + number)}
    try:
        answer = await client.post(users.login_path, json={"user_id": user_id, "password": password}, headers=headers)
    except httpx.HTTPError as error:
        return f"{user_id}: {str(error) or type(error).__name__}"
    if answer.status_code != 200:
        return f"{user_id} was answered {answer.status_code}"
    try:
        return KnownUser(user_id=user_id, token=answer.json()[users.token_field])
    except (ValueError, KeyError, TypeError):
        return f"{user_id} was answered 200 without a usable {users.token_field}"
