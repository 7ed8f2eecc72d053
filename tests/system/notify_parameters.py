"""What the page says of the function's purpose and its parameters."""

from __future__ import annotations

import gc
import types
from functools import partial

from scmd import winsvc
from scmd.winsvc import ServiceNotify
from tests.system.notify_page import sentence
from tests.system.notify_stage import (
    CREATED,
    DELETE_PENDING,
    DELETED,
    PATIENCE,
    PAUSED,
    RUNNING,
    STATES,
    STOPPED,
    Stage,
    Told,
    refused,
)

# Summary and hService -----------------------------------------------------------------------------


@sentence("summary.1", "A program is told when a service comes, goes or changes its status.")
def _(stage: Stage) -> None:
    of_scm, of_service = Told().ask(stage.manager, CREATED | DELETED), Told()
    service = stage.create("Summary")
    of_scm.hear()
    of_service.again(service, STOPPED)
    winsvc.DeleteService(service)
    of_scm.ask(stage.manager, CREATED | DELETED)
    winsvc.CloseServiceHandle(service)
    of_scm.hear(2)
    assert (of_scm.names, of_service.masks) == (["/Summary", "Summary"], [STOPPED])


@sentence("hService.1", "The handle is a service's or the SCM's.")
def _(stage: Stage) -> None:
    service = stage.create("Closed")
    service.Close()
    for mask in (STOPPED, CREATED):
        with refused(winsvc.ERROR_INVALID_HANDLE):
            Told().ask(service, mask)


@sentence("hService.2", "A service's is OpenService's or CreateService's, with QUERY_STATUS.")
def _(stage: Stage) -> None:
    created = stage.create("Opened")
    opened = stage.open("Opened")
    for handle in (created, opened):
        Told().again(handle, STOPPED)
    others = winsvc.SERVICE_ALL_ACCESS & ~winsvc.SERVICE_QUERY_STATUS
    with refused(winsvc.ERROR_ACCESS_DENIED):
        Told().ask(stage.open("Opened", others), STOPPED)


@sentence("hService.3", "The SCM's is OpenSCManager's, and may enumerate services.")
def _(stage: Stage) -> None:
    enumerating = winsvc.SC_MANAGER_CONNECT | winsvc.SC_MANAGER_ENUMERATE_SERVICE
    told = Told().ask(stage.open_manager(enumerating), CREATED)
    stage.create("Enumerated")
    told.hear()
    others = winsvc.SC_MANAGER_ALL_ACCESS & ~winsvc.SC_MANAGER_ENUMERATE_SERVICE
    with refused(winsvc.ERROR_ACCESS_DENIED):
        Told().ask(stage.open_manager(others), CREATED)


@sentence("hService.4", "One request is outstanding for a service, which is: for a handle.")
def _(stage: Stage) -> None:
    service = stage.create("Once")
    Told().ask(service, RUNNING)
    with refused(winsvc.ERROR_ALREADY_REGISTERED):
        Told().ask(service, STOPPED)
    Told().again(stage.open("Once"), STOPPED)


# dwNotifyMask ---------------------------------------------------------------------------------


@sentence("dwNotifyMask.1", "The mask says which changes are reported, and no others are.")
def _(stage: Stage) -> None:
    service = stage.run("Masked")
    told = Told().ask(service, PAUSED)
    stage.enter(service, winsvc.SERVICE_PAUSE_PENDING)
    stage.enter(service, winsvc.SERVICE_PAUSED)
    told.hear()
    assert (told.masks, told.states) == ([PAUSED], [winsvc.SERVICE_PAUSED])


@sentence("dwNotifyMask.2", "It is one bit or several; none, unknown ones and a mix are refused.")
def _(stage: Stage) -> None:
    service = stage.create("Bits")
    told = Told()
    told.again(service, STOPPED | RUNNING | DELETE_PENDING)
    assert told.masks == [STOPPED]
    for handle, mask in ((service, 0), (service, 0x400), (service, 0x81), (stage.manager, 0x81)):
        with refused(winsvc.ERROR_INVALID_PARAMETER):
            told.ask(handle, mask)


def reported_state(name: str, bit: int, stage: Stage) -> None:
    service = stage.run(f"To{name}")
    told = Told()
    told.again(service, bit | RUNNING)
    told.ask(service, bit)
    if bit == STOPPED:
        stage.stop(service)
    elif bit == RUNNING:
        stage.enter(service, winsvc.SERVICE_PAUSED)
    else:
        stage.enter(service, bit.bit_length())
    told.hear(2)
    assert (told.masks[1], told.states[1], told.errors[1]) == (bit, bit.bit_length(), 0)


def needs_a_handle(bit: int, is_of_scm: bool, stage: Stage) -> None:
    service = stage.create(f"Of{bit}")
    with refused(winsvc.ERROR_INVALID_HANDLE):
        Told().ask(service if is_of_scm else stage.manager, bit)
    Told().ask(stage.manager if is_of_scm else service, bit)


for _name, _bit in STATES.items():
    sentence(f"{_name}.1", f"It is reported that the service is {_name}.")(
        partial(reported_state, _name, _bit)
    )
    sentence(f"{_name}.2", f"{_name} takes a service's handle.")(
        partial(needs_a_handle, _bit, False)
    )
sentence("CREATED.2", "CREATED takes the SCM's handle.")(partial(needs_a_handle, CREATED, True))
sentence("DELETED.3", "DELETED takes the SCM's handle.")(partial(needs_a_handle, DELETED, True))
sentence("DELETE_PENDING.3", "DELETE_PENDING takes a service's handle.")(
    partial(needs_a_handle, DELETE_PENDING, False)
)


@sentence("CREATED.1", "It is reported that a service was created, and which one, after a slash.")
def _(stage: Stage) -> None:
    told = Told().ask(stage.manager, CREATED)
    stage.create("Made")
    told.hear()
    assert (told.masks, told.names, told.errors) == ([CREATED], ["/Made"], [0])


@sentence("DELETE_PENDING.1", "It is reported that the service was named to DeleteService.")
def _(stage: Stage) -> None:
    service = stage.create("Marked")
    told = Told().ask(service, DELETE_PENDING)
    winsvc.DeleteService(stage.open("Marked", winsvc.DELETE))
    told.hear()
    assert (told.masks, told.errors) == ([DELETE_PENDING], [0])


@sentence("DELETE_PENDING.2", "Its handles should be closed then, so that it can go.")
def _(stage: Stage) -> None:
    service = stage.create("Held")
    told = Told().ask(service, DELETE_PENDING)
    winsvc.DeleteService(service)
    told.hear()
    assert "Held" in stage.machine.scm
    service.Close()
    stage.machine.await_gone("Held")


@sentence("DELETED.1", "It is reported that a service was deleted, and which one.")
def _(stage: Stage) -> None:
    service = stage.create("Gone")
    told = Told().ask(stage.manager, DELETED)
    winsvc.DeleteService(service)
    service.Close()
    told.hear()
    assert (told.masks, told.names, told.errors) == ([DELETED], ["Gone"], [0])


@sentence("DELETED.2", "Whoever holds a handle to the service is not told, since it is not gone.")
def _(stage: Stage) -> None:
    held, other = stage.create("Kept"), stage.create("Let")
    told = Told().ask(stage.manager, DELETED)
    for service in (held, other):
        winsvc.DeleteService(service)
    other.Close()
    told.hear()
    told.ask(stage.manager, DELETED)
    held.Close()
    told.hear(2)
    assert told.names == ["Let", "Kept"]


# pNotifyBuffer ------------------------------------------------------------------------------------


@sentence("pNotifyBuffer.1", "The buffer has the callback, and what it is told.")
def _(stage: Stage) -> None:
    given: list[ServiceNotify] = []
    service, context = stage.create("Buffered"), object()
    buffer = ServiceNotify(given.append, context)
    winsvc.NotifyServiceStatusChange(service, STOPPED, buffer)
    winsvc.SleepEx(PATIENCE, True)
    assert given == [buffer]
    assert (buffer.context, buffer.version) == (context, 2)
    assert buffer.service_status == winsvc.QueryServiceStatusEx(service)


@sentence(
    "pNotifyBuffer.2",
    "It lives until the callback or the cancellation: the request sees to it.",
)
def _(stage: Stage) -> None:
    service, told = stage.create("Lives"), []
    winsvc.NotifyServiceStatusChange(service, STOPPED, ServiceNotify(lambda _: told.append(1)))
    gc.collect()
    winsvc.SleepEx(PATIENCE, True)
    assert told == [1]


@sentence("pNotifyBuffer.3", "It is not used again before callback or cancellation.")
def _(stage: Stage) -> None:
    service, other = stage.create("First"), stage.create("Second")
    told = Told().ask(service, RUNNING)
    with refused(winsvc.ERROR_ALREADY_REGISTERED):
        told.ask(other, STOPPED)
    service.Close()
    told.again(other, STOPPED)
    told.again(stage.create("Third"), STOPPED)


@sentence("pNotifyBuffer.4", "Else nobody knows which request it tells of: here, the first one.")
def _(stage: Stage) -> None:
    service = stage.create("Which")
    told = Told().ask(service, STOPPED)
    with refused(winsvc.ERROR_ALREADY_REGISTERED):
        told.ask(stage.manager, CREATED)
    told.hear()
    assert (told.masks, told.names) == ([STOPPED], [])


@sentence("pNotifyBuffer.5", "On Vista the callback is in a loaded module: here it may be in none.")
def _(stage: Stage) -> None:
    told: list[int] = []
    callback = types.FunctionType(compile("told.append(1)", "", "exec"), {"told": told})
    service = stage.create("Nowhere")
    winsvc.NotifyServiceStatusChange(service, STOPPED, ServiceNotify(lambda _: callback()))
    winsvc.SleepEx(PATIENCE, True)
    assert told == [1]


@sentence("pNotifyBuffer.6", "Nor is it code that was made at run time: here it may be.")
def _(stage: Stage) -> None:
    told: list[int] = []
    callback = eval("lambda buffer: told.append(buffer.notification_triggered)", {"told": told})
    service = stage.create("Late")
    winsvc.NotifyServiceStatusChange(service, STOPPED, ServiceNotify(callback))
    winsvc.SleepEx(PATIENCE, True)
    assert told == [STOPPED]


@sentence(
    "pNotifyBuffer.7", "Later versions are free of that; their buffer is version 2, 1 will do."
)
def _(stage: Stage) -> None:
    service = stage.create("Version")
    told = Told()
    told.buffer.version = 1
    told.again(service, STOPPED)
    assert (told.masks, told.states) == ([0], [winsvc.SERVICE_STOPPED])
