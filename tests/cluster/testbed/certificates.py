"""One authority, one certificate and kubeconfig for each part of the cluster."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from testbed.layout import API_PORT, API_SERVICE_IP, CONTROL_IP, Folders, node_ip
from testbed.shell import run

KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
DAYS = "365"
INSIDE = f"https://127.0.0.1:{API_PORT}"
FROM_NODES = f"https://{CONTROL_IP}:{API_PORT}"
CLUSTER_NAMES = "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local"
API_NAMES = f"{CLUSTER_NAMES},DNS:localhost,IP:127.0.0.1,IP:{CONTROL_IP},IP:{API_SERVICE_IP}"


@dataclass(frozen=True, slots=True)
class Part:
    """Who it is, by which address it reaches the API server, and the names that it answers to."""

    name: str
    subject: str
    server: str
    names: str = ""


def parts(nodes: Sequence[str], api_port: int) -> list[Part]:
    """All of them. The administrator comes from the host, by its port."""
    return [
        Part("apiserver", "/CN=kube-apiserver", INSIDE, API_NAMES),
        Part("admin", "/O=system:masters/CN=admin", f"https://127.0.0.1:{api_port}"),
        Part("apiserver-kubelet", "/O=system:masters/CN=kube-apiserver-kubelet", INSIDE),
        Part("controller-manager", "/CN=system:kube-controller-manager", INSIDE),
        Part("scheduler", "/CN=system:kube-scheduler", INSIDE),
        Part("proxy", "/CN=system:kube-proxy", FROM_NODES),
        *(Part(node, f"/O=system:nodes/CN=system:node:{node}", FROM_NODES, f"DNS:{node},IP:{node_ip(node)}") for node in nodes),
    ]


def issue(folders: Folders, nodes: Sequence[str], api_port: int) -> None:
    """Make those that are not there. Raises TestbedError."""
    pki = folders.pki
    pki.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not (pki / "ca.crt").exists():
        _authority(pki)
    for part in parts(nodes, api_port):
        if not (pki / f"{part.name}.crt").exists():
            _certificate(pki, part)
        (pki / f"{part.name}.conf").write_text(json.dumps(_kubeconfig(pki, part), indent=1), encoding="utf-8")


def _authority(pki: Path) -> None:
    usage = ("-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    _openssl(pki, "req", "-x509", *KEY, "-keyout", "ca.key", "-out", "ca.crt", "-days", DAYS, "-subj", "/CN=kube-ca", *usage)
    _openssl(pki, "genrsa", "-out", "sa.key", "2048")
    _openssl(pki, "rsa", "-in", "sa.key", "-pubout", "-out", "sa.pub")


def _certificate(pki: Path, part: Part) -> None:
    names = f"subjectAltName={part.names}\n" if part.names else ""
    (pki / "extensions").write_text(f"extendedKeyUsage=serverAuth,clientAuth\n{names}", encoding="utf-8")
    own = (f"{part.name}.key", f"{part.name}.csr", f"{part.name}.crt")
    _openssl(pki, "req", *KEY, "-keyout", own[0], "-out", own[1], "-subj", part.subject)
    by = ("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial")
    _openssl(pki, "x509", "-req", "-in", own[1], *by, "-days", DAYS, "-out", own[2], "-extfile", "extensions")


def _kubeconfig(pki: Path, part: Part) -> dict[str, object]:
    def data(name: str) -> str:
        return base64.b64encode((pki / name).read_bytes()).decode()

    user = {"client-certificate-data": data(f"{part.name}.crt"), "client-key-data": data(f"{part.name}.key")}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "cluster",
        "clusters": [{"name": "cluster", "cluster": {"server": part.server, "certificate-authority-data": data("ca.crt")}}],
        "users": [{"name": part.name, "user": user}],
        "contexts": [{"name": "cluster", "context": {"cluster": "cluster", "user": part.name}}],
    }


def _openssl(pki: Path, *words: str) -> None:
    run(["openssl", *words], quiet=True, cwd=pki)
