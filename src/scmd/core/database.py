"""The database: records created and changed; each change saved first.

A command is checked against what is and against what is about to be: while a save is
pending, its record and the names it takes are reserved, and a second command that needs
them waits. How records end is `deletion`'s. [MS-SCMR] 3.1.4.11, 12, 37.
"""

from __future__ import annotations

from collections.abc import Iterable

from scmd.core import (
    feed,
    handles,
    identities,
    instances,
    locks,
    notify_requests,
    parameters,
    preparing,
    saves,
    schedules,
    validation,
)
from scmd.core.changes import ChangeKind
from scmd.core.config_levels import changed_by_level
from scmd.core.dependencies import closes_cycle, on_cycles
from scmd.core.event_ids import EventId
from scmd.core.messages import CONTEXT_MISMATCH, Call, CallId, Parameters, ServiceId, StoredService
from scmd.core.messages.commands import (
    ChangeConfig,
    ChangeConfig2,
    CreateService,
    SetParameters,
)
from scmd.core.messages.effects import LogEvent, ParametersChanged, ServiceCreated
from scmd.core.records import Save, ServiceRecord, never_started
from scmd.core.state import State
from scmd.vocabulary.configuration import LOCAL_SYSTEM, ServiceConfig
from scmd.vocabulary.errors import Error, Refused
from scmd.vocabulary.names import check_service_name, check_text, name_key
from scmd.vocabulary.service import (
    MAX_NAME_UNITS,
    ConfigLevel,
    NotifyMask,
    ScmAccess,
    ServiceAccess,
    ServiceState,
    StartType,
)

START_TYPE_WORDS = {
    StartType.BOOT_START: "boot start",
    StartType.SYSTEM_START: "system start",
    StartType.AUTO_START: "auto start",
    StartType.DEMAND_START: "demand start",
    StartType.DISABLED: "disabled",
}


def load(state: State, stored: Iterable[StoredService]) -> None:
    """Take the stored records over; those still marked for delete are put up for removal."""
    for service in sorted(stored, key=lambda service: service.id):
        record = ServiceRecord(service.id, service.config, service.parameters, service.deleted)
        insert(state, record)
        state.next_service = max(state.next_service, service.id + 1)
        if record.deleted:
            state.changed.append(record)
    _find_cycles(state)


def _find_cycles(state: State) -> None:
    needy = any(record.config.dependencies for record in state.records.values())
    configs = (record.config for record in state.records.values())
    state.cyclic = on_cycles(configs) if needy else frozenset()


def insert(state: State, record: ServiceRecord) -> None:
    """Take a record into the database, or its new configuration."""
    config = record.config
    last = next(reversed(state.records), record.id)
    is_late = last > record.id and record.id not in state.records
    state.records[record.id] = record
    if is_late:  # Saves may end in another order than they began.
        state.records = {key: state.records[key] for key in sorted(state.records)}
    state.by_key[record.key] = record
    state.by_display[name_key(config.display_name)] = record
    if config.own_id:
        state.by_own_id[config.own_id] = record
    state.index.add(record)
    if config.load_order_group and config.tag:
        group = name_key(config.load_order_group)
        state.tags[group] = max(state.tags.get(group, 0), config.tag)


def take_out(state: State, record: ServiceRecord) -> None:
    """Take a record out of the database."""
    del state.records[record.id]
    del state.by_key[record.key]
    del state.by_display[name_key(record.config.display_name)]
    state.by_own_id.pop(record.config.own_id, None)
    state.index.remove(record)
    if state.cyclic:
        _find_cycles(state)


# Create ---------------------------------------------------------------------------------------


def create_service(state: State, command: CreateService) -> None:
    """[MS-SCMR] 3.1.4.12; the order of the checks is the one seen on Windows."""
    handles.scm(state, command.call, command.scm, int(ScmAccess.CREATE_SERVICE))
    refuse_in_shutdown(state)
    locks.refuse_change(state, command.call)
    config = _completed(command.config)
    check_service_name(config.name)
    validation.check_config(config, state.settings)
    validation.check_security(config.security)
    opened = handles.lookup(state, command.call, command.scm)
    granted = handles.grant_creator(command.desired_access)
    config, given = preparing.completed(state, config, opened.prepared, granted)
    _refuse_unknown_account(command)
    if command.assign_tag and not config.load_order_group:
        raise Refused(Error.INVALID_PARAMETER, "a tag needs a group")
    keys = name_key(config.name), name_key(config.display_name)
    saves.require_free(state, *keys)
    _refuse_taken_name(state, *keys)
    _refuse_cycle(state, config)
    config = _with_tag(state, config, command.assign_tag)
    id = ServiceId(state.next_service)
    config = identities.with_number(config, id, state.settings)
    state.next_service += 1
    opened.prepared = None
    save = saves.save_record(
        state,
        None,
        id,
        config,
        parameters=given,
        names=tuple(dict.fromkeys(keys)),
        saved=lambda: _created(state, save, command.call, id, granted, given),
        failed=lambda error: state.reply(command.call.id, error),
    )
    save.association = command.call.association


def _completed(config: ServiceConfig) -> ServiceConfig:
    """With what the caller left out: the display name is the key name, the account LocalSystem."""
    changes: dict[str, object] = {"tag": 0}
    if not config.display_name:
        changes["display_name"] = config.name
    if not config.account:
        changes["account"] = LOCAL_SYSTEM
    return config.replace(**changes)


def _refuse_unknown_account(command: CreateService | ChangeConfig) -> None:
    if command.account_unknown:
        raise Refused(Error.INVALID_SERVICE_ACCOUNT, "nobody has this account's name")


def _refuse_taken_name(state: State, key: str, display_key: str) -> None:
    existing = state.by_key.get(key)
    if existing is not None:
        saves.require_idle(existing)
        marked = existing.deleted
        raise Refused(Error.SERVICE_MARKED_FOR_DELETE if marked else Error.SERVICE_EXISTS)
    if key in state.by_display:
        raise Refused(Error.DUPLICATE_SERVICE_NAME)
    _refuse_taken_display_name(state, display_key, None)


def _refuse_taken_display_name(state: State, key: str, own: ServiceRecord | None) -> None:
    for found in (state.by_display.get(key), state.by_key.get(key)):
        if found is not None and found is not own:
            raise Refused(Error.DUPLICATE_SERVICE_NAME)


def _refuse_cycle(state: State, config: ServiceConfig) -> None:
    """1059, counting what every other record has and what it is about to have."""
    if not config.dependencies:
        return

    def by_key(key: str) -> list[ServiceConfig]:
        record = state.by_key.get(key)
        # A creation has reserved its name, a change is its record's.
        found = [_coming(state.reserved.get(key))]
        if record is not None:
            found += record.config, _coming(record.save)
        return [other for other in found if other is not None and name_key(other.name) == key]

    def members(group: str) -> list[ServiceConfig]:
        found = [_coming(save) for save in state.saves.values()]
        found += [member.config for member in state.index.members(group)]
        key = name_key(group)
        return [
            other
            for other in found
            if other is not None and name_key(other.load_order_group) == key
        ]

    if closes_cycle(config, by_key, members):
        raise Refused(Error.CIRCULAR_DEPENDENCY)


def _coming(save: Save | None) -> ServiceConfig | None:
    """What a record is about to have; None after its removal too."""
    return None if save is None else save.config


def _with_tag(state: State, config: ServiceConfig, assign: bool) -> ServiceConfig:
    """A tag that no service of the group has, when one is asked for."""
    if not assign:
        return config
    group = name_key(config.load_order_group)
    state.tags[group] = state.tags.get(group, 0) + 1
    return config.replace(tag=state.tags[group])


def _created(
    state: State, save: Save, call: Call, id: ServiceId, granted: int, given: Parameters
) -> None:
    config = save.config
    assert config is not None
    record = ServiceRecord(id, config, given, False)
    insert(state, record)
    schedules.look(state, record)
    state.emit(ServiceCreated(id, config.name))
    feed.add(state, record, ChangeKind.CREATED)
    notify_requests.came_or_went(state, record, NotifyMask.CREATED)
    instances.created(state, record)
    type, start = f"{config.type:#x}", START_TYPE_WORDS[StartType(config.start_type)]
    strings = (config.name, config.image_path, type, start, config.account)
    state.emit(LogEvent(int(EventId.INSTALLED), id, strings))
    if save.association is None:
        state.reply(call.id, CONTEXT_MISMATCH)
        return
    handle = handles.open_handle(state, call, record, granted)
    state.reply(call.id, Error.SUCCESS, (handle, config.tag))


# Change ---------------------------------------------------------------------------------------


def _changeable(
    state: State, command: ChangeConfig | ChangeConfig2 | SetParameters
) -> ServiceRecord:
    """The record of the command's handle, if its configuration may be changed now."""
    right = int(ServiceAccess.CHANGE_CONFIG)
    record = handles.service(state, command.call, command.service, right)
    locks.refuse_change(state, command.call)
    saves.require_idle(record)
    if record.deleted:
        raise Refused(Error.SERVICE_MARKED_FOR_DELETE)
    return record


def change_config(state: State, command: ChangeConfig) -> None:
    """[MS-SCMR] 3.1.4.11."""
    record = _changeable(state, command)
    refuse_in_shutdown(state)
    config = _changed(record.config, command)
    if config != record.config:
        validation.check_not_built_in(record)
    _check_change(state, record, config)
    _refuse_unknown_account(command)
    key = name_key(config.display_name)
    names: tuple[str, ...] = ()
    if key != name_key(record.config.display_name):
        saves.require_free(state, key)
        _refuse_taken_display_name(state, key, record)
        names = (key,)
    if config.dependencies != record.config.dependencies or (
        config.load_order_group != record.config.load_order_group
    ):
        _refuse_cycle(state, config)
    if command.assign_tag:
        if not config.load_order_group:
            raise Refused(Error.INVALID_PARAMETER, "a tag needs a group")
        config = _with_tag(state, config, True)
    _save_change(state, record, config, command.call.id, config.tag, names)


def _changed(config: ServiceConfig, command: ChangeConfig) -> ServiceConfig:
    fields = (
        "type",
        "start_type",
        "error_control",
        "image_path",
        "load_order_group",
        "dependencies",
        "account",
    )
    changes = {field: value for field in fields if (value := getattr(command, field)) is not None}
    if command.display_name is not None:
        changes["display_name"] = command.display_name or config.name
    group = changes.get("load_order_group")
    if group is not None and name_key(group) != name_key(config.load_order_group):
        changes["tag"] = 0
    return config.replace(**changes)


def _check_change(state: State, record: ServiceRecord, config: ServiceConfig) -> None:
    was_driver = record.is_driver
    try:
        check_text(config.display_name, MAX_NAME_UNITS)
    except Refused:
        raise Refused(Error.INVALID_PARAMETER, "display name") from None
    validation.check_config(config, state.settings)
    if was_driver != (config.type in validation.DRIVER_TYPES):
        raise Refused(Error.INVALID_PARAMETER, "a service does not become a driver")


def change_config2(state: State, command: ChangeConfig2) -> None:
    """[MS-SCMR] 3.1.4.35."""
    record = _changeable(state, command)
    refuse_in_shutdown(state)
    if record.is_built_in and command.level == ConfigLevel.FAILURE_ACTIONS:
        raise Refused(Error.CANNOT_DETECT_PROCESS_ABORT)
    granted = handles.lookup(state, command.call, command.service).granted
    token = command.call.caller.token
    config = changed_by_level(record.config, command.level, command.value, granted, token)
    _save_change(state, record, config, command.call.id, None, ())


def _save_change(
    state: State,
    record: ServiceRecord,
    config: ServiceConfig,
    call: CallId,
    result: object,
    names: tuple[str, ...],
) -> None:
    config = identities.with_number(config, record.id, state.settings)
    if config == record.config:
        state.reply(call, Error.SUCCESS, result)
        return

    def saved() -> None:
        apply(state, record, config)
        feed.add(state, record, ChangeKind.CONFIG)
        state.reply(call, Error.SUCCESS, result)

    saves.save_record(
        state,
        record,
        record.id,
        config,
        names=names,
        saved=saved,
        failed=lambda error: state.reply(call, error),
    )


def apply(state: State, record: ServiceRecord, config: ServiceConfig) -> None:
    """Make this the record's configuration; what runs goes on as it was started."""
    old = record.config
    state.index.remove(record)
    del state.by_display[name_key(old.display_name)]
    record.config = config
    record.descriptor = None
    insert(state, record)
    if state.cyclic:
        _find_cycles(state)
    if record.status.state == ServiceState.STOPPED and config.type != old.type:
        if record.status == never_started(old.type):
            record.status = never_started(config.type)
        else:
            record.status = record.status.replace(type=config.type)
    if record.attempt is not None:
        state.work.append(record.attempt)
    # It may have left the group whose members they wait for.
    state.work.extend((record.waiters or {}).values())
    schedules.look(state, record)
    if config.start_type != old.start_type:
        words = START_TYPE_WORDS
        before, after = words[StartType(old.start_type)], words[StartType(config.start_type)]
        state.log(EventId.START_TYPE_CHANGED, record, config.display_name, before, after)


# Parameters -----------------------------------------------------------------------------------


def set_parameters(state: State, command: SetParameters) -> None:
    """All of the values or none; a hosted program's are checked for their meaning."""
    record = _changeable(state, command)
    try:
        parameters.check(state, record.config.image_path, command.values)
    except Refused as refused:
        state.reply(command.call.id, refused.error, refused.detail)
        return
    merged = parameters.merged(record.parameters, command)
    if merged == record.parameters:
        state.reply(command.call.id, Error.SUCCESS)
        return
    saves.save_record(
        state,
        record,
        record.id,
        record.config,
        parameters=merged,
        saved=lambda: _parameters_saved(state, record, merged, command.call.id),
        failed=lambda error: state.reply(command.call.id, error),
    )


def _parameters_saved(
    state: State, record: ServiceRecord, parameters: Parameters, call: CallId
) -> None:
    count = instances.count_of(record.parameters)
    record.parameters = parameters
    instances.recounted(state, record, count)
    schedules.look(state, record)
    feed.add(state, record, ChangeKind.PARAMETERS)
    state.reply(call, Error.SUCCESS)
    launch = record.launch
    if launch is not None and launch.services.get(record.id) is record:
        state.emit(ParametersChanged(launch.id, record.id))


def refuse_in_shutdown(state: State) -> None:
    if state.shutdown is not None:
        raise Refused(Error.SHUTDOWN_IN_PROGRESS)
