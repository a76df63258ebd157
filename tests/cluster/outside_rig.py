"""The test cluster seen from outside: its control machine's network reaches node ports and pods, but no Service and no name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml
from cluster_rig import KUBECONFIG, ROOT, Document, until
from platform_rig import Installed
from testbed.layout import API_PORT, CONTROL, netns, node_ip

from sandbox.in_cluster import PORTS
from sandbox.state import password

OUTSIDE = "api-gateway-outside"
PLAN_WITHIN_S = 60.0
LOAD_SCALE = "50"
"""20 requests/s: three nodes, the platform and its load share one machine of two cores here."""


@dataclass(frozen=True, slots=True)
class Outside:
    """Commands in the control machine's network; `folder` holds kubeconfig, target description and runs."""

    folder: Path

    def command(self, target: Path, *words: str, within_s: float) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("CHAOS_", "KUBECONFIG"))}
        environment = kept | {"CHAOS_TARGET": str(target), "CHAOS_LOAD_SCALE": LOAD_SCALE, "SANDBOX_PASSWORD": password()}
        environment["PYTHONPATH"] = str(ROOT / "experiments/nodes")
        return subprocess.run(
            ["nsenter", f"--net=/run/netns/{netns(CONTROL)}", sys.executable, "-m", *words],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=within_s,
            check=False,
        )

    def wait_until_planned(self, target: Path, experiment: str) -> None:
        """Until the dry run finds nothing against a run: kube-proxy takes a moment to open a node port."""
        until(
            "the dry run is content",
            lambda: self.command(target, "orchestrator", "plan", experiment, within_s=PLAN_WITHIN_S).returncode == 0,
        )

    def kubeconfig(self) -> tuple[Path, str]:
        """The administrator's, with the API server's port in that network; and its context."""
        document = yaml.safe_load(Path(KUBECONFIG).read_text(encoding="utf-8"))
        for entry in document["clusters"]:
            entry["cluster"]["server"] = f"https://127.0.0.1:{API_PORT}"
        path = self.folder / "outside.conf"
        path.write_text(yaml.safe_dump(document), encoding="utf-8")
        return path, str(document["current-context"])

    def target(self, platform: Installed, gateway_url: str, **roles: Document) -> Path:
        """The description of manifests/base, without what cannot be reached from here, with the gateway at this address and more roles."""
        document: Document = yaml.safe_load((ROOT / "manifests/base/target.yaml").read_text(encoding="utf-8"))
        path, context = self.kubeconfig()
        document["kubernetes"] |= {"kubeconfig": str(path), "context": context, "namespace": platform.namespace}
        document["gateway_url"] = gateway_url
        document["roles"] = {"discovery": document["roles"]["discovery"]} | roles
        document["breakers"] = [one for one in document["breakers"] if one["kind"] != "copy"]
        del document["delivery"]
        target = self.folder / f"target-{len(list(self.folder.glob('target-*')))}.yaml"
        target.write_text(yaml.safe_dump(document), encoding="utf-8")
        return target


def node_port(platform: Installed, node: str = "node1") -> str:
    """A node port in front of the gateway is made; its URL at this node."""
    platform.kubectl("expose", "deployment", "api-gateway", f"--name={OUTSIDE}", "--type=NodePort", f"--port={PORTS['api-gateway']}")
    (port,) = json.loads(platform.kubectl("get", "service", OUTSIDE, "-o", "json"))["spec"]["ports"]
    return f"http://{node_ip(node)}:{port['nodePort']}"
