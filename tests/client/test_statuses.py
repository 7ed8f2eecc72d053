"""Waiting for a service by its feed, and by asking where there is none."""

from __future__ import annotations

import threading

import pytest

from scmd.client import statuses
from scmd.client.calls import Calls
from scmd.client.scm import Scm, connect
from scmd.client.service import WaitFailed
from scmd.client.statuses import Statuses
from scmd.client.waiting import Progress
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import ServiceAccess, ServiceState
from tests.client.world import World, report
from tests.system.machine import LIMIT_S, eventually

PENDING = ServiceState.START_PENDING


@pytest.fixture
def slow(world: World, scm: Scm) -> Scm:
    """Web says more check points than the questions before the feed see."""
    scm.create("Web", "/usr/bin/web")
    world.program("Web").reports[0] = [
        *(report(PENDING, check_point=n, wait_hint=1000) for n in range(1, 12)),
        report(ServiceState.RUNNING),
    ]
    return scm


def test_the_feed_ends_a_slow_start(world: World, slow: Scm) -> None:
    assert slow["Web"].start(wait=True).state is ServiceState.RUNNING
    assert world.waits > 2


def test_each_check_point_is_seen(world: World, slow: Scm) -> None:
    service, calls = slow["Web"], slow.calls
    service.start(wait=False)
    with (
        service.opened(ServiceAccess.QUERY_STATUS) as handle,
        Statuses(calls, handle, "Web") as told,
    ):
        status = calls.query_status(handle)
        progress = Progress(status, 0.0)
        seen = [status.check_point]
        while status.state == PENDING:
            status = told.next(progress)
            progress.update(status, 0.0)
            seen.append(status.check_point)
    assert list(dict.fromkeys(seen)) == [*range(seen[0], 12), 0]
    assert world.waits > 2


def test_wait_sees_the_briefest_state(
    world: World, scm: Scm, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Others ask for ever.
    monkeypatch.setattr(statuses, "TOLD_FROM_S", 3600.0)
    scm.create("Web", "/usr/bin/web")
    found = []

    def wait() -> None:
        with connect() as mine:
            found.append(mine["Web"].wait("start_pending", timeout=None))

    waiter = threading.Thread(target=wait, daemon=True)
    waiter.start()
    eventually(lambda: world.waits, "the feed to be asked")
    assert scm["Web"].start(wait=False).state is ServiceState.RUNNING
    waiter.join(LIMIT_S)
    assert [status.state for status in found] == [PENDING]


def test_one_whose_connection_broke_is_told_by_the_next(world: World, slow: Scm) -> None:
    service, calls = slow["Web"], slow.calls
    with (
        service.opened(ServiceAccess.QUERY_STATUS) as handle,
        Statuses(calls, handle, "Web", is_patient=True) as told,
    ):
        progress = Progress(calls.query_status(handle), 0.0)
        for _ in range(2):
            told.next(progress)
            listener = told._listener
            assert listener is not None
            listener._calls.connection.abort()
            assert told.next(progress).state == ServiceState.STOPPED
            assert told._listener is None


def test_without_a_feed_a_notification_ends_it(
    world: World, scm: Scm, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.has_feed = False
    # Whoever is not told waits for an hour.
    monkeypatch.setattr(statuses, "LONGEST_WAIT_S", 3600.0)
    scm.create("Web", "/usr/bin/web")
    found = []

    def wait() -> None:
        with connect() as mine:
            found.append(mine["Web"].wait("running", timeout=None))

    waiter = threading.Thread(target=wait, daemon=True)
    waiter.start()
    eventually(lambda: world.scm.state.requests, "the request")
    scm["Web"].start(wait=False)
    waiter.join(LIMIT_S)
    assert [status.state for status in found] == [ServiceState.RUNNING]
    eventually(lambda: not world.scm.state.requests, "the end of its connection")


def test_a_server_that_tells_nothing_is_asked(world: World, slow: Scm) -> None:
    world.has_feed = world.has_notifications = False
    assert slow["Web"].start().state is ServiceState.RUNNING
    assert world.waits == 0


def test_a_connection_that_cannot_be_made_again_is_asked_on(world: World, slow: Scm) -> None:
    with Calls(slow.calls.another_connection()) as calls:
        assert Scm(calls)["Web"].start().state is ServiceState.RUNNING
    assert world.waits == 0


def test_wait_goes_on_while_the_service_rests_elsewhere(scm: Scm) -> None:
    scm.create("Web", "/usr/bin/web")
    found = []

    def wait() -> None:
        with connect() as mine:
            found.append(mine["Web"].wait("running", timeout=None))

    waiter = threading.Thread(target=wait)
    waiter.start()
    scm["Web"].start()
    waiter.join()
    assert [status.state for status in found] == [ServiceState.RUNNING]
    assert scm["Web"].wait(ServiceState.RUNNING).state is ServiceState.RUNNING


def test_wait_ends_with_its_time(scm: Scm) -> None:
    scm.create("Web", "/usr/bin/web")
    with pytest.raises(WaitFailed, match="still STOPPED") as caught:
        scm["Web"].wait("Running", timeout=0.1)
    assert scm["Web"].wait(1, timeout=0).state is ServiceState.STOPPED
    assert caught.value.winerror == Error.WAIT_TIMEOUT
    with pytest.raises(WaitFailed):
        scm["Web"].wait("running", timeout=False)
    with pytest.raises(ValueError, match="no time to wait"):
        scm["Web"].wait("stopped", timeout=float("nan"))


@pytest.mark.parametrize("has_feed", [True, False])
def test_wait_lets_go_of_a_service_that_is_to_go(world: World, scm: Scm, has_feed: bool) -> None:
    """Its handle would keep the service, which cannot be made anew before."""
    world.has_feed = has_feed
    scm.create("Web", "/usr/bin/web")
    found: list[int] = []

    def wait() -> None:
        with connect() as mine, pytest.raises(WaitFailed, match="marked for deletion") as caught:
            mine["Web"].wait("running", timeout=None)
        found.append(caught.value.winerror)

    waiter = threading.Thread(target=wait)
    waiter.start()
    eventually(lambda: world.waits or world.scm.state.requests, "the wait")
    scm["Web"].delete()
    waiter.join(LIMIT_S)
    assert found == [Error.SERVICE_MARKED_FOR_DELETE]
    scm.create("Web", "/usr/bin/web")


@pytest.mark.parametrize("state", ["runing", 8, 0])
def test_wait_knows_the_states(state: int | str) -> None:
    with pytest.raises(ValueError, match=f"{state!r} is not a state of a service"):
        Scm.__new__(Scm)["Web"].wait(state)
