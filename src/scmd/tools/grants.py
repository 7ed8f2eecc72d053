"""scmd grant, revoke and grants: who may do what to a service, in words."""

from __future__ import annotations

import sys

from scmd.client.security import query_security, set_security
from scmd.security.grants import (
    SCM_WORDS,
    SERVICE_WORDS,
    TRUSTEE_NAMES,
    granted,
    grants,
    mask_of_words,
    revoked,
    words_and_mapping,
    words_of_mask,
)
from scmd.security.sddl import TRUSTEES
from scmd.security.sid import (
    NT_SERVICE,
    SidError,
    canonical_sid,
    service_sid,
    unix_group_sid,
    unix_user_sid,
)
from scmd.tools import target
from scmd.tools.commands import CommandError, CommandUsageError, Options, write_json
from scmd.tools.sc_rare import SCM_NAME
from scmd.vocabulary.names import escaped, name_key
from scmd.vocabulary.service import (
    ScmAccess,
    SecurityInformation,
    ServiceType,
    StandardAccess,
    StateMask,
)
from scmd.vocabulary.winerror import WinError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from scmd.client.calls import Calls
    from scmd.ndr.values import ContextHandle
    from scmd.security.descriptor import SecurityDescriptor

_NAMES = tuple(TRUSTEE_NAMES)
_WHO = f"""\
  WHO     a group or a user of this machine (group:NAME and user:NAME tell them apart), a user of
          `scmd remote adduser`, service:NAME, a SID, or one of
          {", ".join(_NAMES[:6])},
          {", ".join(_NAMES[6:])}
  RIGHTS  of a service {", ".join(SERVICE_WORDS)};
          of the SCM ({SCM_NAME}) {", ".join(SCM_WORDS)}; with commas between
"""
GRANT_USAGE = f"""\
usage: scmd grant WHO RIGHTS NAME

Lets somebody do something to a service, beside what they may do already. It counts for
handles that are opened from now on.

{_WHO}"""
REVOKE_USAGE = f"""\
usage: scmd revoke WHO [RIGHTS] NAME

Takes rights to a service from somebody; without RIGHTS everything that names them. What they may
do as members of other groups stays.

{_WHO}"""
GRANTS_USAGE = f"""\
usage: scmd grants NAME [--json]

Lists who may do what to a service, or to the SCM ({SCM_NAME}).
"""
_DACL = int(SecurityInformation.DACL)
_READ = int(StandardAccess.READ_CONTROL)
_WRITE = _READ | int(StandardAccess.WRITE_DAC)


def grant(arguments: list[str]) -> int:
    who, rights, name = _arguments(arguments, 3)
    mask = _mask(rights, name)
    sid = _sid(who)
    _change(name, lambda descriptor: granted(descriptor, sid, mask))
    sys.stdout.write(f"{escaped(who)} may {rights.lower()} {escaped(name)}.\n")
    return 0


def revoke(arguments: list[str]) -> int:
    words = _arguments(arguments, 2, 3)
    who, name = words[0], words[-1]
    mask = _mask(words[1], name) if len(words) == 3 else None
    sid = _sid(who)
    _, mapping = words_and_mapping(_is_scm(name))
    _change(name, lambda descriptor: revoked(descriptor, sid, mask, mapping))
    what = f"{words[1].lower()} of {escaped(name)}" if len(words) == 3 else escaped(name)
    sys.stdout.write(f"{escaped(who)} has no grant to {what} any more.\n")
    return 0


def show(arguments: list[str]) -> int:
    options = Options(arguments, (), ("--json",))
    name = options.only()
    words, mapping = words_and_mapping(_is_scm(name))
    with target.open_calls() as calls:
        found = grants(query_security(calls, _open(calls, name, _READ), _DACL), mapping)
        names = {grant.sid: _trustee(grant.sid) for grant in found or ()}
        if any(not known and sid.startswith(f"{NT_SERVICE}-") for sid, known in names.items()):
            names |= {sid: known for sid, known in _services(calls).items() if sid in names}
    if not all(names.values()):
        names |= {sid: f"user:{who}" for who, sid in _remote_users().items() if not names.get(sid)}
    rows = [
        (
            grant.sid,
            names[grant.sid],
            words_of_mask(grant.allowed, words),
            words_of_mask(grant.denied, words),
        )
        for grant in found or ()
    ]
    if options.flag("--json"):
        members = ("sid", "name", "allowed", "denied")
        write_json([dict(zip(members, row, strict=True)) for row in rows])
    elif found is None:
        sys.stdout.write("Everybody may do everything.\n")
    else:
        for sid, trustee, allowed, denied in rows:
            line = f"{escaped(trustee or sid):<24} {','.join(allowed) or '-'}"
            sys.stdout.write(f"{line}  denied: {','.join(denied)}\n" if denied else f"{line}\n")
    return 0


def _services(calls: Calls) -> dict[str, str]:
    """What services are called, by their SIDs; none, where they are not to be listed."""
    try:
        scm = calls.open_scm(ScmAccess.ENUMERATE_SERVICE)
        entries = calls.enum_services(scm, ServiceType.WIN32, StateMask.ALL)
    except WinError:
        return {}
    return {service_sid(entry.name): f"service:{entry.name}" for entry in entries}


def _arguments(arguments: list[str], *counts: int) -> list[str]:
    options = Options(arguments, ())
    if len(options.rest) not in counts:
        raise CommandUsageError(f"needs {' or '.join(map(str, counts))} arguments")
    return options.rest


def _is_scm(name: str) -> bool:
    return name.lower() == SCM_NAME


def _mask(rights: str, name: str) -> int:
    words, _ = words_and_mapping(_is_scm(name))
    try:
        return mask_of_words((word.strip() for word in rights.split(",")), words)
    except KeyError as error:
        known = ", ".join(words)
        wrong = escaped(error.args[0]) or "an empty word"
        raise CommandUsageError(f"{wrong} is no right; expected {known}") from error


def _open(calls: Calls, name: str, access: int) -> ContextHandle:
    if _is_scm(name):
        return calls.open_scm(ScmAccess.CONNECT | access)
    return calls.open_service(calls.open_scm(), name, access)


def _change(name: str, change: Callable[[SecurityDescriptor], SecurityDescriptor]) -> None:
    with target.open_calls() as calls:
        handle = _open(calls, name, _WRITE)
        try:
            changed = change(query_security(calls, handle, _DACL))
        except ValueError as error:
            raise CommandError(str(error)) from error
        set_security(calls, handle, _DACL, changed)


def _sid(who: str) -> str:
    """The SID of a trustee; CommandError names who is not known."""
    for name, sid in TRUSTEE_NAMES.items():
        if who.lower() == name.lower():
            return sid
    kind, colon, name = who.partition(":")
    if colon and kind.lower() == "service":
        return service_sid(name)
    try:
        return canonical_sid(who)
    except SidError:
        pass
    kind, name = (kind.lower(), name) if colon else ("", who)
    found = None if target.is_remote() else _unix_sid(kind, name)
    if found is None and kind in ("", "user"):
        found = _remote_sid(name)
    if found is not None:
        return found
    if target.is_remote():
        text = "no user of `scmd remote adduser` there; others of another machine are given as SIDs"
    else:
        text = "no group or user of this machine or of `scmd remote adduser`, no SID, no trustee"
    raise CommandError(f"{who}: {text}")


def _remote_sid(name: str) -> str | None:
    users = {name_key(known): sid for known, sid in _remote_users().items()}
    return users.get(name_key(name))


def _remote_users() -> dict[str, str]:
    """Who may come from other machines, by name: under which SID. None, if it is not told."""
    import json

    from scmd.client.management import query_remote

    try:
        with target.open_calls() as calls:
            remote = json.loads(query_remote(calls, calls.open_scm(ScmAccess.ALL_ACCESS)))
    except WinError:
        return {}
    return {user["name"]: user["sid"] for user in remote["users"] if "sid" in user}


def _unix_sid(kind: str, name: str) -> str | None:
    import grp
    import pwd

    if kind in ("", "group"):
        try:
            return unix_group_sid(grp.getgrnam(name).gr_gid)
        except KeyError:
            pass
    if kind in ("", "user"):
        try:
            return unix_user_sid(pwd.getpwnam(name).pw_uid)
        except KeyError:
            pass
    return None


def _trustee(sid: str) -> str:
    """What people call it; "" for who has no name here."""
    for name, known in (*TRUSTEE_NAMES.items(), *TRUSTEES.items()):
        if sid == known:
            return name
    head, _, number = sid.rpartition("-")
    if target.is_remote() or not number.isdecimal():
        return ""
    import grp
    import pwd

    try:
        if head == "S-1-22-1":
            return f"user:{pwd.getpwuid(int(number)).pw_name}"
        if head == "S-1-22-2":
            return f"group:{grp.getgrgid(int(number)).gr_name}"
    except (KeyError, OverflowError):
        pass
    return ""
