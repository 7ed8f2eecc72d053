"""Which SCM a command line is about: this machine's, or a HOST's with the credentials for it.

A HOST and its options stand before everything else: `//host -U ann query`. There is one command
line a process; the commands connect through here without being told.
"""

from __future__ import annotations

from scmd.client.hosts import HOST_PREFIXES
from scmd.vocabulary.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.client.calls import Calls
    from scmd.client.credentials import Credentials
    from scmd.client.scm import Scm
    from scmd.vocabulary.winerror import WinError


_VALUED = {"-U": "-U", "--user": "-U", "-A": "-A", "--credentials": "-A"}
_FLAGS = ("-k", "--kerberos")


class TargetError(Exception):
    """The options for the HOST are wrong; the text says how."""


class _Target:
    """What was chosen for this process."""

    host: str | None = None
    credentials: Credentials | None = None


def choose(arguments: list[str]) -> list[str]:
    """Take the HOST and its options off the front; the rest. TargetError."""
    _Target.host = _Target.credentials = None
    if arguments and (arguments[0].startswith(HOST_PREFIXES) or _is_option(arguments[0])):
        return _choose(arguments)
    return arguments


def hint(error: WinError) -> str:
    """What the error means in an SCM of a user's own, where that is more than it says; else ""."""
    import os

    if error.winerror != Error.INVALID_SERVICE_ACCOUNT or is_remote() or os.geteuid() == 0:
        return ""
    return "an SCM without root runs every service as its own user; other accounts need root"


def is_remote() -> bool:
    """Whether this command line is about another machine."""
    return _Target.host is not None


def host() -> str | None:
    """The other machine as it was given; None: it is this one."""
    return _Target.host


def open_calls(timeout: float | None = None, *, at_once: bool = True) -> Calls:
    """`client.calls.open_calls` for the SCM that was chosen."""
    from scmd.client.calls import open_calls

    host, credentials = _Target.host, _Target.credentials
    return open_calls(host, timeout, credentials=credentials, at_once=at_once)


def connect() -> Scm:
    """`client.scm.connect` for the SCM that was chosen."""
    from scmd.client.scm import Scm

    return Scm(open_calls(), is_remote=is_remote())


def _choose(arguments: list[str]) -> list[str]:
    from scmd.client.credentials import CredentialsError
    from scmd.client.hosts import HostError, parse_host

    host: str | None = None
    options: dict[str, str] = {}
    position = 0
    while position < len(arguments):
        word = arguments[position]
        if word.startswith(HOST_PREFIXES) and host is None:
            host = word
        elif word in _FLAGS:
            options["-k"] = ""
        elif _is_option(word):
            name, value, position = _valued(arguments, position)
            options[name] = value
        else:
            break
        position += 1
    if host is None:
        raise TargetError(f"{arguments[0]} is for another host: //NAME {arguments[0]} ...")
    if len(options) > 1:
        raise TargetError("one of -U, -A and -k says who calls, not several")
    try:
        is_ssh = parse_host(host).is_ssh
        _Target.credentials = _credentials(host, is_ssh, options)
    except (HostError, CredentialsError) as error:
        raise TargetError(str(error)) from error
    _Target.host = host
    return arguments[position:]


def _is_option(word: str) -> bool:
    name = word.partition("=")[0] if word.startswith("--") else word[:2]
    return name in _VALUED or word in _FLAGS


def _valued(arguments: list[str], position: int) -> tuple[str, str, int]:
    """`-U x`, `-Ux`, `--user x`, `--user=x`: the short name, the value, where it ended."""
    word = arguments[position]
    if word.startswith("--"):
        name, equals, value = word.partition("=")
        has_value = bool(equals)
    else:
        name, value = word[:2], word[2:]
        has_value = bool(value)
    if not has_value:
        position += 1
        if position == len(arguments):
            raise TargetError(f"{word} needs a value")
        value = arguments[position]
    return _VALUED[name], value, position


def _credentials(host: str, is_ssh: bool, options: dict[str, str]) -> Credentials | None:
    from scmd.client.credentials import Credentials, from_file, from_option

    if is_ssh:
        if options:
            raise TargetError("ssh has its own user and keys: ssh://USER@HOST")
        return None
    if "-A" in options:
        chosen = from_file(options["-A"])
    elif "-U" in options:
        chosen = from_option(options["-U"])
    else:
        return Credentials()
    if chosen.password is None:
        chosen = chosen.replace(password=_asked(f"Password of {chosen.user} at {host}: "))
    return chosen


def _asked(prompt: str) -> str:
    """What a person types, unseen; TargetError where there is nobody to ask."""
    import sys

    if not sys.stdin or not sys.stdin.isatty():
        raise TargetError("there is no terminal to ask for the password: -U USER%PASSWORD or -A")
    from scmd.tools.interruption import typed_unseen

    try:
        return typed_unseen(prompt)
    except EOFError as error:
        raise TargetError("no password was given") from error
