"""The mirrored ledger against an API server, by the administrator."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from kube_clients import Kube
from mirror_cases import CASES, Scene

from probes.target import Kubernetes


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
async def test_the_mirrored_ledger(case: Callable[[Scene], Awaitable[None]], kube: Kube, tmp_path: Path) -> None:
    target = Kubernetes(kubeconfig=kube.backend.kubeconfig, context=kube.backend.context, namespace=kube.namespace)
    scene = Scene(target, "db", 3, tmp_path)
    try:
        await case(scene)
    finally:
        await scene.clear()
