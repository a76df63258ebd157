"""A folder as a container image in one file (docker-archive), the same bytes for the same content."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ENVIRONMENT = ("PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin", "PYTHONUNBUFFERED=1", "LANG=C.UTF-8")


def write_archive(out: Path, reference: str, root: Path, config: Mapping[str, Any]) -> None:
    """Write the folder as the one layer of an image of this name. `config` is OCI's: Entrypoint, Cmd, User."""
    layer = _layer(root)
    digest = hashlib.sha256(layer).hexdigest()
    image = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Env": list(ENVIRONMENT), "WorkingDir": "/", **config},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        }
    ).encode()
    name = f"{hashlib.sha256(image).hexdigest()}.json"
    manifest = json.dumps([{"Config": name, "RepoTags": [reference], "Layers": [f"{digest}/layer.tar"]}]).encode()
    with tarfile.open(out, "w") as tar:
        for path, content in ((name, image), (f"{digest}/layer.tar", layer), ("manifest.json", manifest)):
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))


def _layer(root: Path) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for entry in sorted(os.listdir(root)):
            tar.add(root / entry, entry, filter=_of_nobody_in_particular)
    return data.getvalue()


def _of_nobody_in_particular(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Root's, and without a date."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime = 0
    return entry
