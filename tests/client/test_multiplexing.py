"""Many calls at a time on one connection."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from scmd import winsvc
from scmd.client.calls import Calls
from scmd.client.connection import Connection
from scmd.client.multiplexing import Multiplexed
from scmd.client.sc_handle import ScHandle
from scmd.client.waits import changing, wait, wake_all
from scmd.ndr.values import ContextHandle
from scmd.svcctl import opening
from scmd.svcctl.interface import HandleResponse
from scmd.transport.blocking import BlockingSocket
from scmd.vocabulary.errors import Error
from scmd.vocabulary.winerror import WinError
from scmd.winsvc import ServiceNotify
from tests.client.conftest import created
from tests.client.world import World

MANY = 2_000


@pytest.mark.parametrize("in_background", [False, True])
def test_more_may_be_asked_than_the_server_takes_before_its_answers_are_read(
    calls: Calls, in_background: bool
) -> None:
    """Each answer leads to another call, which is made by the thread that reads."""
    handle = calls.open_scm()
    link = Multiplexed(calls.connection, in_background=in_background)
    missing = opening.OpenServiceRequest(scm=handle, name="Missing", desired_access=1)
    answers: list[HandleResponse | WinError] = []

    def again(_: HandleResponse | WinError) -> None:
        link.begin(opening.OPEN_SERVICE_W, missing, last)

    def last(answer: HandleResponse | WinError) -> None:
        with changing:
            answers.append(answer)
            wake_all()

    for _ in range(MANY):
        link.begin(opening.OPEN_SERVICE_W, missing, again)
    wait(lambda: len(answers) == MANY or None, (link,))
    link.close()


class Pipe:
    """A stream that there is nothing to watch of, as a named pipe is by SMB."""

    def __init__(self, stream: BlockingSocket) -> None:
        self.send = stream.send
        self.receive = stream.receive
        self.set_timeout = stream.set_timeout
        self.shut_down = stream.shut_down
        self.close = stream.close
        self.diagnosis = stream.diagnosis


def test_a_stream_without_a_descriptor_is_read_in_the_background(world: World) -> None:
    stream = BlockingSocket(str(world.runtime / "scm.sock"))
    with Calls(Connection(Pipe(stream))) as calls:
        handle = calls.open_scm()
        link = Multiplexed(calls.connection)
        missing = opening.OpenServiceRequest(scm=handle, name="Missing", desired_access=1)
        with pytest.raises(WinError) as refused:
            link.call(opening.OPEN_SERVICE_W, missing)
        assert refused.value.winerror == Error.SERVICE_DOES_NOT_EXIST
        link.close()
        wait(lambda: link.is_over or None, (link,))
        with pytest.raises(WinError) as refused:
            link.call(opening.OPEN_SERVICE_W, missing)
        assert refused.value.winerror == Error.RPC_CALL_FAILED


def test_who_waits_is_told_of_the_end_whoever_reads(calls: Calls) -> None:
    link = Multiplexed(calls.connection)
    handle = ContextHandle(bytes(20))
    closing = opening.CloseServiceHandleRequest(handle=handle)
    told: list[object] = []
    link.begin(opening.CLOSE_SERVICE_HANDLE, closing, told.append)
    link.close()
    assert isinstance(told[0], WinError)
    with pytest.raises(WinError):
        link.call(opening.CLOSE_SERVICE_HANDLE, closing)


def test_threads_are_told_by_one_connection_each_what_it_asked_for(manager: ScHandle) -> None:
    services = [created(manager, f"S{number}") for number in range(5)]
    told: dict[int, int] = {}
    ready = threading.Barrier(len(services) + 1)

    def watch(service: ScHandle) -> None:
        buffer = ServiceNotify(partial(hear, threading.get_ident(), service))
        winsvc.NotifyServiceStatusChange(service, winsvc.SERVICE_NOTIFY_RUNNING, buffer)
        ready.wait()
        winsvc.SleepEx(winsvc.INFINITE, True)

    def hear(asked: int, service: ScHandle, _: ServiceNotify) -> None:
        assert threading.get_ident() == asked
        told[services.index(service)] = winsvc.QueryServiceStatus(service).state

    threads = [threading.Thread(target=watch, args=(service,)) for service in services]
    for thread in threads:
        thread.start()
    ready.wait()
    for service, thread in zip(services, threads, strict=True):
        winsvc.StartService(service)
        thread.join()
    assert told == dict.fromkeys(range(5), winsvc.SERVICE_RUNNING)
