"""Commands: each carried out, or refused without a trace.

Here is which function of the core performs which command, and the short ones that open,
close and start. A command that needs what a pending save has reserved waits for it.
"""

from __future__ import annotations

from scmd.core import (
    audit,
    boot_verdict,
    control_values,
    controls,
    database,
    deletion,
    feed,
    handles,
    locks,
    notify_requests,
    object_security,
    preparing,
    queries,
    recovery,
    saves,
    starting,
    why,
)
from scmd.core.boot_verdict import NotifyBoot
from scmd.core.feed import WaitForChanges
from scmd.core.handles import HandleKind
from scmd.core.locks import LockDatabase, QueryLock, UnlockDatabase
from scmd.core.messages import CONTEXT_MISMATCH
from scmd.core.messages.commands import (
    ChangeConfig,
    ChangeConfig2,
    CheckScmHandle,
    CloseHandle,
    Command,
    ControlService,
    CreateService,
    DeleteService,
    EnumDependents,
    EnumServices,
    ExplainService,
    GetDisplayName,
    GetKeyName,
    IdentifyService,
    KillService,
    OpenScm,
    OpenService,
    PrepareService,
    QueryBoot,
    QueryConfig,
    QueryParameters,
    QueryRecovery,
    QuerySettings,
    QueryStatus,
    SetParameters,
    SetSettings,
    SetStatus,
    StartService,
)
from scmd.core.notify_requests import CloseNotifyHandle, GetNotifyResults, NotifyStatusChange
from scmd.core.object_security import QuerySecurity, SetSecurity
from scmd.core.state import State
from scmd.vocabulary.errors import Error, Refused
from scmd.vocabulary.names import check_service_name, check_text, name_key
from scmd.vocabulary.service import MAX_ARGUMENT_UNITS, MAX_ARGUMENTS, ScmAccess, ServiceAccess

_QUERY_STATUS = int(ServiceAccess.QUERY_STATUS)
_QUERY_CONFIG = int(ServiceAccess.QUERY_CONFIG)
_START = int(ServiceAccess.START)

DATABASES = {"SERVICESACTIVE": Error.SUCCESS, "SERVICESFAILED": Error.DATABASE_DOES_NOT_EXIST}


def perform(state: State, command: Command) -> None:
    """Carry a command out, or refuse it and change nothing."""
    if type(command) in audit.ACTIONS:
        audit.expect(state, command)
    try:
        _dispatch(state, command)
    except Refused as refused:
        state.reply(command.call.id, refused.error)
    except handles.ContextMismatch:
        state.reply(command.call.id, CONTEXT_MISMATCH)
    except saves.MustWait as must_wait:
        must_wait.save.waiting.append(command)


def _dispatch(state: State, command: Command) -> None:
    match command:
        case QueryStatus():
            record = handles.service(state, command.call, command.service, _QUERY_STATUS)
            state.reply(command.call.id, Error.SUCCESS, record.status)
        case OpenService():
            _open_service(state, command)
        case CloseHandle():
            _close_handle(state, command)
        case StartService():
            _start_service(state, command)
        case ControlService():
            controls.control_service(state, command)
        case QueryConfig():
            record = handles.service(state, command.call, command.service, _QUERY_CONFIG)
            state.reply(command.call.id, Error.SUCCESS, record.config)
        case OpenScm():
            _open_scm(state, command)
        case EnumServices():
            state.reply(command.call.id, Error.SUCCESS, queries.enum_services(state, command))
        case EnumDependents():
            state.reply(command.call.id, Error.SUCCESS, queries.enum_dependents(state, command))
        case CreateService():
            database.create_service(state, command)
        case ChangeConfig():
            database.change_config(state, command)
        case ChangeConfig2():
            database.change_config2(state, command)
        case DeleteService():
            deletion.delete_service(state, command)
        case _:
            _dispatch_rest(state, command)


def _dispatch_rest(state: State, command: Command) -> None:
    match command:
        case GetDisplayName():
            state.reply(command.call.id, Error.SUCCESS, queries.display_name(state, command))
        case GetKeyName():
            state.reply(command.call.id, Error.SUCCESS, queries.key_name(state, command))
        case QueryParameters():
            record = handles.service(state, command.call, command.service, _QUERY_CONFIG)
            state.reply(command.call.id, Error.SUCCESS, record.parameters)
        case SetParameters():
            database.set_parameters(state, command)
        case PrepareService():
            preparing.prepare_service(state, command)
        case QueryRecovery():
            record = handles.service(state, command.call, command.service, _QUERY_STATUS)
            state.reply(command.call.id, Error.SUCCESS, recovery.preview(state, record))
        case IdentifyService():
            record = handles.service(state, command.call, command.service, command.access)
            state.reply(command.call.id, Error.SUCCESS, record.id)
        case QueryBoot():
            state.reply(command.call.id, Error.SUCCESS, queries.boot_entries(state, command))
        case ExplainService():
            record = handles.service(state, command.call, command.service, _QUERY_STATUS)
            explanation = why.explain(state, record, asking=command.service)
            state.reply(command.call.id, Error.SUCCESS, explanation)
        case KillService():
            controls.kill_service(state, command)
        case QuerySettings():
            handles.scm(state, command.call, command.scm, int(ScmAccess.ENUMERATE_SERVICE))
            state.reply(command.call.id, Error.SUCCESS, state.settings)
        case SetSettings():
            _set_settings(state, command)
        case WaitForChanges():
            feed.wait(state, command)
        case NotifyStatusChange():
            notify_requests.register(state, command)
        case GetNotifyResults():
            notify_requests.get_results(state, command)
        case CloseNotifyHandle():
            notify_requests.close(state, command)
        case CheckScmHandle():
            handles.scm(state, command.call, command.scm, command.access)
            state.reply(command.call.id, Error.SUCCESS)
        case _:
            _dispatch_administration(state, command)


def _dispatch_administration(state: State, command: Command) -> None:
    match command:
        case LockDatabase():
            locks.lock_database(state, command)
        case UnlockDatabase():
            locks.unlock_database(state, command)
        case QueryLock():
            locks.query_lock(state, command)
        case QuerySecurity():
            object_security.query_security(state, command)
        case SetSecurity():
            object_security.set_security(state, command)
        case SetStatus():
            controls.set_status(state, command)
        case NotifyBoot():
            boot_verdict.notify_boot(state, command)
        case _:
            raise AssertionError(f"no such command: {type(command).__name__}")


def _set_settings(state: State, command: SetSettings) -> None:
    """They count from then on; deadlines that run keep what they were begun with."""
    handles.scm(state, command.call, command.scm, int(ScmAccess.ALL_ACCESS))
    call = command.call.id
    try:
        for name, value in command.values.items():
            control_values.check(name, value)
    except Refused as refused:
        state.reply(call, refused.error, refused.detail)
        return

    def saved() -> None:
        values = control_values.merged(state.settings.stored, command.values)
        state.settings = control_values.settings_from(values, state.settings)
        state.reply(call, Error.SUCCESS)

    spelled = control_values.spelled(state.settings.stored, command.values)
    saves.save_control(state, spelled, saved, lambda error: state.reply(call, error))


def _open_scm(state: State, command: OpenScm) -> None:
    """[MS-SCMR] 3.1.4.15: NULL means ServicesActive."""
    database = "ServicesActive" if command.database is None else command.database
    error = DATABASES.get(database.upper(), Error.INVALID_NAME)
    if error:
        raise Refused(error)
    granted = handles.grant_scm(state, command.call.caller.token, command.desired_access)
    handles.check_room(state, command.call.caller.token)
    handle = handles.open_handle(state, command.call, None, granted)
    state.reply(command.call.id, Error.SUCCESS, handle)


def _open_service(state: State, command: OpenService) -> None:
    """[MS-SCMR] 3.1.4.16: by key name only."""
    handles.scm(state, command.call, command.scm)
    check_service_name(command.name)
    record = state.by_key.get(name_key(command.name))
    if record is None:
        raise Refused(Error.SERVICE_DOES_NOT_EXIST)
    if record.save is not None and record.save.config is None:
        raise saves.MustWait(record.save)
    granted = handles.grant_service(record, command.call.caller.token, command.desired_access)
    handles.check_room(state, command.call.caller.token)
    handle = handles.open_handle(state, command.call, record, granted)
    state.reply(command.call.id, Error.SUCCESS, handle)


def _close_handle(state: State, command: CloseHandle) -> None:
    """[MS-SCMR] 3.1.4.1: the last one of a marked service waits for the removal to be durable."""
    handle = handles.lookup(state, command.call, command.handle)
    if handle.kind not in (HandleKind.SCM, HandleKind.SERVICE):
        raise Refused(Error.INVALID_HANDLE)
    success = let_go(state, handle)
    handles.close_handle(state, handle)
    record, call = handle.record, command.call.id
    if record is None or not deletion.remove_if_over(state, record, call, success):
        state.reply(call, success)


def let_go(state: State, handle: handles.Handle) -> int:
    """End what waits on a handle that is about to be closed; what closing it is answered with."""
    feed.handle_closed(state, handle)
    return notify_requests.handle_closed(state, handle)


def _start_service(state: State, command: StartService) -> None:
    record = handles.service(state, command.call, command.service, _START)
    if len(command.arguments) > MAX_ARGUMENTS:
        raise Refused(Error.INVALID_PARAMETER)
    for argument in command.arguments:
        check_text(argument, MAX_ARGUMENT_UNITS, Error.INVALID_PARAMETER)
    locks.refuse_start(state)
    actor = controls.actor_of(command.call)
    starting.begin(state, record, command.call.id, command.arguments, actor=actor)
