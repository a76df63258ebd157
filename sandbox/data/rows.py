"""The rows that the database starts with, apart from the catalogue: availability by region, users."""

from collections.abc import Iterable, Iterator
from hashlib import scrypt
from random import Random

from sandbox.data.catalogue import Item

USERS = 1_000
REGIONS: dict[str, float] = {"US": 0.95, "GB": 0.70, "DE": 0.55}  # share of the items that a region gets
_TIER = "pro"


def availability(items: Iterable[Item]) -> Iterator[tuple[str, str, str]]:
    """(content id, region, platform) for every platform on which a region has the item."""
    for item in items:
        rng = Random(f"availability:{item.number}")
        for region, share in REGIONS.items():
            if rng.random() < share:
                yield from ((item.id, region, platform) for platform in item.platforms)


def users(password: str) -> Iterator[tuple[str, str, str, str]]:
    """(id, email, tier, password hash) of user-0001 to user-1000, who share one password."""
    for number in range(1, USERS + 1):
        user = f"user-{number:04d}"
        yield user, f"{user}@example.org", _TIER, password_hash(user, password)


def password_hash(user: str, password: str) -> str:
    """Hex scrypt, salted with the user's id; as cheap as scrypt gets, since the load logs in often and nothing is secret."""
    return scrypt(password.encode(), salt=user.encode(), n=2, r=1, p=1).hex()
