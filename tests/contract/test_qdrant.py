"""The Qdrant server of the sandbox, driven by the official client over HTTP."""

import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import pytest
from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse

from sandbox.qdrant.build import build_shard, shard_directory

DIMENSIONS = 32
READY_WITHIN_S = 20.0


class Server:
    """One server process over one storage directory."""

    def __init__(self, storage: Path, seed: Path | None = None) -> None:
        self.storage = storage
        self.seed = {} if seed is None else {"QDRANT_SEED_DIR": str(seed)}
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        pod = {"POD_IP": "127.0.0.1", "PORT": str(self.port), "QDRANT_STORAGE": str(self.storage)}
        command = [sys.executable, "-m", "sandbox.qdrant"]
        self.process = subprocess.Popen(command, env=os.environ | pod | self.seed, stdout=subprocess.DEVNULL)
        await_ready(self.url, self.process)

    def stop(self, *, kill: bool = False) -> int:
        (self.process.kill if kill else self.process.terminate)()
        return self.process.wait(timeout=10)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def await_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < deadline:
        assert process.poll() is None, f"the server ended with {process.returncode}"
        try:
            if httpx.get(f"{url}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.02)
    raise AssertionError("the server did not become ready")


@contextmanager
def serving(storage: Path, seed: Path | None = None) -> Iterator[Server]:
    server = Server(storage, seed)
    try:
        yield server
    finally:
        server.stop(kill=True)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("qdrant")) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[QdrantClient]:
    connected = QdrantClient(url=server.url, timeout=20)
    yield connected
    connected.close()


def random_vectors(count: int, dimensions: int = DIMENSIONS, seed: int = 7) -> npt.NDArray[np.float32]:
    drawn = np.random.default_rng(seed).normal(size=(count, dimensions)).astype(np.float32)
    unit: npt.NDArray[np.float32] = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    return unit


VECTORS = random_vectors(300)


def payload(number: int) -> dict[str, Any]:
    return {
        "genres": ["drama" if number % 2 else "comedy", "all"],
        "year": 1950 + number % 70,
        "title": f"Título {number}",
        "added": f"2026-01-{1 + number % 28:02}T00:00:00Z",
        "cast": [{"role": number}, {"role": -1}],
        "nothing": None,
    } | ({} if number % 2 else {"even": True})


def field(key: str, **condition: Any) -> dict[str, Any]:
    return {"key": key, **condition}


@pytest.fixture
def films(client: QdrantClient) -> Iterator[str]:
    """A collection of 300 points with ids 0 to 299."""
    name = f"films-{uuid.uuid4()}"
    client.create_collection(name, models.VectorParams(size=DIMENSIONS, distance=models.Distance.COSINE))
    points = [models.PointStruct(id=n, vector=VECTORS[n].tolist(), payload=payload(n)) for n in range(300)]
    client.upsert(name, points, wait=True)
    yield name
    client.delete_collection(name)


def status_of(failure: pytest.ExceptionInfo[UnexpectedResponse]) -> tuple[int | None, str]:
    return failure.value.status_code, failure.value.content.decode()


def test_a_collection_lives_from_create_to_delete(client: QdrantClient) -> None:
    params = models.VectorParams(size=8, distance=models.Distance.DOT)
    assert not client.collection_exists("short")
    assert client.create_collection("short", params)
    assert client.collection_exists("short")
    assert "short" in [each.name for each in client.get_collections().collections]
    with pytest.raises(UnexpectedResponse) as again:
        client.create_collection("short", params)
    assert status_of(again)[0] == 409
    info = client.get_collection("short")
    assert info.config.params.vectors == params
    assert (info.points_count, info.indexed_vectors_count, info.status) == (0, 0, models.CollectionStatus.GREEN)
    assert info.config.hnsw_config.m == 16
    assert client.delete_collection("short")
    assert not client.collection_exists("short")


def test_points_arrive_as_batch_as_structs_and_with_uuids(client: QdrantClient, films: str) -> None:
    key = str(uuid.uuid4())
    rows = models.Batch(ids=[900, key], vectors=VECTORS[:2].tolist(), payloads=[{"a": 1}, {"b": None}])
    assert client.upsert(films, rows, wait=True).status == models.UpdateStatus.COMPLETED
    found = {record.id: record.payload for record in client.retrieve(films, [900, key, 901])}
    assert found == {900: {"a": 1}, key: {"b": None}}
    client.upload_points(films, (models.PointStruct(id=2000 + n, vector=VECTORS[n].tolist()) for n in range(50)), wait=True)
    assert client.count(films).count == 352


def test_query_by_vector_returns_the_nearest_first_with_payload(client: QdrantClient, films: str) -> None:
    points = client.query_points(films, VECTORS[5].tolist(), limit=10).points
    expected = np.argsort(-(VECTORS @ VECTORS[5]))[:10].tolist()
    assert [point.id for point in points] == expected
    assert points[0].score == pytest.approx(1.0, abs=1e-5)
    assert points[0].payload == payload(5)


def test_query_by_id_leaves_the_point_itself_out(client: QdrantClient, films: str) -> None:
    points = client.query_points(films, 5, limit=3).points
    assert [point.id for point in points] == np.argsort(-(VECTORS @ VECTORS[5]))[1:4].tolist()


def test_query_obeys_filter_selector_offset_and_threshold(client: QdrantClient, films: str) -> None:
    client.create_payload_index(films, "genres", models.PayloadSchemaType.KEYWORD, wait=True)
    client.create_payload_index(
        films, "year", models.IntegerIndexParams(type=models.IntegerIndexType.INTEGER, lookup=True, range=True), wait=True
    )
    conditions = models.Filter(
        must=[models.FieldCondition(key="genres", match=models.MatchAny(any=["drama"]))],
        must_not=[models.FieldCondition(key="year", range=models.Range(lt=1980)), models.HasIdCondition(has_id=[31])],
    )
    wanted = [n for n in range(300) if n % 2 and 1950 + n % 70 >= 1980 and n != 31]
    ranked = sorted(wanted, key=lambda n: -float(VECTORS[n] @ VECTORS[0]))
    points = client.query_points(
        films, VECTORS[0].tolist(), query_filter=conditions, limit=10, offset=2, with_payload=["year"], with_vectors=True
    ).points
    assert [point.id for point in points] == ranked[2:12]
    assert points[0].payload == {"year": payload(ranked[2])["year"]}
    assert np.allclose(np.asarray(points[0].vector), VECTORS[ranked[2]], atol=1e-6)
    assert not client.query_points(films, VECTORS[0].tolist(), score_threshold=1.1).points
    schema = client.get_collection(films).payload_schema
    assert schema["genres"].data_type == models.PayloadSchemaType.KEYWORD
    assert schema["year"].points == 300


@pytest.mark.parametrize(
    ("conditions", "wanted"),
    [
        (
            {"should": [field("year", match={"value": 1960}), field("year", match={"value": 1961})]},
            {n for n in range(300) if n % 70 in (10, 11)},
        ),
        ({"must": field("year", match={"except": list(range(1951, 2020))})}, {0, 70, 140, 210, 280}),
        ({"must": [field("added", range={"lt": "2026-01-03T00:00:00Z"})]}, {n for n in range(300) if n % 28 < 2}),
        ({"must": [{"nested": {"key": "cast", "filter": {"must": [field("role", match={"value": 299})]}}}]}, {299}),
        ({"must": [{"is_empty": {"key": "even"}}], "must_not": [field("year", range={"gte": 1952})]}, {1, 71, 141, 211, 281}),
        ({"must": [{"must": [{"has_id": [4, 5]}, {"is_null": {"key": "nothing"}}]}]}, {4, 5}),
        ({"min_should": {"conditions": [{"has_id": [1, 2]}, {"has_id": [2, 3]}], "min_count": 2}}, {2}),
        ({"must": [field("cast", values_count={"gte": 2}), {"has_id": [7, 8]}]}, {7, 8}),
    ],
)
def test_filters_select_what_they_say(server: Server, films: str, conditions: dict[str, Any], wanted: set[int]) -> None:
    body = {"filter": conditions, "limit": 300, "with_payload": False}
    answer = httpx.post(f"{server.url}/collections/{films}/points/scroll", json=body).json()
    assert {point["id"] for point in answer["result"]["points"]} == wanted


def test_a_batch_of_queries_keeps_its_order(client: QdrantClient, films: str) -> None:
    requests = [models.QueryRequest(query=VECTORS[n].tolist(), limit=1) for n in (9, 2)]
    answers = client.query_batch_points(films, requests)
    assert [answer.points[0].id for answer in answers] == [9, 2]


def test_the_older_search_call_still_works(server: Server, films: str) -> None:
    url = f"{server.url}/collections/{films}/points/search"
    answer = httpx.post(url, json={"vector": VECTORS[3].tolist(), "limit": 2, "with_payload": True}).json()
    assert answer["status"] == "ok"
    assert answer["time"] > 0
    assert answer["result"][0]["id"] == 3
    assert answer["result"][0]["payload"] == payload(3)


def test_scroll_walks_through_all_points_once(client: QdrantClient, films: str) -> None:
    seen: list[Any] = []
    page, offset = client.scroll(films, limit=70)
    while True:
        seen += [record.id for record in page]
        if offset is None:
            break
        page, offset = client.scroll(films, limit=70, offset=offset)
    assert seen == list(range(300))


def test_payload_and_points_can_be_changed_and_deleted(client: QdrantClient, films: str) -> None:
    client.set_payload(films, {"seen": True}, points=[1, 2], wait=True)
    assert client.retrieve(films, [1])[0].payload == payload(1) | {"seen": True}
    client.overwrite_payload(films, {"only": 1}, points=[2], wait=True)
    assert client.retrieve(films, [2])[0].payload == {"only": 1}
    client.delete_payload(films, ["seen"], points=[1], wait=True)
    assert client.retrieve(films, [1])[0].payload == payload(1)
    client.delete(films, [1, 2], wait=True)
    comedies = models.Filter(must=[models.FieldCondition(key="genres", match=models.MatchValue(value="comedy"))])
    client.delete(films, models.FilterSelector(filter=comedies), wait=True)
    assert client.count(films).count == 149
    assert client.count(films, count_filter=comedies).count == 0


def test_refusals_name_their_reason(client: QdrantClient, server: Server, films: str) -> None:
    with pytest.raises(UnexpectedResponse) as wrong_dimension:
        client.query_points(films, [0.1, 0.2])
    assert status_of(wrong_dimension)[0] == 400
    assert "expected dim: 32, got 2" in status_of(wrong_dimension)[1]
    with pytest.raises(UnexpectedResponse) as wrong_upsert:
        client.upsert(films, [models.PointStruct(id=1, vector=[0.5])], wait=True)
    assert status_of(wrong_upsert)[0] == 400
    with pytest.raises(UnexpectedResponse) as unknown:
        client.query_points("nowhere", VECTORS[0].tolist())
    assert status_of(unknown)[0] == 404
    assert httpx.get(f"{server.url}/collections/{films}/points/7777").status_code == 404
    assert httpx.get(f"{server.url}/no/such/thing").status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "", {"vectors": 3}),
        ("PUT", "", {"vectors": {"size": 4, "distance": "Cosine"}, "hnsw_config": "x"}),
        ("PUT", "", {"vectors": {"size": 0, "distance": "Cosine"}}),
        ("PUT", "/points", {"points": [{"id": -1, "vector": [1]}]}),
        ("PUT", "/points", {"points": 7}),
        ("PUT", "/points", {}),
        ("PUT", "/index", {"field_name": "a", "field_schema": ["keyword"]}),
        ("POST", "/points", {}),
        ("POST", "/points/search", {"vector": {}}),
        ("POST", "/points/query/batch", {"searches": 1}),
        ("POST", "/points/delete", {"points": "x"}),
        ("POST", "/points/payload", {"points": [1]}),
    ],
)
def test_malformed_requests_are_answered_in_words(server: Server, films: str, method: str, path: str, body: Any) -> None:
    name = films if path else "unborn"
    answer = httpx.request(method, f"{server.url}/collections/{name}{path}", json=body)
    assert answer.status_code in (400, 501)
    assert len(answer.json()["status"]["error"]) > 10


@pytest.mark.parametrize("body", [{"query": "x"}, {"query": 3.5}, {"query": [[1]]}, {"limit": -1}, {"filter": 3}, [1], 7])
def test_malformed_queries_are_answered_in_words(server: Server, films: str, body: Any) -> None:
    answer = httpx.post(f"{server.url}/collections/{films}/points/query", json=body)
    assert answer.status_code in (400, 501)
    assert len(answer.json()["status"]["error"]) > 10


def test_what_is_missing_says_501(client: QdrantClient, server: Server, films: str) -> None:
    with pytest.raises(UnexpectedResponse) as fusion:
        client.query_points(films, models.FusionQuery(fusion=models.Fusion.RRF), prefetch=[models.Prefetch(query=VECTORS[0].tolist())])
    assert status_of(fusion)[0] == 501
    assert "prefetch" in status_of(fusion)[1]
    for call in (client.list_snapshots, client.get_collection_aliases):
        with pytest.raises(UnexpectedResponse) as missing:
            call(films)
        assert status_of(missing)[0] == 501
    assert httpx.get(f"{server.url}/cluster").status_code == 501


def test_metrics_count_the_answers_by_endpoint_and_status(server: Server, client: QdrantClient, films: str) -> None:
    labels = 'method="POST",endpoint="/collections/{name}/points/query",status="200"'
    before = metric(server, f"rest_responses_total{{{labels}}}")
    seconds = metric(server, f"rest_responses_duration_seconds_sum{{{labels}}}")
    for _ in range(3):
        client.query_points(films, VECTORS[0].tolist())
    assert metric(server, f"rest_responses_total{{{labels}}}") == before + 3
    assert metric(server, f"rest_responses_duration_seconds_sum{{{labels}}}") > seconds
    assert metric(server, "collections_total") == len(client.get_collections().collections)
    assert metric(server, f'collection_points{{id="{films}"}}') == 300


def metric(server: Server, series: str) -> float:
    lines = httpx.get(f"{server.url}/metrics").text.splitlines()
    values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return float(values.get(series, 0.0))


def test_health_answers_under_every_name(server: Server) -> None:
    for path in ("healthz", "livez", "readyz", "health", "health/ready"):
        assert httpx.get(f"{server.url}/{path}").status_code == 200
    assert httpx.get(server.url).json()["version"].startswith("1.20.")
    assert httpx.get(f"{server.url}/telemetry").json()["result"]["app"]["name"] == "qdrant"


def test_a_built_shard_opens_with_its_index_and_finds_what_an_exact_search_finds(tmp_path: Path) -> None:
    vectors = random_vectors(800, seed=11)
    built = build_shard(
        shard_directory(tmp_path, "media_content"),
        ((n, vectors[n], payload(n)) for n in range(800)),
        keyword_fields=["genres"],
    )
    assert built == 800
    with serving(tmp_path) as server:
        client = QdrantClient(url=server.url, check_compatibility=False, timeout=20)
        info = client.get_collection("media_content")
        assert (info.points_count, info.indexed_vectors_count, info.status) == (800, 800, models.CollectionStatus.GREEN)
        assert mean_recall(client, vectors, random_vectors(40, seed=12)) >= 0.95
        client.close()
        assert server.stop() == 0


def mean_recall(client: QdrantClient, vectors: npt.NDArray[np.float32], queries: npt.NDArray[np.float32]) -> float:
    """Share of the true ten nearest that the index finds, without falling back on a full scan."""
    hits = 0
    for wanted in queries:
        params = models.SearchParams(hnsw_ef=100, indexed_only=True)
        found = client.query_points("media_content", wanted.tolist(), limit=10, search_params=params).points
        hits += len({point.id for point in found} & set(np.argsort(-(vectors @ wanted))[:10].tolist()))
    return hits / (10 * len(queries))


def test_acknowledged_points_survive_kill_9_and_are_indexed_at_the_next_start(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        client = QdrantClient(url=server.url, check_compatibility=False, timeout=20)
        client.create_collection(
            "kept",
            models.VectorParams(size=DIMENSIONS, distance=models.Distance.COSINE),
            optimizers_config=models.OptimizersConfigDiff(indexing_threshold=10),
        )
        client.upsert("kept", models.Batch(ids=list(range(300)), vectors=VECTORS.tolist()), wait=True)
        info = client.get_collection("kept")
        assert (info.indexed_vectors_count, info.status) == (0, models.CollectionStatus.GREY)
        server.stop(kill=True)
        server.start()
        info = client.get_collection("kept")
        assert (info.points_count, info.indexed_vectors_count, info.status) == (300, 300, models.CollectionStatus.GREEN)
        client.close()


def test_an_empty_storage_begins_with_the_seed_and_one_that_is_there_is_left_alone(tmp_path: Path) -> None:
    seed, storage = tmp_path / "seed", tmp_path / "storage"
    with serving(seed) as server:
        client = QdrantClient(url=server.url, check_compatibility=False)
        client.create_collection("seeded", models.VectorParams(size=2, distance=models.Distance.COSINE))
        client.upsert("seeded", [models.PointStruct(id=number, vector=[1.0, float(number)]) for number in range(1, 4)])
        server.stop()
    (tmp_path / "storage.new/cut-short").mkdir(parents=True)
    with serving(storage, seed) as server:
        client = QdrantClient(url=server.url, check_compatibility=False)
        assert client.count("seeded").count == 3
        client.upsert("seeded", [models.PointStruct(id=4, vector=[1.0, 4.0])])
        server.stop()
        server.start()
        assert client.count("seeded").count == 4
    assert not (storage / "cut-short").exists()
