"""The collections of one storage directory: one engine shard per collection."""

import re
import shutil
from itertools import count
from pathlib import Path
from typing import Any

import orjson
import qdrant_edge as edge

from sandbox.qdrant.build import (
    EF_CONSTRUCT,
    FULL_SCAN_THRESHOLD_KB,
    INDEXING_THRESHOLD_KB,
    M,
    is_shard,
    open_shard,
    shard_directory,
)
from sandbox.qdrant.errors import ApiError, engine_errors, not_found, not_supported, wrong_input

Json = dict[str, Any]

_NAME = re.compile(r'[^<>:"/\\|?*\x00-\x1f]{1,255}')
_DISTANCES = {name: getattr(edge.Distance, name) for name in ("Cosine", "Euclid", "Dot", "Manhattan")}
_HNSW_DEFAULTS: Json = {"m": M, "ef_construct": EF_CONSTRUCT, "full_scan_threshold": FULL_SCAN_THRESHOLD_KB}
_OPTIMIZER_DEFAULTS: Json = {
    "deleted_threshold": 0.2,
    "vacuum_min_vector_number": 1000,
    "default_segment_number": 0,
    "max_segment_size": None,
    "indexing_threshold": INDEXING_THRESHOLD_KB,
}
# Settings of a cluster or of background work, which change nothing on one node without background work.
_WITHOUT_EFFECT = {
    "shard_number", "replication_factor", "write_consistency_factor", "on_disk_payload", "wal_config", "metadata",
    "strict_mode_config", "timeout",
}  # fmt: skip


class Collection:
    """One open shard with its name and settings."""

    def __init__(self, name: str, directory: Path, shard: Any) -> None:
        self.name = name
        self.directory = directory
        self.shard = shard
        self._operations = count(1)
        self._config: Json = orjson.loads((directory / "edge_config.json").read_bytes())

    def update(self, operation: Any) -> int:
        """Apply one write; returns its number since the server started. Raises `ApiError`."""
        with engine_errors():
            self.shard.update(operation)
        return next(self._operations)

    @property
    def points_count(self) -> int:
        """Points in the shard, without the deleted ones."""
        return int(self.shard.info().points_count)

    def describe(self) -> Json:
        """The result of GET /collections/{name}; every count is the engine's own."""
        info = self.shard.info()
        return {
            "status": "grey" if self._unindexed_kb(info) > self._indexing_threshold_kb() else "green",
            "optimizer_status": "ok",
            "indexed_vectors_count": info.indexed_vectors_count,
            "points_count": info.points_count,
            "segments_count": info.segments_count,
            "config": self._describe_config(),
            "payload_schema": {field: _describe_index(index) for field, index in info.payload_schema.items()},
        }

    def _describe_config(self) -> Json:
        vectors = self._config["vectors"]
        return {
            "params": {
                "vectors": vectors.get("", vectors),
                "shard_number": 1,
                "replication_factor": 1,
                "write_consistency_factor": 1,
                "on_disk_payload": self._config.get("on_disk_payload", True),
            },
            "hnsw_config": _HNSW_DEFAULTS | (self._config.get("hnsw_config") or {}),
            "optimizer_config": self._optimizers() | {"flush_interval_sec": 5, "max_optimization_threads": None},
            "wal_config": {"wal_capacity_mb": 32, "wal_segments_ahead": 0},
            "quantization_config": None,
        }

    def _optimizers(self) -> Json:
        stored: Json = self._config.get("optimizers") or {}
        return _OPTIMIZER_DEFAULTS | {key: value for key, value in stored.items() if value is not None}

    def _indexing_threshold_kb(self) -> float:
        return float(self._optimizers()["indexing_threshold"]) or float("inf")

    def _unindexed_kb(self, info: Any) -> float:
        """Vectors that await an index, which is built at the next start."""
        vectors = self._config["vectors"].values()
        unindexed = max(0, info.points_count * len(vectors) - info.indexed_vectors_count)
        return float(unindexed * max((vector["size"] for vector in vectors), default=0) * 4 / 1024)


def _describe_index(index: Any) -> Json:
    return {"data_type": str(index.data_type).rpartition(".")[2].lower(), "points": index.points}


class Collections:
    """All collections below one storage directory; opening builds what is not indexed yet."""

    def __init__(self, storage: Path) -> None:
        self._storage = storage
        self._root = shard_directory(storage, "")
        self._root.mkdir(parents=True, exist_ok=True)
        self._open = {path.name: self._load(path) for path in sorted(self._root.iterdir()) if is_shard(path)}

    @staticmethod
    def _load(path: Path) -> Collection:
        return Collection(path.name, path, open_shard(path))

    def names(self) -> list[str]:
        """Names of all collections."""
        return list(self._open)

    def points_per_collection(self) -> dict[str, int]:
        """Number of points by collection name."""
        return {name: collection.points_count for name, collection in self._open.items()}

    def __contains__(self, name: str) -> bool:
        return name in self._open

    def __getitem__(self, name: str) -> Collection:
        if name not in self._open:
            raise not_found(f"Collection `{name}` doesn't exist!")
        return self._open[name]

    def create(self, name: str, body: Json) -> None:
        """Make an empty collection from the body of PUT /collections/{name}; raises `ApiError` (409 when it exists)."""
        if not _NAME.fullmatch(name) or name in (".", ".."):
            raise wrong_input(f"invalid collection name `{name}`")
        if name in self._open:
            raise ApiError(409, f"Wrong input: Collection `{name}` already exists!")
        config = _parse_config(body)
        directory = shard_directory(self._storage, name)
        # What an interrupted creation or deletion left behind.
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        with engine_errors():
            shard = edge.EdgeShard.create(str(directory), config)
        self._open[name] = Collection(name, directory, shard)

    def delete(self, name: str) -> bool:
        """Drop a collection with its files; whether there was one."""
        collection = self._open.pop(name, None)
        if collection is None:
            return False
        collection.shard.close()
        (collection.directory / "edge_config.json").unlink()
        shutil.rmtree(collection.directory)
        return True

    def close(self) -> None:
        """Flush and close every shard."""
        while self._open:
            self._open.popitem()[1].shard.close()


def _parse_config(body: Json) -> Any:
    given = {key: value for key, value in body.items() if value is not None and key not in _WITHOUT_EFFECT}
    vectors = given.pop("vectors", None)
    hnsw = given.pop("hnsw_config", {})
    optimizers = given.pop("optimizers_config", {})
    if given:
        raise not_supported(f"collection settings {', '.join(sorted(given))}")
    with engine_errors():
        return edge.EdgeConfig(
            vectors=_parse_vectors(vectors),
            hnsw_config=edge.HnswIndexConfig(**(_HNSW_DEFAULTS | _known(hnsw, _HNSW_DEFAULTS, "hnsw_config"))),
            optimizers=edge.EdgeOptimizersConfig(**(_OPTIMIZER_DEFAULTS | _known(optimizers, _OPTIMIZER_DEFAULTS, "optimizers_config"))),
        )


def _known(settings: Json, known: Json, where: str) -> Json:
    given = {key: value for key, value in settings.items() if value is not None}
    if unknown := given.keys() - known.keys():
        raise not_supported(f"{where} {', '.join(sorted(unknown))}")
    return given


def _parse_vectors(vectors: Json | None) -> dict[str, Any]:
    if not isinstance(vectors, dict) or not vectors:
        raise wrong_input("`vectors` must hold the parameters of at least one dense vector")
    named = {"": vectors} if "size" in vectors else vectors
    return {name: _parse_vector(params) for name, params in named.items()}


def _parse_vector(params: Json) -> Any:
    given = {key: value for key, value in params.items() if value is not None and key != "on_disk"}
    if unknown := given.keys() - {"size", "distance"}:
        raise not_supported(f"vector parameters {', '.join(sorted(unknown))}")
    size, distance = given.get("size"), given.get("distance")
    if not isinstance(size, int) or not 1 <= size <= 65536:
        raise wrong_input("vector size must be a whole number from 1 to 65536")
    if distance not in _DISTANCES:
        raise wrong_input(f"unknown distance `{distance}`")
    return edge.EdgeVectorParams(size, _DISTANCES[distance])
