"""The images of the cluster, each busybox plus something, and the store with which every node's disk begins."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from testbed import rootfs
from testbed.archive import write_archive
from testbed.layout import Folders
from testbed.shell import run, step, succeeds, wait_for

PREFIX = "docker.io/library/"
FOREVER = "2000000000"


@dataclass(frozen=True, slots=True)
class Image:
    """A name, what is added to busybox, and how it starts."""

    name: str
    fill: Callable[[Path], None] | None = None
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def reference(self) -> str:
        return f"{PREFIX}{self.name}:local"


def base_images(folders: Folders) -> list[Image]:
    """Those that are of no project: what a cluster needs, and the parts that come ready."""
    toxiproxy, coredns = folders.binaries / "toxiproxy", folders.binaries / "coredns"
    return [
        Image("pause", config={"Entrypoint": ["/bin/sleep", FOREVER]}),
        Image("busybox", config={"Cmd": ["sh"]}),
        Image("redis", rootfs.redis, {"Entrypoint": ["redis-server", "--protected-mode", "no", "--save", ""]}),
        Image("toxiproxy", partial(rootfs.binary, toxiproxy), {"Entrypoint": ["toxiproxy", "-host", "0.0.0.0", "-proxy-metrics"]}),
        Image("coredns", partial(rootfs.binary, coredns), {"Entrypoint": ["coredns"]}),
    ]


def build_images(folders: Folders, images: Iterable[Image]) -> list[Path]:
    """An archive of each; returns their paths."""
    folders.images.mkdir(parents=True, exist_ok=True)
    archives = []
    for image in images:
        # A name of its own: another checkout may build at the same time, in the same cache.
        with tempfile.TemporaryDirectory(prefix="stage-", dir=folders.cache) as name:
            stage = Path(name)
            rootfs.busybox(stage)
            if image.fill is not None:
                image.fill(stage)
            archive = folders.images / f"{image.name}.tar"
            write_archive(archive, image.reference, stage, image.config)
        archives.append(archive)
    return archives


def ensure_base_images(folders: Folders) -> None:
    """Build the base images and the store, unless they are there. Raises TestbedError."""
    if folders.store.exists():
        return
    with step("base images"):
        archives = build_images(folders, base_images(folders))
    with step("image store"):
        fresh = folders.cache / "store.part"
        shutil.rmtree(fresh, ignore_errors=True)
        fill_store(folders, fresh, archives)
        fresh.rename(folders.store)


def fill_store(folders: Folders, root: Path, archives: Iterable[Path]) -> None:
    """Import archives into a containerd root, by a containerd that lives only for that. Raises TestbedError."""
    state = folders.cache / "state"
    config, address = folders.cache / "containerd.toml", f"--address={state}/containerd.sock"
    config.write_text(
        f'version = 2\nroot = "{root}"\nstate = "{state}"\n'
        'disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]\n'
        f'[grpc]\n  address = "{state}/containerd.sock"\n',
        encoding="utf-8",
    )
    process = subprocess.Popen(["unshare", "--mount", "containerd", "--config", str(config), "--log-level", "error"])
    try:
        wait_for("containerd", lambda: succeeds(["ctr", address, "version"]))
        for archive in archives:
            run(["ctr", address, "--namespace=k8s.io", "images", "import", archive], quiet=True)
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(state, ignore_errors=True)
