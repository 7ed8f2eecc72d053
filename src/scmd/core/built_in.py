"""Built-in services: what foreign programs expect to find, and depend on.

EventLog is the event log's store, RpcSs the RPC server and end point mapper, Tcpip a driver's
record, LanmanServer is there while Samba's smbd fronts the SCM. They are records like others,
created at the first start, but nothing is launched for them: they run in the manager itself, and
cannot be started, stopped or deleted. What they are is the SCM's to say, not an administrator's;
who may do what with them is, and so are their Parameters.
"""

from __future__ import annotations

from scmd.core import database, feed, notify_requests, saves
from scmd.core.changes import ChangeKind
from scmd.core.messages import ServiceId
from scmd.core.messages.effects import ServiceCreated
from scmd.core.messages.events import Event
from scmd.core.records import BUILT_IN_IMAGE, BUILT_IN_KEYS, ServiceRecord
from scmd.core.state import State
from scmd.vocabulary.configuration import ServiceConfig
from scmd.vocabulary.errors import Error
from scmd.vocabulary.names import name_key
from scmd.vocabulary.service import (
    RUNS_IN_SYSTEM_PROCESS,
    NotifyMask,
    ServiceState,
    ServiceType,
    StartType,
)
from scmd.vocabulary.status import ServiceStatus

_SHARE = int(ServiceType.WIN32_SHARE_PROCESS)
LANMAN_SERVER = "LanmanServer"
CAUSE = "it is part of the SCM itself"
NOT_FRONTED = "no smbd fronts this SCM"

BUILT_INS = (
    ServiceConfig(
        name="EventLog",
        display_name="Windows Event Log",
        description="Keeps the events that services and the SCM write.",
        type=_SHARE,
        start_type=StartType.AUTO_START,
        image_path=BUILT_IN_IMAGE,
    ),
    ServiceConfig(
        name="RpcSs",
        display_name="Remote Procedure Call (RPC)",
        description="The SCM's RPC server and end point mapper.",
        type=_SHARE,
        start_type=StartType.AUTO_START,
        image_path=BUILT_IN_IMAGE,
    ),
    ServiceConfig(
        name="Tcpip",
        display_name="TCP/IP Protocol Driver",
        description="The kernel's network protocols.",
        type=ServiceType.KERNEL_DRIVER,
        start_type=StartType.SYSTEM_START,
        image_path=BUILT_IN_IMAGE,
    ),
    ServiceConfig(
        name=LANMAN_SERVER,
        display_name="Server",
        description="Files, printers and named pipes for the network, by Samba's smbd.",
        type=_SHARE,
        start_type=StartType.DEMAND_START,
        image_path=BUILT_IN_IMAGE,
    ),
)
assert {name_key(config.name) for config in BUILT_INS} == BUILT_IN_KEYS


class SmbFrontChanged(Event, frozen=True):
    """Samba's smbd has begun, or ceased, to hand the SCM's named pipe over."""

    is_there: bool


def begin(state: State) -> None:
    """Create what is missing, and let it run; where the settings want none, nothing happens."""
    if not state.settings.built_in_services:
        return
    for config in BUILT_INS:
        record = state.by_key.get(name_key(config.name))
        if record is not None:
            _show_anew(state, record)
        elif not _taken(state, config):
            _create(state, config)


def _taken(state: State, config: ServiceConfig) -> bool:
    """Somebody else's service has one of its names."""
    keys = name_key(config.name), name_key(config.display_name)
    return any(key in state.by_key or key in state.by_display for key in keys)


def _create(state: State, config: ServiceConfig) -> None:
    id = ServiceId(state.next_service)
    state.next_service += 1

    def saved() -> None:
        record = ServiceRecord(id, config, {}, False)
        database.insert(state, record)
        show(state, record)
        state.emit(ServiceCreated(id, config.name))
        feed.add(state, record, ChangeKind.CREATED)
        notify_requests.came_or_went(state, record, NotifyMask.CREATED)

    names = tuple({name_key(config.name): None, name_key(config.display_name): None})
    saves.save_record(
        state,
        None,
        id,
        config,
        parameters={},
        names=names,
        saved=saved,
        failed=lambda error: None,
    )


def front_changed(state: State, event: SmbFrontChanged) -> None:
    state.fronted_by_smbd = event.is_there
    record = state.by_key.get(name_key(LANMAN_SERVER))
    if record is not None:
        _show_anew(state, record)


def _show_anew(state: State, record: ServiceRecord) -> None:
    """It may be in another state than it was said to be, by an earlier manager too."""
    before = int(record.status.state)
    show(state, record)
    if record.status.state != before:
        feed.add(state, record, ChangeKind.STATUS, before, cause=record.cause)
        notify_requests.state_entered(state, record)


def show(state: State, record: ServiceRecord) -> None:
    """What is true of a built-in service now."""
    if not record.is_built_in:
        return
    runs = state.fronted_by_smbd or record.key != name_key(LANMAN_SERVER)
    in_process = not record.is_driver and runs
    record.status = ServiceStatus(
        type=record.config.type,
        state=ServiceState.RUNNING if runs else ServiceState.STOPPED,
        win32_exit_code=0 if runs else int(Error.SERVICE_NEVER_STARTED),
        process_id=state.settings.process_id if in_process else 0,
        service_flags=RUNS_IN_SYSTEM_PROCESS if in_process else 0,
    )
    record.cause = CAUSE if runs else NOT_FRONTED
    state.changed.append(record)
