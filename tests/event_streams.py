"""An event stream over HTTP, as somebody else's client reads it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from typing import Any

LIMIT_S = 60.0


@contextmanager
def ask(port: int, query: str = "", method: str = "GET", **headers: str) -> Iterator[HTTPResponse]:
    connection = HTTPConnection("127.0.0.1", port, timeout=LIMIT_S)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        connection.request(method, f"/events{query}", headers=named)
        with connection.getresponse() as response:
            yield response
    finally:
        connection.close()


def events(stream: HTTPResponse) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each event's id and change."""
    id = ""
    while line := stream.readline().decode():
        field, _, value = line.rstrip("\n").partition(": ")
        if field == "id":
            id = value
        elif field == "data":
            yield id, json.loads(value)
            id = ""
