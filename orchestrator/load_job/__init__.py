"""The load of a run from inside the cluster: an Indexed Job of load workers, followed through the API server, and its way back."""
