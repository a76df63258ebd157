"""A command of the target description is run: words, never a shell."""

from __future__ import annotations

import asyncio
import re
import shlex
import subprocess
import tempfile
from collections.abc import Sequence

from chaos_nodes.role import NODE
from orchestrator.errors import TargetError

NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
"""A node's name. Source: Kubernetes, Object names, DNS subdomain names. It can be no option of a command."""
KEPT = 400
"""So many characters of what a command said last are told."""


def command(words: Sequence[str], node: str) -> list[str]:
    """The words for this node. Raises TargetError for what is no node's name."""
    if not NAME.fullmatch(node):
        raise TargetError(f"{node!r} is not the name of a node")
    return [word.replace(NODE, node) for word in words]


def in_words(words: Sequence[str], node: str) -> str:
    """The same for a person's shell."""
    return shlex.join(command(words, node))


async def drive(words: Sequence[str], node: str, within_s: float) -> None:
    """Run it to its end. Raises TargetError when it cannot be run, fails, or takes longer; then it is killed."""
    await asyncio.to_thread(_run, command(words, node), within_s)


def _run(given: list[str], within_s: float) -> None:
    said_as = shlex.join(given)
    # A file, not a pipe: something that the command starts and leaves running would hold a pipe open.
    with tempfile.TemporaryFile() as said:
        try:
            done = subprocess.run(given, stdin=subprocess.DEVNULL, stdout=said, stderr=said, timeout=within_s, check=False)
        except subprocess.TimeoutExpired as error:
            raise TargetError(f"`{said_as}` did not end within {within_s:g} s and was killed") from error
        except OSError as error:
            raise TargetError(f"`{said_as}` cannot be run: {error.strerror}") from error
        if done.returncode != 0:
            said.seek(0)
            last = " ".join(said.read().decode("utf-8", "replace").split())[-KEPT:]
            raise TargetError(f"`{said_as}` failed with {done.returncode}: {last or 'it said nothing'}")
