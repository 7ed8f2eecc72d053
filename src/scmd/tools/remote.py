"""scmd remote: the end points for other machines, and the users who may come."""

from __future__ import annotations

import json
import os
import sys

from scmd.client.calls import open_calls
from scmd.client.management import change_remote, query_remote
from scmd.tools.commands import CommandError, CommandUsageError, Options, write_json
from scmd.tools.interruption import typed_line, typed_unseen
from scmd.vocabulary.names import escaped, name_key
from scmd.vocabulary.service import ScmAccess
from scmd.vocabulary.winerror import WinError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

USAGE = """\
usage: scmd remote enable [--tcp ADDRESS:PORT] [--epm ADDRESS] [--smbd DIR]
                          [--smb-conf FILE] [--level privacy|integrity]
                          [--administrators GROUP] [--keytab FILE]
       scmd remote disable
       scmd remote status [--json]
       scmd remote adduser NAME [--administrator] [--no-password]
       scmd remote passwd NAME
       scmd remote deluser NAME

Opens this SCM to other machines; nothing listens unless this says so (docs/remote.md).

  --tcp ADDRESS:PORT      RPC over TCP, signed and encrypted; 0.0.0.0 is every address
  --epm ADDRESS           the endpoint mapper on port 135, which tells clients the TCP port
  --smbd DIR              \\PIPE\\svcctl behind Samba's smbd, handed over below DIR
  --smb-conf FILE         smbd's configuration, if it is not where Samba looks for it
  --level integrity       calls by TCP may be signed only; without it they must be encrypted
  --administrators GROUP  members of this Unix group administer from elsewhere
  --keytab FILE           Kerberos is spoken with these keys
  --administrator         the user administers; without it the services' descriptors decide
  --no-password           the user comes by Kerberos only

The password is asked for, or read from standard input when that is no terminal.
"""

_SETTINGS = ("--tcp", "--epm", "--smbd", "--level", "--administrators", "--keytab")
_MAX_PASSWORD = 256


def run(arguments: list[str]) -> int:
    verb = arguments[0] if arguments else ""
    perform = _VERBS.get(verb)
    if perform is None:
        wrong = f"there is no command {verb!r}" if verb else "needs a command"
        raise CommandUsageError(wrong)
    return perform(arguments[1:])


def _enable(arguments: list[str]) -> int:
    options = Options(arguments, (*_SETTINGS, "--smb-conf"))
    if options.rest or not options.values:
        raise CommandUsageError("enable needs --tcp or --smbd, and no other arguments")
    settings = {name[2:]: options.last(name) or "" for name in _SETTINGS if options.flag(name)}
    for name, value in settings.items():
        if not value.isprintable():
            raise CommandError(f"--{name} {escaped(value)} is no printable text")
    for name in ("smbd", "keytab"):
        if settings.get(name):
            settings[name] = os.path.abspath(settings[name])
    smb_conf = options.last("--smb-conf")
    if smb_conf and not os.access(smb_conf, os.R_OK):
        raise CommandError(f"{smb_conf} cannot be read")
    _change({"enable": settings})
    _show(_query())
    if settings.get("smbd"):
        from scmd.tools.remote_smbd import prepare

        sys.stdout.write(prepare(settings["smbd"], smb_conf))
    return 0


def _disable(arguments: list[str]) -> int:
    if arguments:
        raise CommandUsageError("disable takes no arguments")
    _change({"disable": True})
    sys.stdout.write("This SCM is closed to other machines; what was connected has been ended.\n")
    return 0


def _status(arguments: list[str]) -> int:
    options = Options(arguments, (), ("--json",))
    if options.rest:
        raise CommandUsageError("status takes no arguments")
    document = _query()
    if options.flag("--json"):
        write_json(document)
    else:
        _show(document)
    return 0


def _add_user(arguments: list[str]) -> int:
    options = Options(arguments, (), ("--administrator", "--no-password"))
    name = _name(options)
    if _is_known(name):
        raise CommandError(f"there is a user {name} already: `scmd remote passwd`")
    user: dict[str, object] = {
        "name": name,
        "is_new": True,
        "administrator": options.flag("--administrator"),
        "nt_hash": None if options.flag("--no-password") else _hash(_password(name)),
    }
    _change({"user": user})
    sys.stdout.write(f"{escaped(name)} may come from other machines.\n")
    return 0


def _set_password(arguments: list[str]) -> int:
    name = _name(Options(arguments, ()))
    if not _is_known(name):
        raise CommandError(f"there is no user {name}: `scmd remote adduser`")
    _change({"user": {"name": name, "nt_hash": _hash(_password(name))}})
    sys.stdout.write(f"The password of {escaped(name)} is changed.\n")
    return 0


def _delete_user(arguments: list[str]) -> int:
    name = _name(Options(arguments, ()))
    _change({"delete_user": name})
    sys.stdout.write(f"{escaped(name)} cannot come from other machines any more.\n")
    return 0


def _name(options: Options) -> str:
    name = options.only()
    if not name.isprintable():
        raise CommandError(f"{escaped(name)} is no user's name")
    return name


def _is_known(name: str) -> bool:
    """Whether there is this user. CommandError: nobody can be added or changed.

    All of that is said before anybody is asked for a password.
    """
    document = _query()
    if problem := document.get("users_problem"):
        raise CommandError(problem)
    return name_key(name) in {name_key(user["name"]) for user in document["users"]}


def _password(name: str) -> str:
    """Asked for twice at a terminal, else the first line of standard input."""
    if sys.stdin is None:
        raise CommandError("there is no standard input to read a password from")
    if sys.stdin.isatty():
        try:
            password = typed_unseen(f"Password of {escaped(name)}: ")
            again = typed_unseen("Again: ")
        except EOFError as error:
            raise CommandError("no password was given") from error
        if again != password:
            raise CommandError("the two passwords differ")
    else:
        password = typed_line().removesuffix("\n").removesuffix("\r")
    if not 0 < len(password) <= _MAX_PASSWORD:
        raise CommandError(f"a password has 1 to {_MAX_PASSWORD} characters")
    return password


def _hash(password: str) -> str:
    """Only what is stored leaves this process."""
    from scmd.rpc.security.md4 import nt_hash

    return nt_hash(password).hex()


def _change(change: dict[str, object]) -> None:
    with open_calls() as calls:
        scm = calls.open_scm(ScmAccess.ALL_ACCESS)
        try:
            change_remote(calls, scm, json.dumps(change).encode())
        except WinError as error:
            if error.funcname != "ChangeRemote":
                raise
            raise CommandError(error.strerror) from error


def _query() -> dict[str, Any]:
    with open_calls() as calls:
        document: dict[str, Any] = json.loads(
            query_remote(calls, calls.open_scm(ScmAccess.ALL_ACCESS))
        )
    return document


def _show(document: dict[str, Any]) -> None:
    sys.stdout.write(as_text(document))


def is_loopback(address: str) -> bool:
    """Whether only this machine can reach the address."""
    return address.startswith("127.") or address in ("::1", "localhost")


def as_text(document: dict[str, Any]) -> str:
    """In plain words: what is open, to whom, and what protects it."""
    settings, listening, failed = document["settings"], document["listening"], document["failed"]
    lines = []
    if settings["tcp"] and f"tcp:{settings['tcp']}" not in failed:
        privacy = settings["level"] == "privacy"
        how = "signed and encrypted" if privacy else "signed, but may be readable on the way"
        kerberos = " or Kerberos" if settings["keytab"] else ""
        machine = is_loopback(settings["tcp"].rpartition(":")[0].strip("[]"))
        whom = "everybody on this machine" if machine else "every machine that can reach it"
        lines += [
            f"TCP {settings['tcp']}: open to {whom}.",
            f"    Who calls must prove who it is (NTLMv2{kerberos}); calls are {how}.",
        ]
    if settings["epm"] and f"tcp:{settings['epm']}" not in failed:
        lines += [
            f"Endpoint mapper {settings['epm']}: open to everybody, without a proof.",
            "    It tells the TCP port, the server's Kerberos name and how much is asked, no more.",
        ]
    if settings["smbd"] and f"pipe:{settings['smbd']}/np/svcctl" not in failed:
        lines += [
            f"Named pipe \\PIPE\\svcctl: smbd hands it over at {settings['smbd']}/np/svcctl.",
            "    Whom smbd has authenticated may call; its signing and encryption protect them.",
        ]
    lines += [f"NOT OPEN: {reason}" for reason in failed.values()]
    if not lines:
        lines.append("Closed: nothing listens for other machines (ssh:// works all the same).")
    if settings["administrators"]:
        lines.append(f"Members of the group {settings['administrators']} administer.")
    if listening:
        lines.append(f"Connections now: {document['connections']}.")
    for user in document["users"]:
        kind = "administrator" if user["administrator"] else "user"
        comes = "" if user["password"] else ", by Kerberos only"
        lines.append(f"{kind} {escaped(user['name'])}{comes}")
    if problem := document.get("users_problem"):
        lines.append(f"NOBODY MAY COME BY TCP: {problem}")
    elif settings["tcp"] and not document["users"]:
        lines.append("Nobody may come by TCP yet: `scmd remote adduser NAME`.")
    return "".join(line + "\n" for line in lines)


_VERBS: dict[str, Callable[[list[str]], int]] = {
    "enable": _enable,
    "disable": _disable,
    "status": _status,
    "adduser": _add_user,
    "passwd": _set_password,
    "deluser": _delete_user,
}
