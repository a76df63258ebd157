"""Loops that make the cluster what its objects say. How a process is run does not belong here: that is the kubelet's."""
