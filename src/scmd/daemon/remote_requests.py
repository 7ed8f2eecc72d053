"""What `scmd remote` asks of the manager: a document in, a change or the reason against it out."""

from __future__ import annotations

import grp
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import msgspec

from scmd.daemon.lookups import looked_up
from scmd.daemon.remote import Remote, RemoteError
from scmd.linux.keytab import host_principal
from scmd.linux.remote_users import MAX_NAME, RemoteUsers
from scmd.storage.documents import to_json
from scmd.storage.remote_settings import VALUE_NAMES, RemoteSettings
from scmd.vocabulary.errors import Error

_FORBIDDEN = set('"/\\[]:;|=,+*?<>@%')
"""What cannot be in an account's name on Windows, and what separates a domain or a password."""


async def query(remote: Remote) -> bytes:
    return to_json(await remote.status())


def described(document: bytes) -> str:
    """What a change is about, for the audit trail: its verb, and settings or whom it is about."""
    try:
        ((verb, argument),) = msgspec.json.decode(document, type=dict[str, Any]).items()
    except (msgspec.DecodeError, ValueError):
        return "nothing that is understood"
    if not verb.endswith("user"):
        settings = argument.items() if isinstance(argument, dict) else ()
        return " ".join([verb, *(f"{name}={value}" for name, value in settings)])
    if not isinstance(argument, dict):
        return f"{verb} {argument}"
    if argument.get("is_new"):
        verb = "add administrator" if argument.get("administrator") else "add user"
    return f"{verb} {argument.get('name', '')}".strip()


async def change(remote: Remote, document: bytes) -> tuple[Error, str | None]:
    """Carry out one change; the error and what was wrong."""
    try:
        decoded = msgspec.json.decode(document, type=dict[str, Any])
        ((verb, argument),) = decoded.items()
        perform = _VERBS[verb]
    except (msgspec.DecodeError, ValueError, KeyError):
        return Error.INVALID_PARAMETER, f"one of {', '.join(_VERBS)} is expected"
    try:
        await perform(remote, argument)
    except (RemoteError, ValueError, TypeError) as error:
        return Error.INVALID_PARAMETER, str(error)
    except OSError as error:
        return Error.WRITE_FAULT, str(error)
    return Error.SUCCESS, None


async def _enable(remote: Remote, argument: Any) -> None:
    """What is named changes, what is not stays."""
    if not isinstance(argument, dict) or not argument.keys() <= VALUE_NAMES.keys():
        raise ValueError(f"settings are {', '.join(VALUE_NAMES)}")
    if not all(isinstance(value, str) and "\0" not in value for value in argument.values()):
        raise ValueError("a setting is a text")
    await looked_up(_check_named, argument)
    wanted = replace(remote.settings, **argument)
    if not wanted.is_open:
        raise ValueError("nothing would listen: name --tcp or --smbd")
    await remote.change(wanted)


def _check_named(settings: dict[str, str]) -> None:
    """What is named must be there now, or a slip would go unnoticed."""
    group, keytab = settings.get("administrators"), settings.get("keytab")
    try:
        if group:
            grp.getgrnam(group)
        if keytab:
            host_principal(keytab)
    except KeyError as error:
        raise ValueError(f"there is no group {group}") from error
    except OSError as error:
        raise ValueError(f"the keytab {keytab} cannot be read ({error.strerror})") from error


async def _disable(remote: Remote, argument: Any) -> None:
    await remote.change(RemoteSettings())


async def _user(remote: Remote, argument: Any) -> None:
    """Add a user, or change what is given of one."""
    if not isinstance(argument, dict):
        raise ValueError("a user is an object with a name")
    name = _checked(argument.get("name"))
    await remote.change_users(lambda users: _put(users, name, argument))


def _put(users: RemoteUsers, name: str, argument: dict[str, Any]) -> None:
    known = users.get(name)
    if argument.get("is_new") and known is not None:
        raise ValueError(f"there is a user {known.name} already: `scmd remote passwd`")
    if not argument.get("is_new") and known is None:
        raise ValueError(f"there is no user {name}: `scmd remote adduser`")
    nt_hash = None if known is None else known.nt_hash
    if "nt_hash" in argument:
        given = argument["nt_hash"]
        nt_hash = None if given is None else bytes.fromhex(given)
        if nt_hash is not None and len(nt_hash) != 16:
            raise ValueError("an NT hash has 16 bytes")
    administrator = argument.get("administrator", known is not None and known.administrator)
    users.put(name, nt_hash, administrator=administrator is True)


async def _delete_user(remote: Remote, argument: Any) -> None:
    name = _checked(argument)

    def remove(users: RemoteUsers) -> None:
        if not users.remove(name):
            raise ValueError(f"there is no user {name}")

    await remote.change_users(remove)


def _checked(name: Any) -> str:
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME or not name.isprintable():
        raise ValueError(f"a user's name is a text of 1 to {MAX_NAME} characters")
    if name != name.strip(" ."):
        raise ValueError("a user's name does not begin or end with a space or a dot")
    if _FORBIDDEN & {*name}:
        raise ValueError(f"a user's name has none of {' '.join(sorted(_FORBIDDEN))}")
    return name


_VERBS: dict[str, Callable[[Remote, Any], Coroutine[None, None, None]]] = {
    "enable": _enable,
    "disable": _disable,
    "user": _user,
    "delete_user": _delete_user,
}
