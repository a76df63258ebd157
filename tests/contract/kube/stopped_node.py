"""A driver for the sandbox, whose nodes are names: `stopped_node.py cut|heal NODE KUBECONFIG FOLDER`.

A node that is lost has its pods' processes stopped, and a file of its name in FOLDER, by which its lease is renewed no more.
"""

import os
import signal
import sys
from pathlib import Path

import kubernetes
from kubernetes import client


def main(act: str, node: str, kubeconfig: str, folder: str) -> None:
    mark = Path(folder, node)
    mark.touch() if act == "cut" else mark.unlink(missing_ok=True)
    with kubernetes.config.new_client_from_config(config_file=kubeconfig) as api:
        pods = client.CoreV1Api(api).list_pod_for_all_namespaces(field_selector=f"spec.nodeName={node}").items
    states = [state for pod in pods for state in pod.status.container_statuses or ()]
    for pid in [int(state.container_id.rpartition("/")[2]) for state in states if state.container_id and state.state.running]:
        os.kill(pid, signal.SIGSTOP if act == "cut" else signal.SIGCONT)


main(*sys.argv[1:])
