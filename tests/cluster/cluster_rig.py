"""The cluster that the tests use: how to speak with it, and how to wait for it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import asyncpg
import httpx

ROOT = Path(__file__).parents[2]
KUBECTL = Path(sys.executable).with_name("kubectl")
KUBECONFIG = os.environ.get("CLUSTER_KUBECONFIG", "")
"""Empty where there is no cluster to test on."""
OURS = bool(os.environ.get("CLUSTER_MAY_DRAIN"))
"""The cluster is the project's own: its nodes may be drained, entered and cut off."""
IMAGES = os.environ.get("CLUSTER_IMAGE_PREFIX", "docker.io/library/")
"""What comes before `platform:local` and the other images."""
CALL_WITHIN_S, LOOK_S = 60.0, 0.2
Document = dict[str, Any]


def kubectl(*words: str, given: str = "", fine: Iterable[int] = (0,), within_s: float = CALL_WITHIN_S) -> str:
    """What kubectl says on stdout. Fails the test where it ends with a code that is not fine."""
    return kubectl_bytes(*words, given=given.encode(), fine=fine, within_s=within_s).decode()


def kubectl_bytes(*words: str, given: bytes = b"", fine: Iterable[int] = (0,), within_s: float = CALL_WITHIN_S) -> bytes:
    """The same for what is no text."""
    done = subprocess.run(command(*words), input=given, capture_output=True, timeout=within_s, check=False)
    assert done.returncode in fine, (done.stdout + done.stderr).decode(errors="replace")
    return done.stdout


def command(*words: str) -> list[str]:
    return [str(KUBECTL), "--kubeconfig", KUBECONFIG, *words]


def until(what: str, look: Callable[[], object], within_s: float = 60.0) -> float:
    """Wait for a condition; returns how long it took. A server that is away is a condition that does not hold yet."""
    began = time.monotonic()
    while not _holds(look):
        assert time.monotonic() - began < within_s, f"not within {within_s:g} s: {what}"
        time.sleep(LOOK_S)
    return time.monotonic() - began


def _holds(look: Callable[[], object]) -> bool:
    try:
        return bool(look())
    except (OSError, TimeoutError, httpx.HTTPError, asyncpg.PostgresError):
        return False
