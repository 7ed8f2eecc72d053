"""`scmd watch --listen`: an event stream over HTTP, and who is refused one."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import pytest

from scmd.client.calls import open_calls
from scmd.client.scm import Scm
from scmd.client.watching import Watch
from scmd.console.event_stream import EventStream
from scmd.tools.main import INTERRUPTED
from tests.client.world import World
from tests.event_streams import ask, events
from tests.started import interrupt
from tests.tools.conftest import Run
from tests.tools.processes import running


@contextmanager
def serving(world: World, *names: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The command, and the port it has found."""
    with running(world, "watch", *names, "--listen", "127.0.0.1:0") as command:
        assert command.stderr is not None
        found = None
        while found is None:
            line = command.stderr.readline()
            assert line.startswith("scmd watch: ")
            found = re.fullmatch(r"scmd watch: http://127\.0\.0\.1:(\d+)/events\n", line)
        yield command, int(found[1])


def until_stopped(stream: HTTPResponse) -> Iterator[tuple[str, dict[str, Any]]]:
    for id, change in events(stream):
        yield id, change
        if change["state"] == "STOPPED":
            return


def test_each_change_is_an_event(web: World, scm: Scm) -> None:
    scm.create("Other", "/usr/bin/other")
    with serving(web) as (_, port), ask(port, "?name=WEB") as stream:
        assert (stream.status, stream.headers["Content-Type"]) == (
            200,
            "text/event-stream; charset=utf-8",
        )
        scm["Other"].start()
        scm["Web"].start()
        scm["Web"].stop()
        told = list(until_stopped(stream))
    assert {change["service_name"] for _, change in told} == {"Web"}
    assert all(id == change["place"] != "" for id, change in told)
    assert len({id for id, _ in told}) == len(told)


@pytest.mark.parametrize("by_header", [True, False])
def test_who_comes_again_goes_on_after_the_last_event(
    web: World, scm: Scm, by_header: bool
) -> None:
    with serving(web) as (_, port), ask(port) as whole, ask(port) as first:
        scm["Web"].start()
        seen = [next(events(first))]
        scm["Web"].stop()
        expected = list(until_stopped(whole))
        # Another server: what it goes by is the SCM's.
    with serving(web) as (_, port):
        query = "" if by_header else f"?after={seen[0][0]}"
        with ask(port, query, **({"Last_Event_ID": seen[0][0]} if by_header else {})) as second:
            seen += until_stopped(second)
    assert [(id, each["sequence"]) for id, each in seen] == [
        (id, each["sequence"]) for id, each in expected
    ]


def test_of_a_picture_only_the_last_event_has_an_id(web: World, scm: Scm) -> None:
    scm.create("Other", "/usr/bin/other")
    with serving(web) as (_, port), ask(port, "?initial=1") as stream:
        told = events(stream)
        found = [next(told), next(told)]
    assert [(bool(id), change["kind"], change["gap"]) for id, change in found] == [
        (False, "service", False),
        (True, "service", False),
    ]
    with serving(web) as (_, port), ask(port, "?after=ffffffff-1") as stream:
        told = events(stream)
        assert [next(told)[1]["gap"], next(told)[1]["gap"]] == [True, True]


@pytest.mark.parametrize(
    ("query", "status", "text"),
    [
        ("?nam=Web", 400, "nam is none of name, initial, after"),
        ("?initial=yes", 400, "initial is yes, not 0 or 1"),
        ("?after=5", 400, "'5' is no place of a change, such as '2f6c01d4b7a395-42'"),
        ("?name=Other", 400, "Other is none of the services that are told of here"),
    ],
)
def test_what_cannot_be_asked_is_refused(web: World, query: str, status: int, text: str) -> None:
    with serving(web, "Web", "DB") as (_, port):
        with ask(port, query) as answer:
            assert (answer.status, answer.read().decode()) == (status, text + "\n")
        with ask(port, "?name=db", "HEAD") as answer:
            assert (answer.status, answer.read()) == (200, b"")
        with ask(port, method="POST") as answer:
            assert answer.status == 405


@pytest.mark.parametrize(
    ("host", "status"),
    [
        *((name, 200) for name in ("127.0.0.1", "localhost:80", "[::1]:8080", "10.0.0.1")),
        *(
            (name, 421)
            for name in ("attacker.example", "127.0.0.1.example:80", "localhost.example")
        ),
        *((name, 421) for name in ("", "[::1", "127.0.0.1:80:80")),
    ],
)
def test_a_page_of_another_site_cannot_name_it(web: World, host: str, status: int) -> None:
    with serving(web) as (_, port), ask(port, method="HEAD", Host=host) as answer:
        assert answer.status == status


def test_without_an_scm_it_does_not_begin(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SCMD_RUNTIME", str(tmp_path))
    done = run("watch", "--listen", "0")
    assert (done.status, "no SCM listens" in done.err) == (1, True)


def test_control_c_ends_it_and_its_streams(web: World) -> None:
    with serving(web) as (command, port), ask(port) as stream:
        assert interrupt(command) == (INTERRUPTED, "", "")
        assert list(events(stream)) == []


@pytest.mark.parametrize("place", ["x", "65536", ":80", "[::1]:x", ""])
def test_a_place_must_be_a_port_or_have_one(run: Run, place: str) -> None:
    done = run("watch", "--listen", place)
    assert done.status == 2
    assert f"--listen {place}: it must be PORT or ADDRESS:PORT" in done.err


@pytest.mark.parametrize("other", ["--json", "--initial", "--after=1-1"])
def test_what_is_for_lines_is_refused(run: Run, other: str) -> None:
    done = run("watch", "--listen", "0", other)
    assert (done.status, "--listen goes with none of" in done.err) == (2, True)


def test_an_address_that_others_reach_is_said_to_be_open(web: World) -> None:
    with running(web, "watch", "--listen", "0.0.0.0:0") as command:
        assert command.stderr is not None
        said = command.stderr.readline() + command.stderr.readline()
        assert "whoever reaches that address is told, without proof who he is" in said
        assert interrupt(command)[0] == INTERRUPTED


async def test_a_stream_where_nothing_happens_says_so(
    web: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scmd.console.event_stream.HEARTBEAT_S", 0.001)
    stream = EventStream(open_calls, (), lambda change, now: change.name)
    told = stream._stream(Watch(open_calls).begin())
    assert [await anext(told), await anext(told), await anext(told)] == [
        "retry: 1000\n\n",
        ":\n\n",
        ":\n\n",
    ]
    stream.close()
    await told.aclose()
