"""The orchestrator as a Job beside the platform, both in namespaces of the test, and what became of its run."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from cluster_rig import IMAGES, ROOT, Document, kubectl, kubectl_bytes, until
from manifest_rig import LOAD, ORCHESTRATOR, PLATFORM, moved, rendered

from probes.target import JobLoad
from sandbox.state import password

EXPERIMENTS = ROOT / "experiments"
JOB, MAIN, KEEPER = "chaos-full", "orchestrator", "keeper"
STARTED_WITHIN_S = 60.0
LIGHTLY = {"CHAOS_LOAD_SCALE": "50"}
"""20 requests/s: three nodes, the platform and its load share one machine of two cores here."""
KEEPS = "trap exit TERM; while [ ! -e /runs/fetched ]; do sleep 1; done"
"""A run's folder lies in a volume of its pod: this container is there until somebody has fetched it."""


@dataclass(frozen=True, slots=True)
class Job:
    """One run of the orchestrator in `namespace`, on the platform in `platform`."""

    namespace: str
    platform: str
    load: JobLoad | None = None
    """Where the load comes from pods of its own; else the orchestrator's pod makes it."""

    def kubectl(self, *words: str, fine: tuple[int, ...] = (0,)) -> str:
        """What kubectl says on stdout; of the Job's namespace, unless the words name another."""
        return kubectl("-n", self.namespace, *words, fine=fine)

    def pods(self) -> list[Document]:
        """Its pods that are not told to end, the newest last."""
        found = json.loads(self.kubectl("get", "pods", "-l", f"job-name={JOB}", "-o", "json"))["items"]
        living = [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]
        return sorted(living, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))

    def started(self) -> Document:
        """Its newest pod, once the orchestrator runs in it."""
        until("the orchestrator runs", lambda: bool(self.pods()) and "running" in self.state(self.pods()[-1])["state"], STARTED_WITHIN_S)
        return self.pods()[-1]

    def state(self, pod: Document) -> Document:
        """What the kubelet says of the orchestrator's container: state, lastState, restartCount."""
        found = [one for one in pod["status"].get("containerStatuses", ()) if one["name"] == MAIN]
        return found[0] if found else {"state": {}, "lastState": {}, "restartCount": 0}

    def exit_codes(self) -> list[int]:
        """Of the starts of its newest pod that are over: the one before last, and the last; as far as they are."""
        state = self.state(self.pods()[-1])
        ended = (state["lastState"].get("terminated"), state["state"].get("terminated"))
        return [int(one["exitCode"]) for one in ended if one is not None]

    def log(self, *, previous: bool = False) -> str:
        """What the newest start has said, or the one before it; empty where there was none."""
        words = ("logs", self.pods()[-1]["metadata"]["name"], "-c", MAIN, *(("--previous",) if previous else ()))
        return self.kubectl(*words, fine=(0, 1))

    def fetch(self, folder: Path) -> Path:
        """Copy the folder of runs; the newest run's is returned. Its pod may end then."""
        name = self.pods()[-1]["metadata"]["name"]
        packed = kubectl_bytes("-n", self.namespace, "exec", name, "-c", KEEPER, "--", "tar", "-C", f"/runs/{JOB}", "-cf", "-", ".")
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            archive.extractall(folder, filter="data")
        self.kubectl("exec", name, "-c", KEEPER, "--", "touch", "/runs/fetched")
        return max(one for one in (folder / "runs").iterdir() if one.is_dir() and not one.is_symlink())

    def open_receipts(self) -> list[Document]:
        """What the mirrored ledger on the platform says; empty where there is none."""
        words = ("get", "configmap", "chaos-orchestrator-ledger", "-n", self.platform, "--ignore-not-found", "-o", "json")
        found = self.kubectl(*words)
        return list(json.loads(json.loads(found)["data"]["receipts.json"])) if found else []


@contextmanager
def started(job: Job, experiment: Path, scales: Mapping[str, str] = LIGHTLY, **changes: Any) -> Iterator[Job]:
    """Apply the overlay `kind` with another experiment; `changes` are fields of the pod's spec. Taken away at the end."""
    documents = [_adapted(one, job, experiment, scales, changes) for one in moved(rendered("kind"), _names(job))]
    if job.load is not None:
        documents += moved(rendered("../load"), {LOAD: job.load.namespace} | _names(job))
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "chaos-secrets", "namespace": job.namespace}}
    documents.append(secret | {"stringData": {"SANDBOX_PASSWORD": password()}})
    documents.sort(key=lambda one: ("Namespace", "Job").index(one["kind"]) * 2 if one["kind"] in ("Namespace", "Job") else 1)
    try:
        kubectl("apply", "-f", "-", given=yaml.safe_dump_all(documents))
        yield job
    finally:
        made = [job.namespace, *([job.load.namespace] if job.load else [])]
        kubectl("delete", "namespace", *made, "--ignore-not-found", "--wait=false")


def _names(job: Job) -> dict[str, str]:
    return {PLATFORM: job.platform, ORCHESTRATOR: job.namespace}


def _adapted(document: Document, job: Job, experiment: Path, scales: Mapping[str, str], changes: Document) -> Document:
    if document["kind"] == "ConfigMap":
        document["data"] = {key: _of_this_platform(text, job.platform) for key, text in document["data"].items()}
        if document["metadata"]["name"] == "chaos-target" and job.load is not None:
            told = yaml.safe_load(document["data"]["target.yaml"]) | {"load": job.load.model_dump()}
            document["data"]["target.yaml"] = yaml.safe_dump(told, sort_keys=False)
        if document["metadata"]["name"] == "chaos-experiments":
            document["data"] = {experiment.name: experiment.read_text(encoding="utf-8")}
    if document["kind"] == "Job":
        spec = document["spec"]["template"]["spec"]
        (main,) = spec["containers"]
        main |= {
            "image": f"{IMAGES}chaos-orchestrator:local",
            "command": ["orchestrator", "once", f"/etc/chaos/experiments/{experiment.name}"],
        }
        main["env"] = [*main["env"], *({"name": name, "value": value} for name, value in scales.items())]
        spec["containers"] = [main, _keeper(main)]
        spec |= changes
    return document


def _of_this_platform(text: str, namespace: str) -> str:
    """The target description and the kubeconfig name the platform's namespace."""
    return text.replace(f".{PLATFORM}.svc", f".{namespace}.svc").replace(f"namespace: {PLATFORM}", f"namespace: {namespace}")


def _keeper(main: Document) -> Document:
    return {
        "name": KEEPER,
        "image": f"{IMAGES}busybox:local",
        "imagePullPolicy": "IfNotPresent",
        "command": ["/bin/sh", "-c", KEEPS],
        "securityContext": main["securityContext"],
        "volumeMounts": [{"name": "runs", "mountPath": "/runs"}],
    }


def report_of(run: Path) -> Document:
    """The report that the run itself wrote."""
    return dict(json.loads((run / "report.json").read_text(encoding="utf-8")))
