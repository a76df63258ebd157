"""The services of each machine as command lines, with their configuration files."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from testbed.layout import API_PORT, CONTROL_IP, DNS_IP, PODS, SERVICES, Folders, netns, node_ip, pod_cidr

Services = dict[str, list[str]]
"""Name -> command, in the order of their start."""
FORWARD = "forward"
FAST_API = ("--default-not-ready-toleration-seconds=3", "--default-unreachable-toleration-seconds=3", "--etcd-compaction-interval=10s")
FAST_CONTROLLERS = ("--node-monitor-period=1s", "--node-monitor-grace-period=6s")
FAST_KUBELET = {"nodeStatusUpdateFrequency": "1s", "nodeLeaseDurationSeconds": 4}
"""A lost node is noticed after 6 to 8 s; with Kubernetes' own timers after 40 s, and its pods leave after 300 s more."""


def control_services(folders: Folders, *, fast: bool) -> Services:
    """Of the control machine."""
    kube, pki = str(folders.binaries / "kube"), folders.pki
    local = ["--bind-address=127.0.0.1", "--leader-elect=false"]
    return {
        "etcd": [kube, "etcd", "--data-dir=/var/lib/etcd", "--unsafe-no-fsync", "--log-level=warn"],
        FORWARD: [sys.executable, "-m", "testbed.forward"],
        "apiserver": [kube, "apiserver", *_api_flags(pki), *(FAST_API if fast else ())],
        "controller-manager": [
            *(kube, "controller-manager", *_credentials(pki, "controller-manager"), *local),
            *("--use-service-account-credentials", f"--service-account-private-key-file={pki}/sa.key"),
            *(f"--root-ca-file={pki}/ca.crt", f"--cluster-signing-cert-file={pki}/ca.crt", f"--cluster-signing-key-file={pki}/ca.key"),
            "--allocate-node-cidrs=false",
            *(FAST_CONTROLLERS if fast else ()),
        ],
        "scheduler": [kube, "scheduler", *_credentials(pki, "scheduler"), *local],
    }


def _credentials(pki: Path, part: str) -> list[str]:
    return [f"--{flag}={pki}/{part}.conf" for flag in ("kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig")]


def _api_flags(pki: Path) -> list[str]:
    flags = {
        "etcd-servers": "http://127.0.0.1:2379",
        "secure-port": API_PORT,
        "advertise-address": CONTROL_IP,
        "service-cluster-ip-range": SERVICES,
        "tls-cert-file": pki / "apiserver.crt",
        "tls-private-key-file": pki / "apiserver.key",
        "client-ca-file": pki / "ca.crt",
        "authorization-mode": "Node,RBAC",
        "enable-admission-plugins": "NodeRestriction",
        "allow-privileged": "true",
        "service-account-issuer": "https://kubernetes.default.svc.cluster.local",
        "service-account-key-file": pki / "sa.pub",
        "service-account-signing-key-file": pki / "sa.key",
        "kubelet-certificate-authority": pki / "ca.crt",
        "kubelet-preferred-address-types": "InternalIP",
        "kubelet-client-certificate": pki / "apiserver-kubelet.crt",
        "kubelet-client-key": pki / "apiserver-kubelet.key",
    }
    return [f"--{name}={value}" for name, value in flags.items()]


def node_services(folders: Folders, node: str, *, fast: bool) -> Services:
    """Of a node; writes their configuration into the machine's folder."""
    home, kube = folders.machines / node, str(folders.binaries / "kube")
    (home / "cni").mkdir(parents=True, exist_ok=True)
    (home / "containerd.toml").write_text(_containerd(home), encoding="utf-8")
    (home / "cni/10-bridge.conflist").write_text(json.dumps(_network(node)), encoding="utf-8")
    (home / "kubelet.yaml").write_text(json.dumps(_kubelet(folders, node, fast=fast)), encoding="utf-8")
    (home / "proxy.yaml").write_text(json.dumps(_proxy(folders, node)), encoding="utf-8")
    return {
        "containerd": ["containerd", "--config", str(home / "containerd.toml")],
        "kubelet": [
            *(kube, "kubelet", f"--config={home}/kubelet.yaml", f"--kubeconfig={folders.pki}/{node}.conf"),
            *(f"--hostname-override={node}", f"--node-ip={node_ip(node)}"),
        ],
        "proxy": [kube, "proxy", f"--config={home}/proxy.yaml"],
    }


def _containerd(home: Path) -> str:
    # Without CAP_SYS_RESOURCE no container may lower its own score.
    return f'''version = 2
oom_score = 0
[plugins."io.containerd.internal.v1.opt"]
  path = "/var/lib/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true
  sandbox_image = "docker.io/library/pause:local"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{home}/cni"
'''


def _network(node: str) -> dict[str, Any]:
    ranges = {
        "type": "host-local",
        "dataDir": "/run/cni-ipam",
        "ranges": [[{"subnet": pod_cidr(node)}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {"type": "bridge", "bridge": "cni0", "isGateway": True, "hairpinMode": True, "ipam": ranges}
    return {"cniVersion": "0.4.0", "name": "kube", "plugins": [bridge, {"type": "portmap", "capabilities": {"portMappings": True}}]}


def _kubelet(folders: Folders, node: str, *, fast: bool) -> dict[str, Any]:
    pki = folders.pki
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": node_ip(node),
        "tlsCertFile": f"{pki}/{node}.crt",
        "tlsPrivateKeyFile": f"{pki}/{node}.key",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{pki}/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{netns(node)}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "oomScoreAdj": 0,
        "clusterDNS": [DNS_IP],
        "clusterDomain": "cluster.local",
        "resolvConf": "/dev/null",
        "imageGCHighThresholdPercent": 100,
        "imageMinimumGCAge": "8760h",
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        **(FAST_KUBELET if fast else {}),
    }


def _proxy(folders: Folders, node: str) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "hostnameOverride": node,
        "clusterCIDR": PODS,
        "clientConnection": {"kubeconfig": f"{folders.pki}/proxy.conf"},
        # The limit is the host's, for all its namespaces.
        "conntrack": {"maxPerCore": 0, "min": 0},
        "nodePortAddresses": ["primary"],
    }
