"""Services that are coroutines."""

from __future__ import annotations

import threading

import scmd
from scmd.sdk.context import ServiceContext
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import Control as Code
from scmd.vocabulary.service import ServiceState
from tests.sdk.fake_scm import InProcess
from tests.sdk.test_service import started


def test_a_coroutine_is_a_service(scm: InProcess) -> None:
    ran: list[str] = []
    waited = threading.Event()

    @scmd.service("S")
    async def service(svc: ServiceContext) -> None:
        assert await svc.wait_async(0.001) is False
        waited.set()
        while not await svc.wait_async(60):
            ran.append("woke")

    @service.on(200)
    async def two_hundred(svc: ServiceContext) -> None:
        ran.append("200")

    @service.on(201)
    async def broken(svc: ServiceContext) -> None:
        raise RuntimeError("logged")

    started(scm, service)
    assert waited.wait(20)
    scm.expect_state(ServiceState.RUNNING)
    scm.control(201)
    scm.control(200)
    scm.control(Code.PAUSE)
    scm.expect_state(ServiceState.PAUSED)
    scm.control(Code.CONTINUE)
    scm.expect_state(ServiceState.RUNNING)
    scm.control(Code.STOP)
    scm.join()
    assert ran == ["200"]
    assert scm.states()[-2:] == ["STOP_PENDING", "STOPPED"]
    assert len(scm.events()) == 1


def test_a_coroutine_that_fails_is_stopped_with_1064(scm: InProcess) -> None:
    @scmd.service("S")
    async def service(svc: ServiceContext) -> None:
        raise RuntimeError("x")

    started(scm, service)
    scm.join()
    assert scm.reports()[-1].status.win32_exit_code == Error.EXCEPTION_IN_SERVICE
