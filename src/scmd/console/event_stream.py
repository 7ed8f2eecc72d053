"""What happens to services as an HTTP event stream, for browsers (EventSource), curl and others.

`GET /events` never ends by itself. Each event is a change; its id is the change's place, so that
who comes again with the last one (the header `Last-Event-ID`, which browsers send, or `after`)
gets what came since: nothing is lost and nothing comes twice, also when this server was another one
meanwhile. A watcher that reads too slowly falls behind as any other does.

Nobody is asked who he is: everybody who reaches the server sees what its user may see.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import time
from collections.abc import AsyncGenerator, Callable, Sequence

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from scmd.client.calls import Calls
from scmd.client.changes import Change
from scmd.client.connection import ConnectionFailed
from scmd.client.watching import Watch
from scmd.vocabulary.errors import Error
from scmd.vocabulary.names import name_key
from scmd.vocabulary.winerror import WinError

HEARTBEAT_S = 15.0
"""A stream where nothing happens says so, for proxies and for who wonders whether it still is."""
RETRY_MS = 1000
"""How soon a browser comes again when its stream has ended."""
PARAMETERS = ("name", "initial", "after")
MEDIA_TYPE = "text/event-stream"


class EventStream:
    """The changes at an SCM, of these services or of all, each as the line that `line` makes."""

    def __init__(
        self,
        connect: Callable[[], Calls],
        names: Sequence[str],
        line: Callable[[Change, float], str],
    ) -> None:
        self._connect = connect
        self._names = names
        self._keys = {name_key(name) for name in names}
        self._line = line
        self._open: set[Watch] = set()
        self.application = Starlette(routes=[Route("/events", self._events)])

    def close(self) -> None:
        """End all streams."""
        for watch in self._open:
            watch.close()

    async def _events(self, request: Request) -> Response:
        if not _is_direct(request.headers.get("host", "")):
            return _refusal(421, "Host must be an address, localhost or this machine's name")
        try:
            watch = self._watch(request)
        except ValueError as error:
            return _refusal(400, str(error))
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        if request.method == "HEAD":
            return Response(media_type=MEDIA_TYPE, headers=headers)
        self._open.add(watch)
        try:
            await asyncio.to_thread(watch.begin)
        except BaseException as error:
            self._end(watch)
            if isinstance(error, WinError):
                return _refusal(_status_of(error), str(error))
            raise
        return StreamingResponse(self._stream(watch), media_type=MEDIA_TYPE, headers=headers)

    def _watch(self, request: Request) -> Watch:
        """What the request asks for; ValueError says what is wrong with it."""
        query = request.query_params
        for parameter in query:
            if parameter not in PARAMETERS:
                raise ValueError(f"{parameter} is none of {', '.join(PARAMETERS)}")
        names = query.getlist("name") or self._names
        for name in names:
            if self._keys and name_key(name) not in self._keys:
                raise ValueError(f"{name} is none of the services that are told of here")
        if (initial := query.get("initial", "0")) not in ("0", "1"):
            raise ValueError(f"initial is {initial}, not 0 or 1")
        after = request.headers.get("last-event-id") or query.get("after", "")
        return Watch(self._connect, names, initial=initial == "1", after=after, lossless=True)

    async def _stream(self, watch: Watch) -> AsyncGenerator[str, None]:
        try:
            yield f"retry: {RETRY_MS}\n\n"
            while True:
                try:
                    change = await asyncio.wait_for(anext(watch), HEARTBEAT_S)
                except TimeoutError:
                    yield ":\n\n"
                except StopAsyncIteration:
                    return
                else:
                    yield self._event(change)
        finally:
            self._end(watch)

    def _end(self, watch: Watch) -> None:
        self._open.discard(watch)
        watch.close()

    def _event(self, change: Change) -> str:
        """Without an id in the midst of a picture: who comes again then needs all of it."""
        id_line = f"id: {change.place}\n" if change.place else ""
        return f"{id_line}data: {self._line(change, time.time())}\n"


def _status_of(error: WinError) -> int:
    if error.winerror == Error.ACCESS_DENIED:
        return 403
    is_away = isinstance(error, ConnectionFailed) or error.winerror == Error.SHUTDOWN_IN_PROGRESS
    return 503 if is_away else 400


def _refusal(status: int, text: str) -> Response:
    return PlainTextResponse(f"{text}\n", status)


def _is_direct(host: str) -> bool:
    """Whether the header names this machine in a way that no other site's page can.

    A page may reach addresses of its visitor's networks by a name that it has redirected, and
    would be allowed to read the answer.
    """
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return name.lower() in ("localhost", socket.gethostname().lower())
    return True
