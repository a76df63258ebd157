"""The test cluster's logic, where it needs neither root nor a cluster: images, addresses, certificates, who may start one."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import signal
import sys
import tarfile
from pathlib import Path

import pytest
from testbed import certificates, cluster, layout, machines, needs, trial
from testbed.__main__ import main
from testbed.archive import write_archive
from testbed.certificates import issue, parts
from testbed.layout import Folders
from testbed.ownership import only_one
from testbed.services import control_services, node_services
from testbed.shell import TestbedError, wait_for


def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path / "home", tmp_path / "cache")


def written(root: Path, out: Path) -> bytes:
    write_archive(out, "docker.io/library/thing:local", root, {"Cmd": ["sh"]})
    return out.read_bytes()


def test_an_image_is_the_same_bytes_for_the_same_files(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "bin").mkdir(parents=True)
        (tmp_path / name / "bin/sh").write_text("#!")
        (tmp_path / name / "bin/again").symlink_to("sh")
    assert written(tmp_path / "one", tmp_path / "a.tar") == written(tmp_path / "two", tmp_path / "b.tar")


def test_an_image_names_its_layer_by_its_digest(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root/file").write_text("content")
    written(tmp_path / "root", tmp_path / "a.tar")

    def content(name: str) -> bytes:
        with tarfile.open(tmp_path / "a.tar") as archive:
            member = archive.extractfile(name)
            assert member is not None
            return member.read()

    (manifest,) = json.loads(content("manifest.json"))
    config = content(manifest["Config"])
    layer = content(manifest["Layers"][0])
    assert manifest["RepoTags"] == ["docker.io/library/thing:local"]
    assert manifest["Config"] == f"{hashlib.sha256(config).hexdigest()}.json"
    assert json.loads(config)["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer).hexdigest()}"]
    with tarfile.open(fileobj=io.BytesIO(layer)) as unpacked:
        entry = unpacked.getmember("file")
    assert (entry.uid, entry.uname, entry.mtime) == (0, "", 0)


def test_addresses_follow_from_the_number_of_a_node() -> None:
    assert layout.node_names(2) == ["node1", "node2"]
    assert (layout.node_ip("node2"), layout.pod_cidr("node2"), layout.netns("node2")) == ("10.99.0.12", "10.244.2.0/24", "kube-node2")


def test_nodes_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    place = folders(tmp_path)
    for name in ("node10", "node2", "control"):
        (place.machines / name).mkdir(parents=True)
    assert place.nodes() == ["node2", "node10"]


def test_another_version_has_another_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    before = layout.cache_name()
    monkeypatch.setattr(layout, "ETCD", "v3.6.6")
    assert layout.cache_name() != before
    assert before.startswith(layout.KUBERNETES)


def test_folders_follow_the_environment(tmp_path: Path) -> None:
    place = Folders.of({"CLUSTER_DIR": str(tmp_path / "home"), "CLUSTER_CACHE": str(tmp_path / "cache")})
    assert place.home == tmp_path / "home"
    assert place.cache == tmp_path / "cache" / layout.cache_name()


def test_what_is_missing_is_said_with_the_packages_that_have_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(needs, "PACKAGES", {"no-such-command": "package-b", "/no/such/file": "package-a", "sh": "dash"})
    monkeypatch.setattr(needs.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(needs.platform, "machine", lambda: "aarch64")
    said = needs.missing(folders(tmp_path))
    assert said[0] == "it needs root: namespaces, cgroups and mounts are made"
    assert said[1].startswith("it needs an x86_64 machine")
    assert "packages are missing: apt-get install --no-install-recommends package-a package-b" in said


def test_a_folder_that_machines_replace_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(needs, "PACKAGES", {})
    assert any("must not lie below /var/lib" in one for one in needs.missing(Folders(Path("/var/lib/x"), Path("/tmp/y"))))


@pytest.mark.skipif(shutil.which("openssl") is None, reason="certificates of the test cluster are made by openssl")
def test_every_part_has_a_certificate_that_the_authority_signed(tmp_path: Path) -> None:
    place = folders(tmp_path)
    issue(place, ["node1"], 12345)
    first = (place.pki / "node1.crt").read_bytes()
    for part in parts(["node1"], 12345):
        document = json.loads((place.pki / f"{part.name}.conf").read_text())
        assert document["clusters"][0]["cluster"]["server"] == part.server
    assert json.loads(place.admin.read_text())["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:12345"
    issue(place, ["node1"], 12345)
    assert (place.pki / "node1.crt").read_bytes() == first
    certificates.run(["openssl", "verify", "-CAfile", "ca.crt", "node1.crt", "apiserver.crt"], quiet=True, cwd=place.pki)


def test_fast_timers_are_in_all_three_places(tmp_path: Path) -> None:
    place = folders(tmp_path)
    (place.machines / "node1").mkdir(parents=True)

    def said(fast: bool) -> str:
        services = control_services(place, fast=fast) | node_services(place, "node1", fast=fast)
        return str(services) + (place.machines / "node1/kubelet.yaml").read_text()

    for word in ("--node-monitor-grace-period=6s", "--default-not-ready-toleration-seconds=3", "nodeLeaseDurationSeconds"):
        assert word in said(True)
        assert word not in said(False)


def test_another_checkouts_cluster_is_never_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("testbed.ownership.LOCK", tmp_path / "lock")
    monkeypatch.setattr("testbed.ownership.NAMESPACES", tmp_path)
    monkeypatch.setattr("testbed.ownership.PATIENCE_S", 0.01)
    other, ours = Folders(tmp_path / "other", tmp_path), folders(tmp_path)
    other.home.mkdir()
    with only_one(other), pytest.raises(TestbedError, match="another command"), only_one(ours):
        pass
    with only_one(ours):
        pass
    with only_one(other):
        (tmp_path / layout.netns(layout.CONTROL)).touch()
    with pytest.raises(TestbedError, match=f"the cluster of {other.home} is up on this machine"), only_one(ours):
        pass
    (tmp_path / "lock").unlink()
    with only_one(other):
        pass


def test_a_trial_that_is_told_to_end_takes_its_cluster_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLUSTER_DIR", str(tmp_path / "home"))
    told: list[str] = []
    monkeypatch.setattr(trial, "testbed", lambda words: told.extend(words) or 0)
    monkeypatch.setattr(trial, "traces", set)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    ends_its_parent = "import os, signal, time; os.kill(os.getppid(), signal.SIGTERM); time.sleep(60)"
    try:
        assert trial.main([sys.executable, "-c", ends_its_parent]) == trial.INTERRUPTED
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert told == ["build", "up", "down"]


def test_a_look_needs_no_lock_and_a_change_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("testbed.ownership.LOCK", tmp_path / "lock")
    monkeypatch.setattr("testbed.ownership.NAMESPACES", tmp_path)
    monkeypatch.setattr("testbed.ownership.PATIENCE_S", 0.01)
    monkeypatch.setenv("CLUSTER_DIR", str(tmp_path / "home"))
    with only_one(folders(tmp_path)):
        assert main(["kubeconfig"]) == 0
        assert main(["cut", "node1"]) == 1
    said = capsys.readouterr()
    assert said.out.startswith(str(tmp_path / "home/pki/admin.conf"))
    assert "another command goes on changing a cluster" in said.err


@pytest.mark.parametrize("command", [["status"], ["cut", "node1"], ["heal", "control"]], ids=" ".join)
def test_without_a_cluster_a_sentence_says_so(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("testbed.ownership.LOCK", tmp_path / "lock")
    monkeypatch.setattr("testbed.ownership.NAMESPACES", tmp_path)
    monkeypatch.setenv("CLUSTER_DIR", str(tmp_path / "home"))
    assert main(command) == 1
    assert "there is no cluster: make cluster" in capsys.readouterr().err


def test_what_is_forgotten_is_our_own(tmp_path: Path) -> None:
    place = folders(tmp_path)
    (place.machines / "node1").mkdir(parents=True)
    place.pki.mkdir()
    (place.home / machines.API_PORT_FILE).touch()
    theirs = place.home / "theirs"
    theirs.touch()
    cluster.forget(place)
    assert list(place.home.iterdir()) == [theirs]
    theirs.unlink()
    cluster.forget(place)
    assert not place.home.exists()


def test_a_wait_ends() -> None:
    with pytest.raises(TestbedError, match=r"gave up after .* s: a miracle"):
        wait_for("a miracle", lambda: None, within_s=0.01)
    assert wait_for("truth", lambda: "yes") == "yes"
