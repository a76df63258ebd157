"""Building and opening shard directories: the HNSW index is made here, before anything is served."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import qdrant_edge as edge

Vector = Sequence[float] | npt.NDArray[np.float32]
SeedPoint = tuple[int | str, Vector, dict[str, Any]]

# Source: Qdrant's configuration reference, defaults of `hnsw_index` and `optimizers`.
M, EF_CONSTRUCT, FULL_SCAN_THRESHOLD_KB = 16, 100, 10_000
INDEXING_THRESHOLD_KB = 10_000
# A query holds the GIL until its threads are done: a second one costs twice the CPU and saves no time.
SEARCH_THREADS = 1
_BATCH_POINTS = 1_000


def shard_directory(storage: Path, collection: str) -> Path:
    """Where a server with this storage directory looks for the shard of `collection`."""
    return storage / "collections" / collection


def is_shard(directory: Path) -> bool:
    """Whether a finished shard lies in the directory."""
    return (directory / "edge_config.json").is_file()


def open_shard(directory: Path) -> Any:
    """The shard in the directory, with every index built that its thresholds ask for."""
    shard = edge.EdgeShard.load(str(directory))
    # The engine never indexes by itself, and optimize() holds the GIL: do it before there is anyone to stall.
    shard.optimize()
    return shard


def build_shard(directory: Path, points: Iterable[SeedPoint], *, keyword_fields: Sequence[str] = ()) -> int:
    """Make a shard with one unnamed cosine vector per point and a finished HNSW index; returns the number of points.

    Holds the GIL for seconds per 10,000 points of 768 dimensions: call it in a child process when others must go on.
    `directory` must not hold a shard yet. Raises `ValueError` without points, `RuntimeError` when a vector is not indexed.
    """
    batches = _batches(points)
    first = next(batches, None)
    if first is None:
        raise ValueError("a shard needs at least one point")
    dimensions = len(first[0][1])
    directory.mkdir(parents=True, exist_ok=True)
    shard = edge.EdgeShard.create(str(directory), _config(dimensions, indexing_threshold_kb=1))
    for field in keyword_fields:
        shard.update(edge.UpdateOperation.create_field_index(field, edge.PayloadSchemaType.Keyword))
    for batch in chain([first], batches):
        shard.update(edge.UpdateOperation.upsert_points([_point(seed) for seed in batch]))
    shard.optimize()
    count = _checked_count(shard)
    shard.close()
    # The threshold of 1 KB forced the index; left in place, every point written later would cost the next start time.
    edge.EdgeShard.load(str(directory), _config(dimensions, indexing_threshold_kb=INDEXING_THRESHOLD_KB)).close()
    return count


def _batches(points: Iterable[SeedPoint]) -> Iterator[list[SeedPoint]]:
    rest = iter(points)
    while batch := list(islice(rest, _BATCH_POINTS)):
        yield batch


def _config(dimensions: int, *, indexing_threshold_kb: int) -> Any:
    return edge.EdgeConfig(
        vectors=edge.EdgeVectorParams(dimensions, edge.Distance.Cosine),
        hnsw_config=edge.HnswIndexConfig(M, EF_CONSTRUCT, FULL_SCAN_THRESHOLD_KB),
        optimizers=edge.EdgeOptimizersConfig(indexing_threshold=indexing_threshold_kb),
        max_search_threads=SEARCH_THREADS,
    )


def _point(seed: SeedPoint) -> Any:
    point_id, vector, payload = seed
    return edge.Point(point_id, vector.tolist() if isinstance(vector, np.ndarray) else list(vector), payload)


def _checked_count(shard: Any) -> int:
    info = shard.info()
    if info.indexed_vectors_count < info.points_count:
        raise RuntimeError(f"only {info.indexed_vectors_count} of {info.points_count} vectors are indexed")
    return int(info.points_count)
