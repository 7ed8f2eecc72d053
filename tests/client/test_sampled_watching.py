"""Watching a server that has no feed: by NotifyServiceStatusChange, or by looking on and on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from queue import Queue
from typing import Any

import pytest

from scmd import winsvc
from scmd.client import notified_changes, polled_changes
from scmd.client.scm import Scm
from scmd.client.status_requests import register
from scmd.client.watching import Change, Watch, watch
from scmd.vocabulary.service import ServiceAccess, ServiceState
from scmd.vocabulary.winerror import WinError
from tests.client.reaching import Reaching
from tests.client.world import World

S = ServiceState


@pytest.fixture
def notifying(world: World, scm: Scm) -> Scm:
    world.has_feed = False
    scm.create("Web", "/usr/bin/web")
    scm.create("Other", "/usr/bin/other")
    return scm


@pytest.fixture(params=["notified", "polled"])
def web(
    request: pytest.FixtureRequest,
    world: World,
    notifying: Scm,
    monkeypatch: pytest.MonkeyPatch,
) -> Scm:
    world.has_notifications = request.param == "notified"
    monkeypatch.setattr(polled_changes, "POLL_S", 0.01)
    return notifying


def until(changes: Iterator[Change], is_last: Callable[[Change], bool]) -> list[Change]:
    found = [next(changes)]
    while not is_last(found[-1]):
        found.append(next(changes))
    assert all(change.sampled for change in found)
    return found


def test_states_are_told_from_the_one_that_was(web: Scm) -> None:
    with watch("WEB") as changes:
        web["Other"].start()
        web["Web"].start()
        started = until(changes, lambda change: change.state == S.RUNNING)
        web["Web"].stop()
        stopped = until(changes, lambda change: change.state == S.STOPPED)
    assert {(each.kind, each.name, each.gap) for each in started} == {("status", "Web", False)}
    assert started[0].before == S.STOPPED
    assert stopped[0].before == S.RUNNING
    assert {each.sequence for each in stopped} == {0}


def test_who_comes_and_goes_is_told(web: Scm) -> None:
    with watch() as changes:
        web.create("New", "/bin/new")
        assert next(changes).kind == "created"
        web["New"].start()
        until(changes, lambda change: (change.name, change.state) == ("New", S.RUNNING))
        web["New"].stop()
        until(changes, lambda change: change.state == S.STOPPED)
        # It can go, though it is watched.
        web["New"].delete()
        kinds = [each.kind for each in until(changes, lambda change: change.kind == "deleted")]
        assert set(kinds) <= {"delete_pending", "deleted"}
        web.create("New", "/bin/new")
        assert next(changes).kind == "created"
        web["New"].start()
        until(changes, lambda change: (change.name, change.state) == ("New", S.RUNNING))


def test_a_service_need_not_exist_yet(web: Scm) -> None:
    with watch("Later") as changes:
        web.create("Sooner", "/bin/sooner")
        web.create("Later", "/bin/later")
        created = next(changes)
        assert (created.kind, created.name, created.state) == ("created", "Later", S.STOPPED)


def test_initially_each_service_comes_as_it_is(web: Scm) -> None:
    web["Web"].start()
    with watch(initial=True) as changes:
        found = [next(changes), next(changes)]
    assert [(each.kind, each.name, each.state) for each in found] == [
        ("service", "Web", S.RUNNING),
        ("service", "Other", S.STOPPED),
    ]
    assert {(each.gap, each.sampled) for each in found} == {(False, True)}


def test_after_a_connection_broke_each_comes_as_it_is(web: Scm) -> None:
    connect = Reaching()
    with Watch(connect, ["Web"]) as changes:
        changes.begin()
        connect.cut()
        web["Web"].start()
        first = next(changes)
        assert (first.kind, first.gap, first.sampled) == ("service", True, True)
        web["Web"].stop()
        until(changes, lambda change: change.state == S.STOPPED)


def test_a_server_that_has_a_feed_when_it_comes_back_is_watched_by_it(
    world: World, notifying: Scm
) -> None:
    connect = Reaching()
    with Watch(connect, ["Web"]) as changes:
        changes.begin()
        world.has_feed = True
        connect.cut()
        picture = next(changes)
        assert (picture.gap, picture.sampled) == (True, False)
        notifying["Web"].start()
        assert next(changes).state == S.START_PENDING


def test_after_a_connection_broke_who_is_gone_is_told(web: Scm) -> None:
    connect = Reaching()
    with Watch(connect) as changes:
        changes.begin()
        connect.cut()
        web["Other"].delete()
        found = [next(changes), next(changes)]
    assert [(each.kind, each.name, each.gap, each.sampled) for each in found] == [
        ("service", "Web", True, True),
        ("deleted", "Other", True, True),
    ]


def test_of_a_name_that_never_was_nothing_is_told_but_the_gap(web: Scm) -> None:
    connect = Reaching()
    with Watch(connect, ["Never"]) as changes:
        changes.begin()
        connect.cut()
        while not changes._scope.owes_gap:
            changes._fetch()
        web.create("Never", "/bin/never")
        found = next(changes)
    assert (found.kind, found.name, found.gap) == ("created", "Never", True)


def test_closing_ends_the_iteration_from_another_thread(world: World, web: Scm) -> None:
    changes = watch()
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.extend(changes))
    thread.start()
    changes.close()
    thread.join()
    assert found == []


async def test_changes_come_by_async_iteration(web: Scm) -> None:
    async with asyncio.timeout(60):
        with watch("Web") as changes:
            web["Web"].start(wait=False)
            async for change in changes:
                assert change.sampled
                if change.state == S.RUNNING:
                    break


def test_a_state_that_was_left_and_entered_again_is_told_again(notifying: Scm) -> None:
    with watch("Web") as changes:
        notifying["Web"].start()
        until(changes, lambda change: change.state == S.RUNNING)
        notifying["Web"].stop()
        notifying["Web"].start()
        again = until(changes, lambda change: change.state == S.RUNNING)
        assert len(again) <= 3


def test_a_picture_is_followed_by_the_marks(notifying: Scm) -> None:
    with notifying["Web"].opened(ServiceAccess.QUERY_STATUS):
        notifying["Web"].delete()
        with watch("Web", initial=True) as changes:
            assert [next(changes).kind, next(changes).kind] == ["service", "delete_pending"]


def test_a_mark_for_deletion_is_told(notifying: Scm) -> None:
    with watch("Web") as changes:
        notifying["Web"].start()
        until(changes, lambda change: change.state == S.RUNNING)
        notifying["Web"].delete()
        assert until(changes, lambda change: change.kind != "status")[-1].kind == "delete_pending"
        notifying["Web"].stop()
        assert next(changes).kind == "deleted"


def test_a_service_that_is_gone_before_it_is_looked_at_is_passed_over(notifying: Scm) -> None:
    with watch() as changes:
        notifying.create("Gone", "/bin/x")
        notifying["Gone"].delete()
        notifying.create("There", "/bin/x")
        assert next(changes).name == "There"


def test_a_service_that_comes_while_a_watch_begins_can_go(
    notifying: Scm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is found and told of; it is held open once."""

    def meanwhile(*arguments: Any) -> Any:
        try:
            return register(*arguments)
        finally:
            notifying.create("Early", "/bin/x")

    monkeypatch.setattr(notified_changes, "register", meanwhile)
    with watch() as changes:
        notifying.create("Later", "/bin/x")
        assert next(changes).name == "Later"
        notifying["Early"].delete()
        while next(changes).kind != "deleted":
            pass


def test_a_service_that_is_marked_as_soon_as_it_has_come_is_passed_over(notifying: Scm) -> None:
    with watch(initial=True) as changes:
        assert {next(changes).name, next(changes).name} == {"Web", "Other"}
        notifying.create("Brief", "/bin/x")
        with notifying["Brief"].opened(ServiceAccess.QUERY_STATUS):
            notifying["Brief"].delete()
            notifying.create("Lasting", "/bin/x")
            assert next(changes).name == "Lasting"
        notifying["Lasting"].delete()
        assert {next(changes).name, next(changes).name} == {"Lasting"}


def test_a_server_that_lags_is_looked_at_anew(notifying: Scm) -> None:
    """More names than one answer can hold have come while nobody asked for them."""
    with watch() as changes:
        for number in range(300):
            notifying.create(f"{number:0250}", "/bin/x")
        found = until(changes, lambda change: change.gap)
        assert {change.kind for change in found[:-1]} <= {"created"}
        names = {found[-1].name} | {next(changes).name for _ in range(301)}
        assert len(names) == 302
        notifying["Web"].start()
        until(changes, lambda change: (change.name, change.state) == ("Web", S.RUNNING))


def test_subscriptions_and_waits_do_without_a_feed(notifying: Scm) -> None:
    told: Queue[int] = Queue()
    with (
        winsvc.OpenSCManager() as manager,
        winsvc.OpenService(manager, "Web", winsvc.SERVICE_ALL_ACCESS) as service,
    ):
        subscription = winsvc.SubscribeServiceChangeNotifications(
            service, winsvc.SC_EVENT_STATUS_CHANGE, lambda notify, _: told.put(notify)
        )
        winsvc.StartService(service)
        winsvc.WaitServiceState(service, winsvc.SERVICE_NOTIFY_RUNNING)
        while told.get(timeout=60) != winsvc.SERVICE_NOTIFY_RUNNING:
            pass
        winsvc.UnsubscribeServiceChangeNotifications(subscription)
        with pytest.raises(WinError) as refused:
            winsvc.SubscribeServiceChangeNotifications(
                service, winsvc.SC_EVENT_PROPERTY_CHANGE, lambda *_: None
            )
        assert refused.value.winerror == winsvc.ERROR_CALL_NOT_IMPLEMENTED
