"""The mirrored ledger against the sandbox's API server."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from kube_clients import Kube
from kube_objects import NAMESPACE
from mirror_cases import CASES, Scene

from probes.target import Kubernetes


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
async def test_the_mirrored_ledger(case: Callable[[Scene], Awaitable[None]], kube: Kube, tmp_path: Path) -> None:
    target = Kubernetes(kubeconfig=Path(kube.cluster.kubeconfig), context="sandbox", namespace=NAMESPACE)
    scene = Scene(target, "db", 3, tmp_path)
    try:
        await case(scene)
    finally:
        await scene.clear()
