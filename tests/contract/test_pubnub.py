"""The PubNub-compatible server of the sandbox, spoken to in plain HTTP."""

import asyncio
import json
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest

PUBLISH, SUBSCRIBE = "pub-sandbox", "sub-sandbox"
DEADLINE_S = 20.0
SHORT_POLL_S = 0.3


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(*options: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A server process and its URL."""
    port = free_port()
    command = [sys.executable, "-m", "sandbox.pubnub", "--host", "127.0.0.1", "--port", str(port), *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        await_ready(url, process)
        yield process, url
    finally:
        process.kill()
        process.wait(timeout=DEADLINE_S)


def await_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline_s:
        assert process.poll() is None, f"the server ended with {process.returncode}"
        try:
            if httpx.get(f"{url}/health/ready").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.02)
    raise AssertionError("the server did not become ready")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving() as (_, address):
        yield address


class Client:
    """One key set at one server; remembers nothing between calls."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def publish(self, channel: str, message: Any, **query: str) -> str:
        text = quote(json.dumps(message), safe="")
        path = f"/publish/{PUBLISH}/{SUBSCRIBE}/0/{quote(channel, safe='')}/0/{text}"
        answer = (await self.http.get(path, params={"uuid": "tester"} | query)).json()
        assert answer[:2] == [1, "Sent"]
        return str(answer[2])

    async def subscribe(self, channels: str, timetoken: str = "0", **query: str) -> tuple[str, list[dict[str, Any]]]:
        path = f"/v2/subscribe/{SUBSCRIBE}/{quote(channels, safe=',')}/0"
        answer = await self.http.get(path, params={"tt": timetoken, "tr": "1", "uuid": "reader"} | query)
        assert answer.status_code == 200, answer.text
        content = answer.json()
        return content["t"]["t"], content["m"]

    async def read(self, channels: str, timetoken: str, count: int) -> list[dict[str, Any]]:
        """Poll until `count` messages came."""
        found: list[dict[str, Any]] = []
        async with asyncio.timeout(DEADLINE_S):
            while len(found) < count:
                timetoken, messages = await self.subscribe(channels, timetoken)
                found += messages
        return found

    async def metric(self, series: str) -> float:
        lines = (await self.http.get("/metrics")).text.splitlines()
        return float(dict(line.rsplit(" ", 1) for line in lines if line[0] != "#").get(series, 0))

    async def until(self, series: str, holds: Callable[[float], bool]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not holds(await self.metric(series)):
                await asyncio.sleep(0.01)


async def pipelined(url: str, paths: list[str]) -> bytes:
    """All answers on one connection, asked at once in raw bytes: HTTP clients tidy paths up and are slow."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    requests = [f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n" for path in paths]
    last = requests.pop().replace("Host: x", "Host: x\r\nConnection: close")
    writer.write("".join([*requests, last]).encode())
    answers = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answers


@pytest.fixture
async def client(url: str) -> AsyncIterator[Client]:
    async with httpx.AsyncClient(base_url=url, timeout=DEADLINE_S) as http:
        yield Client(http)


@pytest.fixture
def channel() -> str:
    return f"user.{uuid4()}"


async def test_a_message_goes_round_with_its_envelope(client: Client, channel: str) -> None:
    cursor, nothing = await client.subscribe(channel)
    assert (len(cursor), nothing) == (17, [])
    sent_at = await client.publish(channel, {"op": "add"}, meta='{"k":1}')
    newer, messages = await client.subscribe(channel, cursor)
    assert int(cursor) < int(sent_at) == int(newer)
    assert messages == [
        {
            "a": "1",
            "f": 0,
            "i": "tester",
            "p": {"t": sent_at, "r": 1},
            "k": SUBSCRIBE,
            "c": channel,
            "d": {"op": "add"},
            "u": {"k": 1},
        }
    ]


async def test_a_waiting_poll_wakes_at_once(client: Client, channel: str) -> None:
    cursor, _ = await client.subscribe(channel)
    before = await client.metric("pubnub_polls_open")
    poll = asyncio.create_task(client.subscribe(channel, cursor))
    await client.until("pubnub_polls_open", lambda polls: polls == before + 1)
    started_s = time.monotonic()
    await client.publish(channel, "now")
    _, messages = await poll
    assert time.monotonic() - started_s < 2.0
    assert [each["d"] for each in messages] == ["now"]


async def test_one_poll_serves_several_channels_and_no_other(client: Client, channel: str) -> None:
    names = [f"{channel}-{letter}" for letter in "abc"]
    cursor, _ = await client.subscribe(",".join(names[:2]))
    for number, name in enumerate([names[1], names[2], names[0]]):
        await client.publish(name, number)
    messages = await client.read(",".join(names[:2]), cursor, 2)
    assert [(each["c"], each["d"]) for each in messages] == [(names[1], 0), (names[0], 2)]


async def test_a_wildcard_gets_every_matching_message_once_and_says_so(client: Client, channel: str) -> None:
    inner, wildcard = f"{channel}.sync", f"{channel}.*"
    cursor, _ = await client.subscribe(wildcard)
    await client.publish(channel, "outside")
    await client.publish(inner, "inside")
    (message,) = await client.read(wildcard, cursor, 1)
    assert (message["c"], message["b"], message["d"]) == (inner, wildcard, "inside")
    both = await client.read(f"{wildcard},{inner}", cursor, 1)
    assert [each["d"] for each in both] == ["inside"]
    assert "b" not in both[0]


async def test_a_burst_arrives_complete_in_order_and_once(url: str, client: Client, channel: str) -> None:
    cursor, _ = await client.subscribe(channel)
    reading = asyncio.create_task(client.read(channel, cursor, 300))
    paths = [f"/publish/{PUBLISH}/{SUBSCRIBE}/0/{channel}/0/{number}" for number in range(300)]
    await asyncio.gather(*(pipelined(url, paths[publisher::6]) for publisher in range(6)))
    messages = await reading
    assert sorted(each["d"] for each in messages) == list(range(300))
    timetokens = [int(each["p"]["t"]) for each in messages]
    assert timetokens == sorted(set(timetokens))


async def test_one_publisher_keeps_its_order(client: Client, channel: str) -> None:
    cursor, _ = await client.subscribe(channel)
    tokens = [int(await client.publish(channel, number)) for number in range(50)]
    assert tokens == sorted(set(tokens))
    assert [each["d"] for each in await client.read(channel, cursor, 50)] == list(range(50))


async def test_a_late_subscriber_gets_all_since_its_timetoken(client: Client, channel: str) -> None:
    tokens = [await client.publish(channel, number) for number in range(150)]
    assert [each["d"] for each in await client.read(channel, tokens[19], 130)] == list(range(20, 150))


async def test_the_ring_keeps_the_latest_thousand(url: str, client: Client, channel: str) -> None:
    first = await client.publish(channel, 0)
    paths = [f"/publish/{PUBLISH}/{SUBSCRIBE}/0/{channel}/0/{number}" for number in range(1, 1051)]
    assert (await pipelined(url, paths)).count(b"Sent") == 1050
    messages = await client.read(channel, first, 1000)
    assert [each["d"] for each in messages] == list(range(51, 1051))


@pytest.mark.parametrize(
    "message",
    ["a/b//c/../d", "100 % ?x=1&y=2#z", 'quote " and \\ and \n', "Zürich ☃ 🎬", {"nested": {"list": [1, 2.5, None, True]}}, 0],
)
async def test_any_json_survives_the_path(client: Client, channel: str, message: Any) -> None:
    cursor, _ = await client.subscribe(channel)
    await client.publish(channel, message)
    assert (await client.read(channel, cursor, 1))[0]["d"] == message


async def test_an_unencoded_slash_belongs_to_the_message(url: str, client: Client, channel: str) -> None:
    cursor, _ = await client.subscribe(channel)
    path = f"/publish/{PUBLISH}/{SUBSCRIBE}/0/{channel}/0/%22http://x/../y//z%22?uuid=raw"
    assert b"200 OK" in await pipelined(url, [path])
    (message,) = await client.read(channel, cursor, 1)
    assert (message["d"], message["i"]) == ("http://x/../y//z", "raw")


async def test_a_posted_message_and_a_signal_arrive(client: Client, channel: str) -> None:
    cursor, _ = await client.subscribe(channel)
    posted = await client.http.post(f"/publish/{PUBLISH}/{SUBSCRIBE}/0/{channel}/0", content='{"big": "body"}')
    assert posted.json()[1] == "Sent"
    signalled = await client.http.get(f"/signal/{PUBLISH}/{SUBSCRIBE}/0/{channel}/0/%22typing%22")
    assert signalled.json()[1] == "Sent"
    messages = await client.read(channel, cursor, 2)
    assert [(each["d"], each.get("e")) for each in messages] == [({"big": "body"}, None), ("typing", 1)]


async def test_history_pages_both_ways(client: Client, channel: str) -> None:
    tokens = [int(await client.publish(channel, number)) for number in range(10)]
    await client.publish(channel, "unseen", store="0")
    path = f"/v2/history/sub-key/{SUBSCRIBE}/channel/{channel}"

    async def page(**query: str) -> Any:
        return (await client.http.get(path, params=query)).json()

    assert await page() == [list(range(10)), tokens[0], tokens[9]]
    assert await page(count="3") == [[7, 8, 9], tokens[7], tokens[9]]
    assert await page(count="3", start=str(tokens[7])) == [[4, 5, 6], tokens[4], tokens[6]]
    assert (await page(start=str(tokens[7]), end=str(tokens[5])))[0] == [5, 6]
    assert (await page(count="2", reverse="true", start=str(tokens[4])))[0] == [5, 6]
    assert (await page(count="1", include_token="true"))[0] == [{"message": 9, "timetoken": tokens[9]}]
    assert (await client.http.get(path, params={"count": "x"})).status_code == 400


async def test_messages_of_several_channels_can_be_fetched(client: Client, channel: str) -> None:
    for number in range(30):
        await client.publish(f"{channel}-a", number)
    sent_at = await client.publish(f"{channel}-b", "one")
    path = f"/v3/history/sub-key/{SUBSCRIBE}/channel/{channel}-a,{channel}-b,{channel}-none"
    content = (await client.http.get(path)).json()
    assert [each["message"] for each in content["channels"][f"{channel}-a"]] == list(range(5, 30))
    assert content["channels"][f"{channel}-b"] == [{"message": "one", "timetoken": sent_at}]
    assert len(content["channels"]) == 2


async def test_presence_counts_who_beats_until_they_leave(client: Client, channel: str) -> None:
    base = f"/v2/presence/sub-key/{SUBSCRIBE}/channel/{channel}"
    await client.subscribe(channel, uuid="first")
    await client.http.get(f"{base}/heartbeat", params={"uuid": "second"})
    here = (await client.http.get(base)).json()
    assert (sorted(here["uuids"]), here["occupancy"]) == (["first", "second"], 2)
    assert (await client.http.get(f"{base}/leave", params={"uuid": "first"})).json()["action"] == "leave"
    assert (await client.http.get(base)).json()["uuids"] == ["second"]


async def test_the_clock_only_goes_forward(client: Client) -> None:
    tokens = [(await client.http.get("/time/0")).json()[0] for _ in range(20)]
    assert tokens == sorted(set(tokens))
    assert abs(tokens[-1] / 1e7 - time.time()) < 5


@pytest.mark.parametrize(
    ("path", "status", "word"),
    [
        (f"/publish/{PUBLISH}/other/0/c/0/1", 400, "Invalid Key"),
        (f"/publish/{PUBLISH}/{SUBSCRIBE}/0/c/0/%7Bnot", 400, "Invalid JSON"),
        (f"/publish/{PUBLISH}/{SUBSCRIBE}/0/c/0/%FF", 400, "Invalid JSON"),
        (f"/publish/{PUBLISH}/{SUBSCRIBE}/0/c.*/0/1", 400, "Invalid Channel"),
        (f"/publish/{PUBLISH}/{SUBSCRIBE}/0/c/0/%22{'x' * 33_000}%22", 413, "Too Large"),
        (f"/signal/{PUBLISH}/{SUBSCRIBE}/0/c/0/%22{'x' * 65}%22", 413, "Too Large"),
        ("/v2/subscribe/other/c/0?tt=0", 403, "Invalid Subscribe Key"),
        (f"/v2/subscribe/{SUBSCRIBE}/c/0?tt=abc", 400, "Invalid Timetoken"),
        (f"/v2/subscribe/{SUBSCRIBE}/,/0?tt=0&channel-group=g", 400, "Invalid Channels"),
        (f"/v2/subscribe/{SUBSCRIBE}/c/0?tt=0&filter-expr=a", 501, "filter-expr"),
        (f"/v1/channel-registration/sub-key/{SUBSCRIBE}/channel-group/g", 501, "Not supported"),
        ("/nothing/here", 404, "Not found"),
    ],
)
async def test_refusals_name_their_reason(client: Client, path: str, status: int, word: str) -> None:
    answer = await client.http.get(path)
    assert answer.status_code == status
    assert word in answer.text


async def test_a_body_above_the_limit_is_refused(client: Client, channel: str) -> None:
    path = f"/publish/{PUBLISH}/{SUBSCRIBE}/0/{channel}/0"
    answer = await client.http.post(path, content=json.dumps("x" * 40_000))
    assert (answer.status_code, answer.json()[1]) == (413, "Message Too Large")


async def test_metrics_count_requests_and_messages(client: Client, channel: str) -> None:
    published, answered = "pubnub_messages_published_total", 'pubnub_requests_total{endpoint="subscribe",status="200"}'
    before = (await client.metric(published), await client.metric(answered))
    cursor, _ = await client.subscribe(channel)
    await client.publish(channel, 1)
    await client.subscribe(channel, cursor)
    assert (await client.metric(published), await client.metric(answered)) == (before[0] + 1, before[1] + 2)


async def test_an_abandoned_poll_is_dropped(client: Client, channel: str) -> None:
    cursor, _ = await client.subscribe(channel)
    before = await client.metric("pubnub_polls_open")
    poll = asyncio.create_task(client.subscribe(channel, cursor))
    await client.until("pubnub_polls_open", lambda polls: polls == before + 1)
    poll.cancel()
    await client.until("pubnub_polls_open", lambda polls: polls == before)
    await client.until("pubnub_polls_abandoned_total", lambda polls: polls >= 1)


async def test_an_expired_poll_answers_its_own_timetoken(channel: str) -> None:
    with serving("--poll-timeout-s", str(SHORT_POLL_S)) as (_, url):
        async with httpx.AsyncClient(base_url=url, timeout=DEADLINE_S) as http:
            client = Client(http)
            cursor, _ = await client.subscribe(channel)
            started_s = time.monotonic()
            assert await client.subscribe(channel, cursor) == (cursor, [])
            assert SHORT_POLL_S <= time.monotonic() - started_s < SHORT_POLL_S + 5
            assert await client.metric("pubnub_polls_expired_total") == 1


async def test_sigterm_answers_the_open_polls_and_ends_at_once(channel: str) -> None:
    with serving() as (process, url):
        async with httpx.AsyncClient(base_url=url, timeout=DEADLINE_S) as http:
            client = Client(http)
            cursor, _ = await client.subscribe(channel)
            polls = [asyncio.create_task(client.subscribe(channel, cursor)) for _ in range(5)]
            await client.until("pubnub_polls_open", lambda count: count == 5)
            started_s = time.monotonic()
            process.terminate()
            assert await asyncio.gather(*polls) == [(cursor, [])] * 5
            assert await asyncio.to_thread(process.wait, DEADLINE_S) == 0
            assert time.monotonic() - started_s < 2.0
