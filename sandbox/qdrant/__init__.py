"""Qdrant's REST API on the real Qdrant engine (qdrant-edge-py): dense vectors on one node; no gRPC, cluster or snapshots."""
