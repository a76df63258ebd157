"""`go_module.py KUBERNETES ETCD` writes go.mod for main.go.

Kubernetes pins its own parts by `replace`, which Go ignores in a dependency, so they are repeated here.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    kubernetes, etcd = sys.argv[1:]
    staging = "v0." + kubernetes.split(".", 1)[1]
    module = _json("mod", "download", "-json", f"k8s.io/kubernetes@{kubernetes}")
    theirs = _json("mod", "edit", "-json", module["GoMod"])
    replaced = [f"-replace={one['Old']['Path']}={one['Old']['Path']}@{staging}" for one in theirs["Replace"]]
    settings = [f"-godebug={one['Key']}={one['Value']}" for one in theirs.get("Godebug") or []]
    required = [f"-require=k8s.io/kubernetes@{kubernetes}", f"-require=go.etcd.io/etcd/server/v3@{etcd}"]
    Path("go.mod").write_text("module kube\n", encoding="utf-8")
    _go("mod", "edit", f"-go={theirs['Go']}", *required, *replaced, *settings)
    _go("mod", "tidy")


def _json(*words: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(_go(*words))
    return document


def _go(*words: str) -> bytes:
    return subprocess.run(["go", *words], stdout=subprocess.PIPE, check=True).stdout


if __name__ == "__main__":
    main()
