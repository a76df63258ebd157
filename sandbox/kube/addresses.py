"""Addresses of pods and Services in the sandbox's /16 of 127/8, which Linux lets any process bind."""

from collections.abc import Iterator
from zlib import crc32

from sandbox.kube import errors

_FIRST_STATEFUL = 200


class AddressPool:
    """Hands out addresses between two third octets in order; starts again only after all were used."""

    def __init__(self, prefix: str, first: int, last: int) -> None:
        self._all = [f"{prefix}.{third}.{fourth}" for third in range(first, last + 1) for fourth in range(1, 255)]
        self._next = self._cycle()
        self._taken: set[str] = set()

    def _cycle(self) -> Iterator[str]:
        while True:
            yield from self._all

    def take(self, wanted: str | None = None) -> str:
        """A free address, or the wanted one, which need not be of this pool. Raises ApiError 422 when it is taken."""
        if wanted is None:
            wanted = next(address for address in self._next if address not in self._taken)
        elif wanted in self._taken:
            raise errors.ApiError(422, "Invalid", f"provided IP is already allocated: {wanted}", {})
        self._taken.add(wanted)
        return wanted

    def release(self, address: str) -> None:
        self._taken.discard(address)


def service_pool(prefix: str) -> AddressPool:
    return AddressPool(prefix, 1, 1)


def pod_pool(prefix: str) -> AddressPool:
    return AddressPool(prefix, 16, _FIRST_STATEFUL - 1)


def stateful_address(prefix: str, pod: str) -> str:
    """The address of a StatefulSet's pod, the same after every restart: it stands in for the stable DNS name."""
    place = crc32(pod.encode()) % ((256 - _FIRST_STATEFUL) * 254)
    return f"{prefix}.{_FIRST_STATEFUL + place // 254}.{1 + place % 254}"
