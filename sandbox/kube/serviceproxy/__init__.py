"""Services made real: a process that relays TCP from each Service's address to its ready pods.

It knows the cluster only through the API, as kube-proxy does. It imports nothing of the API server but the kubeconfig
reader. It reports where it listens on stdout: one JSON line {"listening": ["ADDRESS:PORT", ...]} after each change.
"""
