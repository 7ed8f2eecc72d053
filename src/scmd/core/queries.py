"""Queries: what the database and the live state say; nothing changes and nothing is saved."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable

from scmd.core import boot, handles
from scmd.core.messages.commands import (
    BootEntry,
    EnumDependents,
    EnumServices,
    GetDisplayName,
    GetKeyName,
    QueryBoot,
    ServiceEntry,
)
from scmd.core.records import ServiceRecord
from scmd.core.state import State
from scmd.security.token import Token
from scmd.vocabulary.errors import Error, Refused
from scmd.vocabulary.names import check_service_name, check_text, name_key
from scmd.vocabulary.service import (
    MAX_NAME_UNITS,
    ScmAccess,
    ServiceAccess,
    ServiceState,
    ServiceType,
    StateMask,
)

TYPE_BITS = sum(int(bit) for bit in ServiceType if bit & (bit - 1) == 0)
_STOPPED = int(ServiceState.STOPPED)


def enum_services(state: State, command: EnumServices) -> tuple[ServiceEntry, ...]:
    """[MS-SCMR] 3.1.4.14, 42. A service shows if its type shares a bit with the mask."""
    handles.scm(state, command.call, command.scm, int(ScmAccess.ENUMERATE_SERVICE))
    if not command.type_mask or command.type_mask & ~TYPE_BITS:
        raise Refused(Error.INVALID_PARAMETER, f"type mask {command.type_mask:#x}")
    wanted, token = _state_filter(command.state_mask), command.call.caller.token
    types, default = int(command.type_mask), handles.may_query_by(None, token)
    return tuple(
        [
            _entry(record)
            for record in _candidates(state, command.group, command.after)
            # The & of an IntFlag takes as long as all the rest.
            if int(record.config.type) & types
            and (wanted is None or wanted(record.status.state))
            and _is_shown(record, token, default)
        ]
    )


def boot_entries(state: State, command: QueryBoot) -> list[BootEntry]:
    """How the starts of this boot went, of services that the caller would be shown."""
    handles.scm(state, command.call, command.scm, int(ScmAccess.ENUMERATE_SERVICE))
    token = command.call.caller.token
    default = handles.may_query_by(None, token)
    found = boot.entries(state, command.after)
    return [entry for entry in found if _is_shown(state.records[entry.id], token, default)]


def _is_shown(record: ServiceRecord, token: Token, default: bool) -> bool:
    """Whether this caller may query it; `default`: what the default descriptor says."""
    return default if record.config.security is None else handles.may_query(record, token)


def _candidates(state: State, group: str | None, after: int) -> list[ServiceRecord]:
    """The records, of a group or all, whose numbers are above `after`."""
    if group is None:
        first = bisect_right(list(state.records), after)
        return list(state.records.values())[first:]
    if not group:
        return [r for r in state.records.values() if not r.config.load_order_group and r.id > after]
    listed = {name_key(name) for name in state.settings.group_order}
    if name_key(group) not in listed and not state.index.has_group(group):
        raise Refused(Error.SERVICE_DOES_NOT_EXIST, f"group {group}")
    return [record for record in state.index.members(group) if record.id > after]


def _state_filter(mask: int) -> Callable[[int], bool] | None:
    """What a state has to be; None: anything."""
    if not mask or mask & ~int(StateMask.ALL):
        raise Refused(Error.INVALID_PARAMETER, f"state mask {mask:#x}")
    if mask == StateMask.ALL:
        return None
    active = mask == StateMask.ACTIVE
    return lambda state: (state != _STOPPED) is active


def _entry(record: ServiceRecord) -> ServiceEntry:
    """The record's line; the one made last, while nothing in it has changed."""
    listed, config, status = record.listed, record.config, record.status
    if (
        listed is None
        or listed.status is not status
        or listed.name is not config.name
        or listed.display_name is not config.display_name
    ):
        listed = ServiceEntry(record.id, config.name, config.display_name, status)
        record.listed = listed
    return listed


def enum_dependents(state: State, command: EnumDependents) -> tuple[ServiceEntry, ...]:
    """[MS-SCMR] 3.1.4.13: direct and indirect ones, in the order in which to stop them."""
    right = int(ServiceAccess.ENUMERATE_DEPENDENTS)
    record = handles.service(state, command.call, command.service, right)
    wanted = _state_filter(command.state_mask)
    found = state.index.dependents(record)
    return tuple(
        _entry(dependent) for dependent in found if wanted is None or wanted(dependent.status.state)
    )


def display_name(state: State, command: GetDisplayName) -> str:
    """[MS-SCMR] 3.1.4.20: by key name only."""
    handles.scm(state, command.call, command.scm)
    check_service_name(command.name)
    record = state.by_key.get(name_key(command.name))
    if record is None:
        raise Refused(Error.SERVICE_DOES_NOT_EXIST)
    return record.config.display_name


def key_name(state: State, command: GetKeyName) -> str:
    """[MS-SCMR] 3.1.4.21: by display name only."""
    handles.scm(state, command.call, command.scm)
    check_text(command.display_name, MAX_NAME_UNITS)
    if not command.display_name:
        raise Refused(Error.INVALID_NAME)
    record = state.by_display.get(name_key(command.display_name))
    if record is None:
        raise Refused(Error.SERVICE_DOES_NOT_EXIST)
    return record.config.name
