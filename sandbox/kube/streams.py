"""Answers that go on: watches and logs."""

from contextlib import aclosing
from datetime import UTC, datetime, timedelta

import orjson
from aiohttp import web

from sandbox.kube import errors
from sandbox.kube.kubelet import Kubelet
from sandbox.kube.logfile import LogFile, LogQuery
from sandbox.kube.objects import Object
from sandbox.kube.paths import Target
from sandbox.kube.requests import flag, number, predicate, wants_table
from sandbox.kube.store import Store
from sandbox.kube.tables import TableStyle, table
from sandbox.kube.watching import Watch, WatchEvent, WatchQuery, error_event

_LONGEST_S = 3600.0


async def serve_watch(request: web.Request, target: Target, store: Store) -> web.StreamResponse:
    """Events as JSON lines; one that is too far behind gets an ERROR event with a Status 410."""
    query = WatchQuery(
        resource=target.resource,
        namespace=target.namespace,
        predicate=predicate(request, target),
        revision=_revision(request),
        timeout_s=min(float(number(request, "timeoutSeconds") or _LONGEST_S), _LONGEST_S),
        bookmarks=flag(request, "allowWatchBookmarks"),
        initial_end=flag(request, "sendInitialEvents"),
    )
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    try:
        watch = Watch(store, query)
    except errors.ApiError as error:
        await response.prepare(request)
        await response.write(orjson.dumps(error_event(error)) + b"\n")
        return response
    try:
        await response.prepare(request)
        await _send_events(request, response, watch, target)
    except ConnectionResetError:
        return response
    finally:
        watch.close()
    return response


def _revision(request: web.Request) -> int | None:
    """Where to start; '' and '0' ask for what is there now, as do `sendInitialEvents`."""
    if flag(request, "sendInitialEvents"):
        return None
    return number(request, "resourceVersion") or None


async def _send_events(request: web.Request, response: web.StreamResponse, watch: Watch, target: Target) -> None:
    as_table = wants_table(request)
    style = TableStyle(request.query.get("includeObject", "Metadata"))
    header = True
    async with aclosing(watch.events()) as events:
        async for event in events:
            shown = event.object
            if as_table and event.type != "BOOKMARK":
                shown = table(target.resource, [event.object], style, header=header)
                header = False
            await response.write(_line(event, shown))


def _line(event: WatchEvent, shown: Object) -> bytes:
    return orjson.dumps({"type": event.type, "object": shown}) + b"\n"


async def serve_log(request: web.Request, pod: Object, kubelet: Kubelet) -> web.StreamResponse:
    """A container's output as plain text."""
    log_file = kubelet.log_of(pod, request.query.get("container") or None, previous=flag(request, "previous"))
    query = LogQuery(
        follow=flag(request, "follow"),
        timestamps=flag(request, "timestamps"),
        tail_lines=number(request, "tailLines"),
        since=_since(request),
        limit_bytes=number(request, "limitBytes"),
    )
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    await response.prepare(request)
    try:
        await _send_log(response, log_file, query)
    except ConnectionResetError:
        return response
    return response


async def _send_log(response: web.StreamResponse, log_file: LogFile, query: LogQuery) -> None:
    async with aclosing(log_file.read(query)) as lines:
        async for line in lines:
            await response.write(line)


def _since(request: web.Request) -> str | None:
    seconds = number(request, "sinceSeconds")
    if seconds is not None:
        return (datetime.now(UTC) - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%f")
    return request.query.get("sinceTime") or None
