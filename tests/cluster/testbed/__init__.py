"""A real Kubernetes with real containers on one Linux machine: no Docker, no systemd, no registry.

Every machine of the cluster (one for control, N nodes) is a set of namespaces: network, mount, PID, UTS, IPC. Its PID 1 is this
program, so ending that one process is a power cut, and setting one link down is a partition. The bridge that joins the machines
lives in the control machine's network namespace: the host keeps no link, no route and no firewall rule of ours. The one thing
the host sees is a port on loopback that leads to the API server.

Nothing of the product belongs here, and nothing of it imports this.
"""
