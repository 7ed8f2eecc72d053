"""Security descriptors of the SCM and of services: read and replaced, component by component.

[MS-SCMR] 3.1.4.5 and 3.1.4.6. A descriptor counts when a handle is opened; handles that are
open keep what they were granted. The integrity label is an entry of the SACL that goes by a
bit and a right of its own.
"""

from __future__ import annotations

from collections.abc import Mapping

from scmd.core import feed, handles, saves
from scmd.core.changes import ChangeKind
from scmd.core.control_values import SECURITY
from scmd.core.handles import Handle, HandleKind
from scmd.core.locks import refuse_change
from scmd.core.messages import HandleId
from scmd.core.messages.commands import Command
from scmd.core.records import ServiceRecord
from scmd.core.state import State
from scmd.security.descriptor import (
    Ace,
    AceType,
    DescriptorControl,
    DescriptorError,
    SecurityDescriptor,
)
from scmd.security.token import SE_RESTORE, Token
from scmd.vocabulary.errors import Error, Refused
from scmd.vocabulary.registry import RegistryValue
from scmd.vocabulary.service import SecurityInformation, StandardAccess

_I = SecurityInformation
_ALL = int(_I.OWNER | _I.GROUP | _I.DACL | _I.SACL | _I.LABEL)
_READ_CONTROL = int(StandardAccess.READ_CONTROL)
_WRITE_OWNER = int(StandardAccess.WRITE_OWNER)
_SYSTEM_SECURITY = int(StandardAccess.ACCESS_SYSTEM_SECURITY)

# [MS-SCMR] 3.1.4.5 and 3.1.4.6: the right that reading and replacing a component needs.
READ_RIGHTS: Mapping[SecurityInformation, int] = {
    _I.OWNER: _READ_CONTROL,
    _I.GROUP: _READ_CONTROL,
    _I.DACL: _READ_CONTROL,
    _I.SACL: _SYSTEM_SECURITY,
    _I.LABEL: _READ_CONTROL,
}
WRITE_RIGHTS: Mapping[SecurityInformation, int] = {
    _I.OWNER: _WRITE_OWNER,
    _I.GROUP: _WRITE_OWNER,
    _I.DACL: int(StandardAccess.WRITE_DAC),
    _I.SACL: _SYSTEM_SECURITY,
    _I.LABEL: _WRITE_OWNER,
}
_DACL_BITS = int(
    DescriptorControl.DACL_PRESENT
    | DescriptorControl.DACL_DEFAULTED
    | DescriptorControl.DACL_AUTO_INHERIT_REQUIRED
    | DescriptorControl.DACL_AUTO_INHERITED
    | DescriptorControl.DACL_PROTECTED
)
_SACL_BITS = int(
    DescriptorControl.SACL_PRESENT
    | DescriptorControl.SACL_DEFAULTED
    | DescriptorControl.SACL_AUTO_INHERIT_REQUIRED
    | DescriptorControl.SACL_AUTO_INHERITED
    | DescriptorControl.SACL_PROTECTED
)


class QuerySecurity(Command, frozen=True):
    """Result: the self-relative descriptor, of the asked components only. Either kind of handle."""

    handle: HandleId
    information: int


class SetSecurity(Command, frozen=True):
    """Replace the components that `information` names. Either kind of handle. Result: None."""

    handle: HandleId
    information: int
    descriptor: bytes


def query_security(state: State, command: QuerySecurity) -> None:
    handle = _allowed(state, command, READ_RIGHTS)
    present = current(state, handle.record)
    state.reply(command.call.id, Error.SUCCESS, _part(present, command.information).to_bytes())


def set_security(state: State, command: SetSecurity) -> None:
    """Durable before it counts; 1072 for a service that is marked for delete."""
    handle = _allowed(state, command, WRITE_RIGHTS)
    refuse_change(state, command.call)
    if handle.record is None:
        if state.scm_save is not None:
            raise saves.MustWait(state.scm_save)
    else:
        saves.require_idle(handle.record)
        if handle.record.deleted:
            raise Refused(Error.SERVICE_MARKED_FOR_DELETE)
    given = _parsed(command.descriptor)
    token = command.call.caller.token
    new = _replaced(current(state, handle.record), given, command.information, token)
    stored = _stored(new)
    if handle.record is None:
        _save_for_scm(state, command, new, stored)
    else:
        _save_for_service(state, command, handle.record, new, stored)


def current(state: State, record: ServiceRecord | None) -> SecurityDescriptor:
    """What counts for a service, or (None) for the SCM."""
    return state.scm_descriptor if record is None else handles.descriptor(record)


def _allowed(
    state: State, command: QuerySecurity | SetSecurity, rights: Mapping[SecurityInformation, int]
) -> Handle:
    """The handle, if it has the rights for all that is asked; 6, 87 and 5, in this order."""
    handle = handles.lookup(state, command.call, command.handle)
    if handle.kind not in (HandleKind.SCM, HandleKind.SERVICE):
        raise Refused(Error.INVALID_HANDLE)
    asked = command.information
    if not asked or asked & ~_ALL:
        raise Refused(Error.INVALID_PARAMETER, f"security information {asked:#x}")
    for component, right in rights.items():
        if asked & component and right & ~handle.granted:
            raise Refused(Error.ACCESS_DENIED, component.name or "")
    return handle


def _parsed(data: bytes) -> SecurityDescriptor:
    try:
        return SecurityDescriptor.from_bytes(data)
    except DescriptorError as error:
        raise Refused(Error.INVALID_PARAMETER, str(error)) from None


def _stored(descriptor: SecurityDescriptor) -> bytes:
    """Refused 87 when the components are too long together."""
    try:
        return descriptor.to_bytes()
    except DescriptorError as error:
        raise Refused(Error.INVALID_PARAMETER, str(error)) from None


def _part(descriptor: SecurityDescriptor, asked: int) -> SecurityDescriptor:
    """Only what is asked for, the rest as if it were not there."""
    control = 0
    if asked & _I.DACL:
        control |= int(descriptor.control) & _DACL_BITS
    if asked & _I.SACL:
        control |= int(descriptor.control) & _SACL_BITS
    labels, audits = _split(descriptor.sacl)
    shown = (labels if asked & _I.LABEL else ()) + (audits if asked & _I.SACL else ())
    is_shown = bool(shown) or (asked & _I.SACL and descriptor.sacl is not None)
    return SecurityDescriptor(
        owner=descriptor.owner if asked & _I.OWNER else None,
        group=descriptor.group if asked & _I.GROUP else None,
        dacl=descriptor.dacl if asked & _I.DACL else None,
        sacl=shown if is_shown else None,
        control=control,
    )


def _split(sacl: tuple[Ace, ...] | None) -> tuple[tuple[Ace, ...], tuple[Ace, ...]]:
    """The labels of a SACL, and the rest."""
    entries = sacl or ()
    labels = tuple(ace for ace in entries if ace.type == AceType.SYSTEM_MANDATORY_LABEL)
    return labels, tuple(ace for ace in entries if ace.type != AceType.SYSTEM_MANDATORY_LABEL)


def _replaced(
    old: SecurityDescriptor, new: SecurityDescriptor, asked: int, token: Token
) -> SecurityDescriptor:
    """The old descriptor with the asked components of the new one.

    Refused 87: a component that is asked for and is not in the new one, except the SACL's
    kinds of entries, which go when there are none; an owner whom the caller may not name.
    """
    changes: dict[str, object] = {}
    control = int(old.control)
    if asked & _I.OWNER:
        _check_owner(new.owner, token)
        changes["owner"] = new.owner
    if asked & _I.GROUP:
        if new.group is None:
            raise Refused(Error.INVALID_PARAMETER, "there is no group")
        changes["group"] = new.group
    if asked & _I.DACL:
        if new.dacl is None and not new.control & DescriptorControl.DACL_PRESENT:
            raise Refused(Error.INVALID_PARAMETER, "there is no DACL")
        changes["dacl"] = new.dacl
        control = control & ~_DACL_BITS | int(new.control) & _DACL_BITS
    if asked & (_I.SACL | _I.LABEL):
        labels, audits = _split(old.sacl)
        new_labels, new_audits = _split(new.sacl)
        kept = (new_labels if asked & _I.LABEL else labels) + (
            new_audits if asked & _I.SACL else audits
        )
        changes["sacl"] = kept or None
        if asked & _I.SACL:
            control = control & ~_SACL_BITS | int(new.control) & _SACL_BITS
    control &= ~int(DescriptorControl.SACL_PRESENT)
    return old.replace(control=control, **changes)


def _check_owner(owner: str | None, token: Token) -> None:
    """One gives only to oneself, unless one may restore what was everybody's."""
    if owner is None:
        raise Refused(Error.INVALID_PARAMETER, "there is no owner")
    if owner not in token.sids and SE_RESTORE not in token.privileges:
        raise Refused(Error.INVALID_PARAMETER, f"{owner} is none of the caller's identities")


def _save_for_service(
    state: State,
    command: SetSecurity,
    record: ServiceRecord,
    new: SecurityDescriptor,
    stored: bytes,
) -> None:
    config = record.config.replace(security=stored)

    def saved() -> None:
        record.config = config
        record.descriptor = new
        feed.add(state, record, ChangeKind.CONFIG)
        state.reply(command.call.id, Error.SUCCESS)

    saves.save_record(
        state,
        record,
        record.id,
        config,
        saved=saved,
        failed=lambda error: state.reply(command.call.id, error),
    )


def _save_for_scm(
    state: State, command: SetSecurity, new: SecurityDescriptor, stored: bytes
) -> None:
    def ended(error: Error) -> None:
        state.scm_save = None
        state.reply(command.call.id, error)

    def saved() -> None:
        state.scm_descriptor = new
        ended(Error.SUCCESS)

    values = {SECURITY: RegistryValue.of(stored)}
    state.scm_save = saves.save_control(state, values, saved, ended)
