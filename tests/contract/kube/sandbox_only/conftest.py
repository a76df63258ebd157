"""What only the sandbox has: its store, its service relay, the processes that are its pods. A real cluster has no such inside."""

from pathlib import Path

import backends
import pytest
from backends import Backend, Sandbox
from kube_harness import RunningCluster

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if backends.REAL and item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.skip(reason="the inside of the sandbox"))


@pytest.fixture(scope="session")
def cluster(backend: Backend) -> RunningCluster:
    assert isinstance(backend, Sandbox)
    return backend.running
