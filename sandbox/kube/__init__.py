"""A process-backed Kubernetes API: what stands in for a cluster. Nothing about the platform that runs on it belongs here.

Pods are local processes with an address of their own in one /16 of 127/8. `cluster.Cluster` is the way in.

Where it differs from a real cluster, on purpose:

- images are ignored: a container is its `command` + `args`, run as a local process with a small, fixed environment;
- a pod of a StatefulSet has the same address after every restart: it stands in for the stable DNS name;
- an emptyDir volume is a directory whose path the process finds in `VOLUME_<NAME>`; other volumes are not mounted;
- a readiness probe runs every 0.1 s until its first success, for at most 10 s, instead of once a period;
- a liveness probe without initialDelaySeconds starts one period after the container;
- deleting with grace 0 sends SIGKILL before the answer is sent (a real kubelet may take a moment longer);
- when the process that runs the cluster is killed, every container's process dies with it, but not what that process
  had forked, unless it goes by itself (as PostgreSQL's processes do) or sets PR_SET_PDEATHSIG;
- a Service with no ready endpoint refuses at once (kube-proxy rejects about once a second and lets others hang);
- server-side apply knows the fields that others applied, not those that they changed by other verbs, and shows no managedFields;
- of protobuf bodies only a few kinds are read (protobuf.py); the others are refused with 415.
"""
