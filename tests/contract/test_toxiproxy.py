"""The fault proxy's API as its clients see it, through toxiproxy-python and HTTP, and its command line."""

import json
import signal
import time
from pathlib import Path

import httpx
import pytest
import toxiproxy_rig
from toxiproxy import Toxiproxy
from toxiproxy.exceptions import InvalidToxic, NotFound, ProxyExists
from toxiproxy_rig import START_S, WAIT_S, Relay, program

server, http, api, relay = toxiproxy_rig.server, toxiproxy_rig.http, toxiproxy_rig.api, toxiproxy_rig.relay


@pytest.fixture
def toxiproxy(server: str, api: httpx.Client) -> Toxiproxy:
    host, _, port = server.removeprefix("http://").rpartition(":")
    client = Toxiproxy()
    client.update_api_consumer(host, int(port))
    return client


# The API through toxiproxy-python


def test_python_client_creates_lists_and_destroys(toxiproxy: Toxiproxy) -> None:
    assert toxiproxy.running()
    assert json.loads(toxiproxy.version()) == {"version": "2.12.0"}
    made = toxiproxy.create(name="a", upstream="127.0.0.1:9")
    seen = toxiproxy.get_proxy("a")
    assert (seen.listen, seen.upstream, seen.enabled) == (made.listen, "127.0.0.1:9", True)
    assert not made.listen.endswith(":0")
    with pytest.raises(ProxyExists):
        toxiproxy.create(name="a", upstream="127.0.0.1:9")
    toxiproxy.populate([{"name": "b", "upstream": "127.0.0.1:9", "listen": "127.0.0.1:0"}])
    assert sorted(toxiproxy.proxies()) == ["a", "b"]
    toxiproxy.destroy_all()
    assert toxiproxy.proxies() == {}


def test_python_client_adds_reads_and_removes_toxics(toxiproxy: Toxiproxy) -> None:
    proxy = toxiproxy.create(name="a", upstream="127.0.0.1:9")
    proxy.add_toxic(type="latency", attributes={"latency": 200, "jitter": 20})
    proxy.add_toxic(type="bandwidth", stream="upstream", name="thin", toxicity=0.5, attributes={"rate": 10})
    latency, thin = proxy.get_toxic("latency_downstream"), proxy.get_toxic("thin")
    assert (latency.type, latency.stream, latency.toxicity) == ("latency", "downstream", 1.0)
    assert latency.attributes == {"latency": 200, "jitter": 20}
    assert (thin.type, thin.stream, thin.toxicity, thin.attributes) == ("bandwidth", "upstream", 0.5, {"rate": 10})
    assert proxy.destroy_toxic("thin")
    assert sorted(proxy.toxics()) == ["latency_downstream"]
    with pytest.raises(NotFound):
        proxy.destroy_toxic("thin")
    with pytest.raises(InvalidToxic):
        proxy.add_toxic(type="earthquake")
    assert toxiproxy.reset()
    assert proxy.toxics() == {}


async def test_python_client_takes_a_proxy_down_and_up(toxiproxy: Toxiproxy, relay: Relay) -> None:
    proxy = toxiproxy.get_proxy("echo")
    with proxy.down():
        assert toxiproxy.get_proxy("echo").enabled is False
        assert await relay.is_refused()
    assert toxiproxy.get_proxy("echo").enabled is True
    await (await relay.connect()).ask()


# The API through HTTP


def test_shapes_and_codes(api: httpx.Client) -> None:
    created = api.post("/proxies", json={"name": "a", "listen": "localhost:0", "upstream": "localhost:9", "enabled": True})
    assert created.status_code == 201
    assert sorted(created.json()) == ["enabled", "listen", "name", "toxics", "upstream"]
    assert created.json()["listen"].startswith("127.0.0.1:")
    toxic = api.post("/proxies/a/toxics", json={"type": "slicer", "attributes": {"average_size": 64}})
    assert (toxic.status_code, toxic.json()) == (
        200,
        {
            "name": "slicer_downstream",
            "type": "slicer",
            "stream": "downstream",
            "toxicity": 1.0,
            "attributes": {"average_size": 64, "size_variation": 0, "delay": 0},
        },
    )
    assert api.get("/proxies/a/toxics/slicer_downstream").json() == toxic.json()
    assert api.get("/proxies/a/toxics").json() == [toxic.json()]
    assert api.get("/proxies/a").json() == created.json() | {"toxics": [toxic.json()]}
    assert api.get("/proxies").json() == {"a": api.get("/proxies/a").json()}
    assert api.delete("/proxies/a/toxics/slicer_downstream").status_code == 204
    assert api.post("/reset").status_code == 204
    assert api.delete("/proxies/a").status_code == 204


def test_toxics_of_both_streams_and_every_type(api: httpx.Client) -> None:
    api.post("/proxies", json={"name": "a", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:9"})
    kinds = {
        "latency": {"latency": 1, "jitter": 1},
        "bandwidth": {"rate": 1},
        "slow_close": {"delay": 1},
        "timeout": {"timeout": 1},
        "reset_peer": {"timeout": 1},
        "slicer": {"average_size": 1, "size_variation": 0, "delay": 1},
        "limit_data": {"bytes": 1},
        "noop": {},
    }
    for kind, attributes in kinds.items():
        for stream in ("upstream", "downstream"):
            body = {"type": kind, "stream": stream, "attributes": attributes}
            made = api.post("/proxies/a/toxics", json=body).json()
            assert made == body | {"name": f"{kind}_{stream}", "toxicity": 1.0}
    assert len(api.get("/proxies/a/toxics").json()) == 16


@pytest.mark.parametrize("method", ["PATCH", "POST"])
def test_updating_a_toxic_merges_and_keeps_type_and_stream(api: httpx.Client, method: str) -> None:
    api.post("/proxies", json={"name": "a", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:9"})
    api.post("/proxies/a/toxics", json={"type": "latency", "attributes": {"latency": 100, "jitter": 10}})
    body = {"type": "timeout", "stream": "upstream", "name": "b", "toxicity": 0.25, "attributes": {"latency": 300}}
    changed = api.request(method, "/proxies/a/toxics/latency_downstream", json=body)
    expected = {"latency": 300, "jitter": 10}
    assert changed.json() == {
        "name": "latency_downstream",
        "type": "latency",
        "stream": "downstream",
        "toxicity": 0.25,
        "attributes": expected,
    }
    refused = api.request(method, "/proxies/a/toxics/latency_downstream", json={"attributes": {"latency": "x"}})
    assert refused.status_code == 400
    assert api.get("/proxies/a/toxics/latency_downstream").json()["attributes"] == expected


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "error"),
    [
        ("POST", "/proxies", {"upstream": "127.0.0.1:9"}, 400, "missing required field: name"),
        ("POST", "/proxies", {"name": "b"}, 400, "missing required field: upstream"),
        ("POST", "/proxies", {"name": "a", "upstream": "127.0.0.1:9"}, 409, "proxy already exists"),
        ("POST", "/proxies", {"name": "b", "upstream": 9}, 400, "bad request body: upstream must be a string"),
        ("POST", "/proxies", None, 400, "bad request body: EOF"),
        ("GET", "/proxies/none", None, 404, "proxy not found"),
        ("POST", "/proxies", {"name": "b", "upstream": "nowhere"}, 400, "bad request body: address nowhere"),
        ("PATCH", "/proxies/a", {"upstream": "nowhere"}, 400, "bad request body: address nowhere"),
        ("PATCH", "/proxies/none", {}, 404, "proxy not found"),
        ("DELETE", "/proxies/none", None, 404, "proxy not found"),
        ("GET", "/proxies/none/toxics", None, 404, "proxy not found"),
        ("POST", "/proxies/none/toxics", {"type": "latency"}, 404, "proxy not found"),
        ("GET", "/proxies/a/toxics/none", None, 404, "toxic not found"),
        ("PATCH", "/proxies/a/toxics/none", {}, 404, "toxic not found"),
        ("DELETE", "/proxies/a/toxics/none", None, 404, "toxic not found"),
        ("POST", "/proxies/a/toxics", {"type": "latency"}, 409, "toxic already exists"),
        ("POST", "/proxies/a/toxics", {"type": "latency", "stream": "up", "name": "x"}, 400, "stream was invalid"),
        ("POST", "/proxies/a/toxics", {"type": "none"}, 400, "invalid toxic type"),
        ("POST", "/populate", {"name": "a"}, 400, "bad request body: body must be a list"),
        ("POST", "/populate", [{"name": "b"}], 400, "missing required field: upstream at proxy 1"),
    ],
)
def test_errors(api: httpx.Client, method: str, path: str, body: object, status: int, error: str) -> None:
    api.post("/proxies", json={"name": "a", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:9"})
    api.post("/proxies/a/toxics", json={"type": "latency"})
    answer = api.request(method, path, json=body) if body is not None else api.request(method, path)
    assert answer.status_code == status
    assert answer.json()["status"] == status
    assert answer.json()["error"].startswith(error)
    assert {name: proxy["enabled"] for name, proxy in api.get("/proxies").json().items()} == {"a": True}


def test_an_address_in_use_is_an_error_and_leaves_nothing_behind(api: httpx.Client) -> None:
    taken = api.post("/proxies", json={"name": "a", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:9"}).json()["listen"]
    answer = api.post("/proxies", json={"name": "b", "listen": taken, "upstream": "127.0.0.1:9"})
    assert answer.json() == {"error": f"listen tcp {taken}: bind: address already in use", "status": 500}
    assert list(api.get("/proxies").json()) == ["a"]


def test_browsers_are_refused_and_requests_are_numbered(api: httpx.Client) -> None:
    assert api.get("/version", headers={"User-Agent": "Mozilla/5.0 (X11)"}).status_code == 403
    numbers = {api.get("/version").headers["X-Toxiproxy-Request-Id"] for _ in range(3)}
    assert len(numbers) == 3


def test_health(api: httpx.Client) -> None:
    for path in ("/health", "/health/ready"):
        assert api.get(path).json() == {"status": "healthy", "version": "2.12.0"}


def test_populate_keeps_equal_proxies_and_replaces_others(api: httpx.Client) -> None:
    first = [{"name": name, "listen": "127.0.0.1:0", "upstream": "127.0.0.1:9"} for name in ("same", "other")]
    answer = api.post("/populate", json=[*first, first[0] | {"name": "off", "enabled": False}])
    assert answer.status_code == 201
    made = {proxy["name"]: proxy for proxy in answer.json()["proxies"]}
    assert {name: proxy["enabled"] for name, proxy in made.items()} == {"same": True, "other": True, "off": False}
    for name in ("same", "other"):
        api.post(f"/proxies/{name}/toxics", json={"type": "latency"})
    second = [made["same"], made["other"] | {"upstream": "127.0.0.1:10"}]
    answer = api.post("/populate", json=[{key: proxy[key] for key in ("name", "listen", "upstream")} for proxy in second])
    again = {proxy["name"]: proxy for proxy in answer.json()["proxies"]}
    assert [len(again[name]["toxics"]) for name in ("same", "other")] == [1, 0]
    assert (again["other"]["upstream"], again["other"]["listen"]) == ("127.0.0.1:10", made["other"]["listen"])
    assert sorted(api.get("/proxies").json()) == ["off", "other", "same"]


def test_populate_that_fails_tells_how_far_it_came(api: httpx.Client) -> None:
    wanted = [{"name": "a", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:9"}]
    taken = api.post("/populate", json=wanted).json()["proxies"][0]["listen"]
    answer = api.post("/populate", json=[wanted[0] | {"name": "b"}, wanted[0] | {"name": "c", "listen": taken}])
    assert (answer.status_code, answer.json()["status"]) == (500, 500)
    assert [proxy["name"] for proxy in answer.json()["proxies"]] == ["b"]


async def test_metrics_count_while_a_connection_is_open(relay: Relay) -> None:
    client = await relay.connect()
    await client.ask(b"x" * 1000)
    upstream = relay.api.get("/proxies/echo").json()["upstream"]
    for direction in ("upstream", "downstream"):
        labels = f'direction="{direction}",proxy="echo",listener="{relay.listen}",upstream="{upstream}"'
        for name in ("received", "sent"):
            lines = relay.api.get("/metrics").text.splitlines()
            assert f"toxiproxy_proxy_{name}_bytes_total{{{labels}}} 1000" in lines


async def test_metrics_tell_received_from_sent_under_a_black_hole(relay: Relay) -> None:
    relay.add("timeout", "upstream", timeout=0)
    client = await relay.connect()
    client.writer.write(b"x" * 700)
    labels = f'direction="upstream",proxy="echo",listener="{relay.listen}"'
    deadline_s = time.monotonic() + WAIT_S
    while time.monotonic() < deadline_s:
        lines = [line for line in relay.api.get("/metrics").text.splitlines() if labels in line]
        values = {line.partition("{")[0]: int(line.rpartition(" ")[2]) for line in lines}
        if values["toxiproxy_proxy_received_bytes_total"]:
            break
    assert values == {"toxiproxy_proxy_received_bytes_total": 700, "toxiproxy_proxy_sent_bytes_total": 0}


# The program


@pytest.mark.parametrize("source", ["file", "environment"])
def test_the_first_proxies_come_from_a_file_or_the_environment(tmp_path: Path, source: str) -> None:
    text = json.dumps([{"name": "a", "listen": "127.83.0.12:0", "upstream": "127.0.0.1:9", "enabled": True}])
    (tmp_path / "proxies.json").write_text(text)
    arguments = ["--config", str(tmp_path / "proxies.json")] if source == "file" else []
    environment = {"TOXIPROXY_CONFIG_JSON": text} if source == "environment" else {}
    with program(tmp_path / "log", *arguments, POD_IP="127.83.0.11", PORT="0", **environment) as running:
        url = running.url()
        assert url.startswith("http://127.83.0.11:")
        with httpx.Client(base_url=url) as kept_alive:
            proxy = kept_alive.get("/proxies/a").json()
            assert proxy["enabled"] is True
            assert proxy["listen"].startswith("127.83.0.12:")
            start_s = time.monotonic()
            running.process.send_signal(signal.SIGTERM)
            assert running.process.wait(timeout=WAIT_S) == 0
            assert time.monotonic() - start_s < 1
    assert all({"ts", "level", "service", "message"} <= line.keys() for line in running.lines())


@pytest.mark.parametrize("text", ['[{"name": 1}]', "{", '[{"name": "a", "listen": "203.0.113.1:1", "upstream": "x:1"}]'])
def test_a_configuration_that_cannot_be_applied_ends_the_program(tmp_path: Path, text: str) -> None:
    with program(tmp_path / "log", "--port", "0", TOXIPROXY_CONFIG_JSON=text) as running:
        assert running.process.wait(timeout=START_S) == 1
    assert [line["level"] for line in running.lines()] == ["ERROR"]
