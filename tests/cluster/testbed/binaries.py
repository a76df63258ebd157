"""Kubernetes, CoreDNS and Toxiproxy from their Go modules: one binary for every part of Kubernetes with etcd, one for each other."""

from __future__ import annotations

import os
import shutil
import sys

from testbed.layout import COREDNS, ETCD, HERE, KUBERNETES, TOXIPROXY, Folders
from testbed.shell import run, step

TOXIPROXY_MODULE = "github.com/Shopify/toxiproxy/v2"
VERSION_PACKAGE = "k8s.io/component-base/version"


def build(folders: Folders) -> None:
    """Build what is not there yet (7 minutes with nothing cached, of two cores). Raises TestbedError."""
    folders.binaries.mkdir(parents=True, exist_ok=True)
    env = {**os.environ, "CGO_ENABLED": "0", "GOBIN": str(folders.binaries), "GOFLAGS": "-buildvcs=false -trimpath"}
    for name, work in (("coredns", _coredns), ("toxiproxy", _toxiproxy), ("kube", _kube)):
        if not (folders.binaries / name).exists():
            with step(f"building {name}"):
                work(folders, env)


def _coredns(_: Folders, env: dict[str, str]) -> None:
    run(["go", "install", "-ldflags=-s -w", f"github.com/coredns/coredns@{COREDNS}"], env=env)


def _toxiproxy(folders: Folders, env: dict[str, str]) -> None:
    flags = f"-ldflags=-s -w -X {TOXIPROXY_MODULE}.Version={TOXIPROXY[1:]}"
    run(["go", "install", flags, f"{TOXIPROXY_MODULE}/cmd/server@{TOXIPROXY}"], env=env)
    (folders.binaries / "server").rename(folders.binaries / "toxiproxy")


def _kube(folders: Folders, env: dict[str, str]) -> None:
    source = folders.cache / "source"
    shutil.copytree(HERE / "kube", source, dirs_exist_ok=True)
    run([sys.executable, "go_module.py", KUBERNETES, ETCD], cwd=source, env=env)
    major, minor = KUBERNETES[1:].split(".")[:2]
    stamps = {"gitVersion": KUBERNETES, "gitMajor": major, "gitMinor": minor}
    flags = "-s -w " + " ".join(f"-X {VERSION_PACKAGE}.{key}={value}" for key, value in stamps.items())
    # First beside its place: an interrupted build must not look like a finished one.
    run(["go", "build", "-o", folders.binaries / "kube.part", "-ldflags", flags, "."], cwd=source, env=env)
    (folders.binaries / "kube.part").rename(folders.binaries / "kube")
