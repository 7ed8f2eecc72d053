"""What the page says of the return value, its remarks and its requirements."""

from __future__ import annotations

import _thread
import gc
import os
import sys
import threading
import types
import weakref
from concurrent.futures import ThreadPoolExecutor

import scmd
from scmd import winsvc
from scmd.client.sc_handle import ScHandle
from scmd.winsvc import ServiceNotify
from tests.system.machine import eventually
from tests.system.notify_page import sentence
from tests.system.notify_stage import (
    CREATED,
    DELETE_PENDING,
    DELETED,
    PATIENCE,
    PAUSED,
    RUNNING,
    STOPPED,
    Stage,
    Told,
    refused,
)

# Return value -------------------------------------------------------------------------------------


@sentence("return value.1", "Success is ERROR_SUCCESS: nothing is raised.")
def _(stage: Stage) -> None:
    assert winsvc.ERROR_SUCCESS == 0
    Told().ask(stage.create("Success"), RUNNING)


@sentence("return value.2", "1072 for a service that is marked; its handle must be closed.")
def _(stage: Stage) -> None:
    service = stage.create("Doomed")
    waiting = Told().ask(stage.open("Doomed"), RUNNING)
    winsvc.DeleteService(service)
    for mask in (STOPPED, DELETE_PENDING):
        with refused(winsvc.ERROR_SERVICE_MARKED_FOR_DELETE):
            Told().ask(service, mask)
    # Whoever has asked for something else is told so as well, in the buffer.
    waiting.hear()
    assert (waiting.masks, waiting.errors) == ([0], [winsvc.ERROR_SERVICE_MARKED_FOR_DELETE])


def lagging(stage: Stage, prefix: str) -> tuple[ScHandle, Told]:
    """A handle to the SCM that was told once, and more names since than the SCM keeps for it."""
    manager = stage.open_manager()
    told = Told().ask(manager, CREATED)
    stage.create(f"{prefix}First")
    told.hear()

    def create(numbers: range) -> None:
        with scmd.connect() as scm:
            for number in numbers:
                scm.create(f"{prefix}{number:0240}", "/bin/true")

    with ThreadPoolExecutor() as pool:
        list(pool.map(create, [range(start, 280, 8) for start in range(8)]))
    return manager, told


@sentence("return value.3", "1294 for whoever lags too far behind what happens.")
def _(stage: Stage) -> None:
    manager, told = lagging(stage, "Lag")
    for mask in (CREATED, CREATED | DELETED):
        with refused(winsvc.ERROR_SERVICE_NOTIFY_CLIENT_LAGGING):
            told.ask(manager, mask)
    # Others do not lag with it.
    Told().ask(stage.manager, CREATED)


@sentence("return value.4", "Then the SCM's handle is closed, and one that is opened anew may ask.")
def _(stage: Stage) -> None:
    manager, told = lagging(stage, "Back")
    with refused(winsvc.ERROR_SERVICE_NOTIFY_CLIENT_LAGGING):
        told.ask(manager, CREATED)
    winsvc.CloseServiceHandle(manager)
    manager = stage.open_manager()
    told.ask(manager, CREATED)
    stage.create("BackAgain")
    told.hear(2)
    assert told.names == ["/BackFirst", "/BackAgain"]


@sentence("return value.5", "Other failures are system errors, and nothing is outstanding.")
def _(stage: Stage) -> None:
    service, told = stage.create("Fails"), Told()
    stage.await_requests(0)
    for handle, mask, version, error in (
        (stage.manager, STOPPED, 2, winsvc.ERROR_INVALID_HANDLE),
        (service, 0, 2, winsvc.ERROR_INVALID_PARAMETER),
        (service, STOPPED, 3, winsvc.ERROR_NOT_SUPPORTED),
        (service, STOPPED, 0, winsvc.ERROR_INVALID_LEVEL),
    ):
        told.buffer.version = version
        with refused(error):
            told.ask(handle, mask)
        assert told.buffer.outstanding is None
    assert stage.requests() == 0


# Remarks ------------------------------------------------------------------------------------------


@sentence("remarks 1.1", "It is for services, with a process of their own or a shared one.")
def _(stage: Stage) -> None:
    for name, type in (("Own", 0x10), ("Shared", 0x20)):
        told = Told()
        told.again(stage.run(name, type), RUNNING)
        assert told.states == [winsvc.SERVICE_RUNNING]


@sentence("remarks 1.2", "It is not for drivers, on no handle.")
def _(stage: Stage) -> None:
    told = Told().ask(stage.manager, CREATED)
    driver = stage.create("Driver", winsvc.SERVICE_KERNEL_DRIVER)
    for mask in (STOPPED, DELETE_PENDING):
        with refused(winsvc.ERROR_NOT_SUPPORTED):
            Told().ask(driver, mask)
    stage.create("NoDriver")
    told.hear()
    assert told.names == ["/NoDriver"]


@sentence("remarks 2.1", "The callback is an asynchronous procedure call of the thread that asked.")
def _(stage: Stage) -> None:
    service = stage.create("Thread")
    told = Told().ask(service, STOPPED)
    other = threading.Thread(target=winsvc.SleepEx, args=(1, True))
    other.start()
    other.join()
    assert told.threads == []
    told.hear()
    assert told.threads == [threading.get_ident()]


@sentence("remarks 2.2", "That thread must wait alertably: SleepEx, or for an object.")
def _(stage: Stage) -> None:
    service, event = stage.create("Alert"), winsvc.CreateEvent()
    told = Told().ask(service, STOPPED)
    assert winsvc.SleepEx(1, False) == 0
    assert winsvc.WaitForSingleObject(event, 1) == winsvc.WAIT_TIMEOUT
    assert winsvc.WaitForSingleObjectEx(event, 1, False) == winsvc.WAIT_TIMEOUT
    winsvc.QueryServiceStatus(service)
    assert told.masks == []
    assert winsvc.WaitForSingleObjectEx(event, PATIENCE, True) == winsvc.WAIT_IO_COMPLETION
    assert told.masks == [STOPPED]


@sentence("remarks 3.1", "A state that the service is in already is told at once.")
def _(stage: Stage) -> None:
    service = stage.run("Already")
    for handle in (service, stage.open("Already")):
        told = Told()
        told.again(handle, RUNNING | STOPPED)
        assert told.masks == [RUNNING]


@sentence("remarks 3.2", "Asked for again it is told when it is entered next, not at once.")
def _(stage: Stage) -> None:
    service, told = stage.run("Entered"), Told()
    told.again(service, RUNNING)
    told.ask(service, RUNNING)
    sure = Told()
    # Were it told at once, it would be told before this.
    sure.again(stage.open("Entered"), RUNNING)
    assert told.masks == [RUNNING]
    stage.enter(service, winsvc.SERVICE_PAUSED)
    told.hear(2)
    assert told.masks == [RUNNING, RUNNING]


@sentence("remarks 4.1", "The thread is opened for it: here any thread will do, whoever made it.")
def _(stage: Stage) -> None:
    told, over = Told(), threading.Event()
    service = stage.create("Raw")

    def run() -> None:
        told.again(service, STOPPED)
        over.set()

    thread = _thread.start_new_thread(run, ())
    assert over.wait(PATIENCE / 1000)
    assert told.threads == [thread]


@sentence("remarks 4.2", "That takes a right to the thread: here the handle's own right is enough.")
def _(stage: Stage) -> None:
    stage.create("Least").Close()
    least = stage.open("Least")
    told = Told()
    thread = threading.Thread(target=told.again, args=(least, STOPPED))
    thread.start()
    thread.join()
    assert told.masks == [STOPPED]


@sentence("remarks 4.3", "Who impersonates may lack it: here handles stay good for anybody.")
def _(stage: Stage) -> None:
    one, other = stage.create("One"), stage.create("Other")
    Told().again(one, STOPPED)
    me = os.geteuid()
    if me == 0:
        os.seteuid(65534)
    try:
        for handle in (one, other):
            Told().ask(handle, RUNNING)
    finally:
        os.seteuid(me)


@sentence("remarks 5.1", "A thread that waits does it cheaper than one more thread: none is made.")
def _(stage: Stage) -> None:
    services = [stage.create(f"Many{number}") for number in range(20)]
    told = [Told().ask(services[0], STOPPED)]
    threads = threading.active_count()
    told += [Told().ask(service, STOPPED) for service in services[1:]]
    assert threading.active_count() == threads
    for each in told:
        each.hear()
    assert {thread for each in told for thread in each.threads} == {threading.get_ident()}


@sentence("remarks 6.1", "After the callback one has to ask again for more.")
def _(stage: Stage) -> None:
    service, told = stage.run("OneShot"), Told()
    told.again(service, RUNNING | PAUSED)
    stage.enter(service, winsvc.SERVICE_PAUSED)
    Told().again(stage.open("OneShot"), RUNNING | PAUSED)
    assert told.masks == [RUNNING]
    told.again(service, RUNNING | PAUSED)
    assert len(told.masks) == 2


@sentence("remarks 6.2", "The SCM's functions may wait alertably in a callback: here none does.")
def _(stage: Stage) -> None:
    service, other = stage.run("Nested"), stage.create("NestedToo")
    told, order = Told(), []

    def callback(buffer: ServiceNotify) -> None:
        order.append("begins")
        told.ask(other, STOPPED)
        with stage.open("Nested", winsvc.SERVICE_ALL_ACCESS) as again:
            stage.enter(again, winsvc.SERVICE_PAUSED)
            assert winsvc.QueryServiceStatus(again).state == winsvc.SERVICE_RUNNING
        winsvc.EnumServicesStatusEx(stage.manager)
        if len(order) < 4:
            winsvc.NotifyServiceStatusChange(service, RUNNING, buffer)
        assert told.masks == []
        order.append("ends")

    winsvc.NotifyServiceStatusChange(service, RUNNING, ServiceNotify(callback))
    winsvc.SleepEx(PATIENCE, True)
    assert order[:2] == ["begins", "ends"]
    told.hear()
    assert order.count("begins") == order.count("ends")


@sentence("remarks 6.3", "The callback saves what it is told, and the work is done outside.")
def _(stage: Stage) -> None:
    service = stage.create("Saved")
    saved: list[ServiceNotify] = []
    winsvc.NotifyServiceStatusChange(service, STOPPED, ServiceNotify(saved.append))
    winsvc.SleepEx(PATIENCE, True)
    service.Close()
    assert (saved[0].notification_triggered, saved[0].outstanding) == (STOPPED, None)


@sentence("remarks 7.1", "CloseServiceHandle cancels what is outstanding.")
def _(stage: Stage) -> None:
    stage.await_requests(0)
    service, told = stage.create("Cancelled"), Told()
    other = stage.open("Cancelled")
    told.ask(other, RUNNING)
    assert stage.requests() == 1
    winsvc.CloseServiceHandle(other)
    assert told.buffer.outstanding is None
    told.ask(service, RUNNING)
    stage.await_requests(1)


@sentence("remarks 7.2", "Once it has succeeded no callback is queued, and none runs that was.")
def _(stage: Stage) -> None:
    service = stage.create("Silent")
    told = Told().ask(service, STOPPED)
    sure = Told().ask(stage.open("Silent"), STOPPED)
    winsvc.CloseServiceHandle(service)
    sure.hear()
    assert (told.masks, told.buffer.outstanding) == ([], None)


@sentence("remarks 7.3", "A thread that ends before may leak: here the handle's end frees all.")
def _(stage: Stage) -> None:
    stage.await_requests(0)
    service = stage.create("Orphan")
    told = Told()
    kept = weakref.ref(told)
    thread = threading.Thread(target=told.ask, args=(service, STOPPED | RUNNING))
    thread.start()
    thread.join()
    # Another thread may go on with the handle: the request is over, though nobody was called.
    del told, thread
    Told().again(stage.open("Orphan"), STOPPED)
    later = Told()
    eventually(lambda: asked(later, service), "the handle's next request")
    service.Close()
    stage.await_requests(0)
    gc.collect()
    assert kept() is None


def asked(told: Told, service: ScHandle) -> bool:
    try:
        told.ask(service, RUNNING)
    except winsvc.error as error:
        if error.winerror != winsvc.ERROR_ALREADY_REGISTERED:
            raise
        return False
    return True


@sentence("remarks 8.1", "A callback must stay loaded: here it does, come what may to its module.")
def _(stage: Stage) -> None:
    service = stage.create("Unloaded")
    module = types.ModuleType("unloaded")
    sys.modules["unloaded"] = module
    source = "told = []\ndef callback(buffer): told.append(buffer.notification_triggered)"
    exec(source, module.__dict__)
    told = module.told
    winsvc.NotifyServiceStatusChange(service, STOPPED, ServiceNotify(module.callback))
    del sys.modules["unloaded"], module
    gc.collect()
    winsvc.SleepEx(PATIENCE, True)
    assert told == [STOPPED]


@sentence(
    "remarks 9.1",
    "It is an alias for an ANSI and a Unicode function: here the only one.",
)
def _(stage: Stage) -> None:
    for suffix in "AW":
        assert not hasattr(winsvc, f"NotifyServiceStatusChange{suffix}")
    told = Told().ask(stage.manager, CREATED)
    stage.create("Dienst \u00fc\u20ac\U0001d11e")
    told.hear()
    assert told.names == ["/Dienst \u00fc\u20ac\U0001d11e"]


@sentence("remarks 9.2", "Mixing them is an error: here a name is the same text everywhere.")
def _(stage: Stage) -> None:
    told = Told().ask(stage.manager, CREATED)
    stage.create("\u00dcber")
    told.hear()
    with winsvc.OpenService(stage.manager, told.names[0].removeprefix("/"), 0x4) as service:
        told.again(service, STOPPED)


@sentence("requirements.1", "The names and numbers are winsvc.h's.")
def _(stage: Stage) -> None:
    del stage
    bits = "STOPPED START_PENDING STOP_PENDING RUNNING CONTINUE_PENDING PAUSE_PENDING PAUSED"
    names = [*bits.split(), "CREATED", "DELETED", "DELETE_PENDING"]
    assert [getattr(winsvc, f"SERVICE_NOTIFY_{name}") for name in names] == [
        1 << number for number in range(10)
    ]
