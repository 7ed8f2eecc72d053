"""Watching: by iterator and async iterator, at an SCM behind a real socket."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator

import pytest

import scmd
from scmd.client.calls import Calls, open_calls
from scmd.client.connection import ConnectionFailed
from scmd.client.feed_changes import FeedChanges
from scmd.client.reconnection import MOST_ATTEMPTS
from scmd.client.scm import Scm
from scmd.client.watching import Watch, watch
from scmd.scmd_interface.feed import WaitForChangesResponse
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import ServiceAccess, ServiceState
from scmd.vocabulary.winerror import WinError
from tests.begun import begun
from tests.client.conftest import refuse
from tests.client.reaching import Reaching
from tests.client.world import World

S = ServiceState


@pytest.fixture
def web(scm: Scm) -> Scm:
    scm.create("Web", "/usr/bin/web")
    scm.create("Other", "/usr/bin/other")
    return scm


def until_stopped(changes: Watch) -> Iterator[scmd.Change]:
    for change in changes:
        yield change
        if change.state == S.STOPPED:
            return


def test_changes_of_one_service_come_in_order(web: Scm) -> None:
    with watch("WEB") as changes:
        web["Other"].start()
        web["Web"].start()
        web["Web"].stop()
        first = next(changes)
        assert (first.kind, first.before, first.state) == ("status", S.STOPPED, S.START_PENDING)
        assert (first.actor, first.gap) == ("tester", False)
        assert S.RUNNING in [change.state for change in until_stopped(changes)]


def test_everything_is_watched_without_names(web: Scm) -> None:
    with scmd.watch() as changes:
        web.create("New", "/bin/new")
        web["New"].start()
        web["New"].delete()
        kinds = []
        while "delete_pending" not in kinds:
            kinds.append(next(changes).kind)
        assert kinds[0] == "created"


def test_each_number_is_one_higher_than_the_one_before(web: Scm) -> None:
    with watch() as changes:
        for _ in range(5):
            web["Web"].start()
            web["Web"].stop()
        numbers = []
        for change in changes:
            numbers.append(change.sequence)
            if len(numbers) >= 10:
                break
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_initially_each_service_comes_as_it_is(web: Scm) -> None:
    web["Web"].start()
    with watch(initial=True) as changes:
        found = [next(changes), next(changes)]
    assert [(each.kind, each.name, each.state) for each in found] == [
        ("service", "Web", S.RUNNING),
        ("service", "Other", S.STOPPED),
    ]
    assert not any(each.gap for each in found)


def test_a_service_need_not_exist_yet(web: Scm) -> None:
    with watch("Later") as changes:
        web.create("Later", "/bin/later")
        assert next(changes).kind == "created"


def test_who_is_behind_is_told_so_and_gets_the_services(
    world: World, web: Scm, monkeypatch: pytest.MonkeyPatch
) -> None:
    with watch() as changes:
        feed = world.scm.state.feed
        web["Web"].start()
        # As if thousands of others had come since.
        feed.kept.clear()
        found = [next(changes), next(changes)]
        assert {(each.kind, each.gap) for each in found} == {("service", True)}
        web["Web"].stop()
        assert not next(changes).gap


def test_who_is_behind_is_told_of_a_service_that_is_gone(world: World, web: Scm) -> None:
    with watch("WEB", "Other", "web") as changes:
        web["Web"].delete()
        world.scm.state.feed.kept.clear()
        found = [next(changes), next(changes)]
    assert [(each.kind, each.name, each.gap) for each in found] == [
        ("service", "Other", True),
        ("deleted", "Web", True),
    ]


def test_of_a_name_that_never_was_nothing_is_told_but_the_gap(world: World, web: Scm) -> None:
    with watch("Never", "Brief") as changes:
        web.create("Brief", "/bin/brief")
        web["Brief"].delete()
        world.scm.state.feed.kept.clear()
        changes._fetch()
        web.create("Never", "/bin/never")
        web["Never"].start(wait=False)
        found = [next(changes), next(changes)]
    assert [(each.kind, each.name, each.gap) for each in found] == [
        ("created", "Never", True),
        ("status", "Never", False),
    ]


@pytest.mark.parametrize("initial", [False, True])
def test_who_watches_all_is_told_who_went_meanwhile(world: World, web: Scm, initial: bool) -> None:
    with watch(initial=initial) as changes:
        if initial:
            assert {next(changes).name, next(changes).name} == {"Web", "Other"}
        web.create("Brief", "/bin/brief")
        web["Brief"].delete()
        web.create("New", "/bin/new")
        while next(changes).name != "New":
            pass
        for name in ("New", "Web"):
            web[name].delete()
        world.scm.state.feed.kept.clear()
        found = [next(changes) for _ in range(3)]
        # That is known now.
        world.scm.state.feed.kept.clear()
        web["Other"].start()
        again = [next(changes)]
        web["Other"].stop()
        again.append(next(changes))
    assert {change.name for change in again} == {"Other"}
    assert [(each.kind, each.name, each.gap) for each in found] == [
        ("service", "Other", True),
        ("deleted", "Web", True),
        ("deleted", "New", True),
    ]


def test_a_picture_says_who_is_marked_for_deletion(web: Scm) -> None:
    with web["Web"].opened(ServiceAccess.QUERY_STATUS):
        web["Web"].delete()
        with watch("Web", "Other", initial=True) as changes:
            assert [next(changes).marked, next(changes).marked] == [True, False]


def test_more_names_than_can_be_said_are_watched_among_all(world: World, web: Scm) -> None:
    with watch("Web", *map(str, range(1024))) as changes:
        web["Other"].start()
        web["Web"].start()
        assert next(changes).name == "Web"
        web["Web"].stop()
        world.scm.state.feed.kept.clear()
        while not (picture := next(changes)).gap:
            pass
        web["Other"].stop()
        web["Web"].start(wait=False)
        change = next(changes)
    assert [(each.kind, each.name) for each in (picture, change)] == [
        ("service", "Web"),
        ("status", "Web"),
    ]


def test_a_large_picture_comes_whole(world: World, web: Scm) -> None:
    for number in range(300):
        web.create(f"S{number}", "/bin/x")
    with watch(initial=True) as changes:
        names = [next(changes).name for _ in range(302)]
    assert len(set(names)) == 302


def test_what_a_later_part_of_a_picture_shows_is_not_told_again(
    web: Scm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What changed between the parts: of the first part's services it comes as changes.

    Nor is it told to another watch that goes on from a place.
    """
    for number in range(300):
        web.create(f"S{number}", "/bin/x")
    ask = FeedChanges._ask

    def meanwhile(self: FeedChanges, resume: int) -> WaitForChangesResponse:
        if resume:
            web["S299"].start()
            web["Web"].start()
        return ask(self, resume)

    monkeypatch.setattr(FeedChanges, "_ask", meanwhile)
    with watch(initial=True) as changes:
        shown = [next(changes) for _ in range(302)]
        picture = {change.name: change.state for change in shown}
        assert (picture["S299"], picture["Web"]) == (S.RUNNING, S.STOPPED)
        web["S299"].stop()
        told = list(until_stopped(changes))
    places = [change.place for change in (*shown, *told) if change.place]
    with watch(after=places[0]) as again:
        assert {change.name for change in until_stopped(again)} == {"S299"}
    assert [each.name for each in told if each.state == S.RUNNING] == ["Web"]
    assert told[-1].name == "S299"


def test_it_goes_on_when_the_connection_breaks(web: Scm) -> None:
    connect = Reaching()
    with Watch(connect, ["Web"]) as changes:
        changes.begin()
        connect.cut()
        web["Web"].start()
        assert next(changes).state == S.START_PENDING


def test_a_first_connection_that_fails_raises(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setenv("SCMD_RUNTIME", str(tmp_path))
    with pytest.raises(ConnectionFailed):
        watch("Web")


@pytest.mark.parametrize("breaking", [MOST_ATTEMPTS - 1, MOST_ATTEMPTS])
def test_a_first_connection_that_breaks_is_made_again(web: Scm, breaking: int) -> None:
    opened: list[Calls] = []

    def connect() -> Calls:
        opened.append(open_calls())
        if len(opened) <= breaking:
            opened[-1].connection.abort()
        return opened[-1]

    with Watch(connect, ["Web"]) as changes:
        if breaking == MOST_ATTEMPTS:
            with pytest.raises(ConnectionFailed):
                changes.begin()
        changes.begin()
        web["Web"].start()
        assert next(changes).state == S.START_PENDING
    assert len(opened) == breaking + 1


def test_credentials_that_the_server_refuses_are_not_tried_again(web: Scm) -> None:
    refusal = ConnectionFailed(
        Error.ACCESS_DENIED, "OpenSCManager", "wrong password", refused_at=""
    )
    connect = Reaching(refusal)
    with Watch(connect, ["Web"]) as changes:
        changes.begin()
        connect.cut()
        with pytest.raises(ConnectionFailed, match="wrong password"):
            next(changes)
        # Whoever knows better goes on, and has missed nothing.
        web["Web"].start()
        assert next(changes).state == S.START_PENDING


@pytest.mark.parametrize(
    "failure",
    [
        ConnectionFailed(Error.RPC_SERVER_UNAVAILABLE, "OpenSCManager", "nobody is there"),
        ConnectionFailed(Error.ACCESS_DENIED, "OpenSCManager", "no ticket yet"),
        ConnectionFailed(Error.ACCESS_DENIED, "OpenSCManager", "not by SMB", refused_at="the pipe"),
    ],
)
def test_a_server_that_cannot_be_asked_is_waited_for(web: Scm, failure: ConnectionFailed) -> None:
    connect = Reaching(failure)
    with Watch(connect, ["Web"]) as changes:
        changes.begin()
        connect.cut()
        web["Web"].start()
        assert next(changes).state == S.START_PENDING
        assert connect.failure is None


def test_closing_ends_the_iteration_from_another_thread(web: Scm) -> None:
    changes = watch("Web")
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.extend(changes))
    thread.start()
    changes.close()
    thread.join()
    assert found == []


def test_closing_ends_it_while_it_connects_too(web: Scm) -> None:
    opened: list[Calls] = []

    def connect() -> Calls:
        if opened:
            changes.close()
        opened.append(open_calls())
        return opened[-1]

    changes = Watch(connect).begin()
    opened[0].connection.abort()
    assert list(changes) == []


def test_it_needs_the_right_to_list_services(web: Scm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Calls, "open_scm", refuse)
    with pytest.raises(WinError) as refused:
        watch()
    assert refused.value.winerror == 5


async def test_changes_come_by_async_iteration(web: Scm) -> None:
    async with asyncio.timeout(60):
        with watch("Web") as changes:
            web["Web"].start(wait=False)
            found = [S.STOPPED]
            async for change in changes:
                if change.state != found[-1]:
                    found.append(change.state)
                if change.state == S.RUNNING:
                    break
    assert found == [S.STOPPED, S.START_PENDING, S.RUNNING]


async def test_a_cancelled_wait_loses_nothing(web: Scm) -> None:
    with watch("Web") as changes:
        waiting = await begun(anext(changes))
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        web["Web"].start(wait=False)
        assert (await anext(changes)).state == S.START_PENDING


def test_a_loop_goes_on_where_another_one_was_left(web: Scm) -> None:
    async def given_up() -> None:
        (await begun(anext(changes))).cancel()

    async def until_running() -> scmd.Change:
        waiting = await begun(anext(changes))
        web["Web"].start(wait=False)
        change = await waiting
        while change.state != S.RUNNING:
            change = await anext(changes)
        return change

    with watch("Web") as changes:
        asyncio.run(given_up())
        running = asyncio.run(until_running())
        asyncio.run(given_up())
        web["Web"].stop(wait=False)
        # What the thread of a loop that is over fetches is for whoever comes.
        assert next(changes).sequence == running.sequence + 1


def test_nothing_is_kept_of_a_loop_that_ended_before_it_was_told(
    web: Scm, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched = threading.Event()
    loop = asyncio.new_event_loop()
    soon = loop.call_soon_threadsafe

    def tell_soon(act: Callable[[], None]) -> None:
        soon(act)
        fetched.set()

    with watch("Web") as changes:
        loop.run_until_complete(begun(anext(changes))).cancel()
        monkeypatch.setattr(loop, "call_soon_threadsafe", tell_soon)
        web["Web"].start(wait=False)
        assert fetched.wait(60)
        loop.close()
        while next(changes).state != S.RUNNING:
            pass

        async def until_stopped() -> None:
            waiting = await begun(anext(changes))
            assert list(changes._fetching) == [asyncio.get_running_loop()]
            web["Web"].stop(wait=False)
            await waiting

        asyncio.run(until_stopped())


async def test_closing_ends_async_iteration(web: Scm) -> None:
    changes = watch("Web")
    waiting = await begun(anext(changes))
    await changes.aclose()
    with pytest.raises(StopAsyncIteration):
        await waiting


async def test_an_error_reaches_whoever_waits(web: Scm, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise WinError(5, "WaitForChanges")

    with watch("Web") as changes:
        monkeypatch.setattr(FeedChanges, "next", fail)
        with pytest.raises(WinError):
            await anext(changes)


def test_iterating_is_what_a_watch_is_for(web: Scm) -> None:
    changes = watch()
    assert isinstance(changes, Iterator)
    changes.close()
    assert list(changes) == []
