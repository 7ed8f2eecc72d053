"""HOST as users write it: `//name`, `\\\\name`, `//name:port`, `ssh://[user@]name[:port]`."""

from __future__ import annotations

from scmd.vocabulary.value import Value

HOST_PREFIXES = ("//", "\\\\", "ssh://")
"""What a HOST begins with, and nothing else on a command line does."""


class HostError(ValueError):
    """Not a HOST; the text says what was expected."""


class Host(Value):
    """Where an SCM is. `port` 0: ask the endpoint mapper, or ssh's own."""

    name: str
    port: int = 0
    user: str = ""
    """For ssh: whom to log in as; "" leaves it to ssh."""
    is_ssh: bool = False

    def __str__(self) -> str:
        name = f"[{self.name}]" if ":" in self.name else self.name
        port = f":{self.port}" if self.port else ""
        user = f"{self.user}@" if self.user else ""
        return f"{'ssh:' if self.is_ssh else ''}//{user}{name}{port}"


def parse_host(text: str) -> Host:
    """The HOST that a text names; HostError."""
    for prefix in HOST_PREFIXES:
        if text.startswith(prefix):
            rest = text[len(prefix) :]
            break
    else:
        raise HostError(f"{text!r} is no host: //NAME, //NAME:PORT or ssh://[USER@]NAME")
    is_ssh = prefix == "ssh://"
    user, at, place = rest.rpartition("@") if is_ssh else ("", "", rest)
    name, port = _split_port(text, place.rstrip("/") if is_ssh else place)
    if (at and not user) or not _is_name(name) or (user and not _is_name(user)):
        raise HostError(f"{text!r} does not name a host")
    return Host(name=name, port=port, user=user, is_ssh=is_ssh)


def _split_port(text: str, place: str) -> tuple[str, int]:
    """`name`, `name:port`, `address:of:six`, `[address]:port`."""
    name, colon, port = place, "", ""
    if place.startswith("["):
        name, closed, rest = place[1:].partition("]")
        colon, port = rest[:1], rest[1:]
        if not closed or colon not in ("", ":"):
            raise HostError(f"{text!r}: an address in brackets and perhaps :PORT is expected")
    elif place.count(":") == 1:
        name, colon, port = place.partition(":")
    if not colon:
        return name, 0
    from scmd.vocabulary.numbers import decimal

    number = decimal(port)
    if number is None or not 1 <= number <= 65535:
        raise HostError(f"{text!r}: a port is a number from 1 to 65535, not {port!r}")
    return name, number


def _is_name(word: str) -> bool:
    """Printable, without what separates, and nothing a program would take for an option."""
    forbidden = set("/\\@[] \t")
    return (
        bool(word) and word.isprintable() and not word.startswith("-") and not forbidden & {*word}
    )
