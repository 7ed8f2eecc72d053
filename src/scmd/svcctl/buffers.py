"""Flat buffers: what [MS-SCMR] sends as bytes with offsets instead of NDR.

Little endian whatever the connection's byte order is; offsets count from the buffer's start,
0 is NULL. In terms of the vocabulary on the Python side. Unpacking raises NdrError for
anything malformed, and nothing else.
"""

from __future__ import annotations

from operator import attrgetter
from struct import Struct as Packer

from scmd.ndr.errors import NdrError
from scmd.svcctl.text import decode_text, encode_text, text_at, texts_size, unit_size
from scmd.vocabulary.status import ServiceStatus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Protocol

    from scmd.svcctl.configuration import QueryServiceConfig

    Entry = tuple[str, str, ServiceStatus]
    """Key name, display name, status."""

    class Listed(Protocol):
        """A service as an enumeration shows it."""

        @property
        def name(self) -> str: ...

        @property
        def display_name(self) -> str: ...

        @property
        def status(self) -> ServiceStatus: ...


_STATUS_PROCESS = Packer("<9I")
_STATUS_FIELDS = ServiceStatus._fields
_STATUS_VALUES = attrgetter(*_STATUS_FIELDS)
_BASIC_STATUS_VALUES = attrgetter(*_STATUS_FIELDS[:7])


def fill(data: bytes, size: int) -> bytes:
    """A buffer of exactly `size`: the data and zeros, or all zeros when the data does not fit."""
    return data.ljust(size, b"\0") if len(data) <= size else bytes(size)


def pack_status_process(status: ServiceStatus) -> bytes:
    """SERVICE_STATUS_PROCESS, 36 bytes ([MS-SCMR] 2.2.49)."""
    return _STATUS_PROCESS.pack(*_STATUS_VALUES(status))


# Enumerations, [MS-SCMR] 2.2.10 to 2.2.13 -------------------------------------------------


def pack_services(
    entries: Sequence[Listed], size: int, *, with_process: bool, ansi: bool = False
) -> tuple[bytes, int, int]:
    """A buffer of exactly `size`, how many entries it holds, and the bytes needed.

    ENUM_SERVICE_STATUS_PROCESS `with_process`, else ENUM_SERVICE_STATUS. As many whole
    entries as fit. When not all do, needed is what the remaining ones take, else what all do.
    """
    fixed = 44 if with_process else 36
    texts: list[bytes] = []
    used = 0
    for entry in entries:
        key, display = encode_text(entry.name, ansi), encode_text(entry.display_name, ansi)
        end = used + fixed + len(key) + len(display)
        if end > size:
            break
        texts += (key, display)
        used = end
    fitting = len(texts) // 2
    values = _STATUS_VALUES if with_process else _BASIC_STATUS_VALUES
    items: list[int] = []
    offset = fixed * fitting
    sizes = iter(map(len, texts))
    for entry, key_size, display_size in zip(entries, sizes, sizes):  # noqa: B905 # those that fit
        items += (offset, offset + key_size, *values(entry.status))
        offset += key_size + display_size
    data = Packer(f"<{len(items)}I").pack(*items) + b"".join(texts)
    rest = entries[fitting:]
    if rest:
        left = [entry.name for entry in rest] + [entry.display_name for entry in rest]
        used = fixed * len(rest) + texts_size(left, ansi)
    return data.ljust(size, b"\0"), fitting, used


def unpack_services(
    buffer: bytes, returned: int, *, with_process: bool, ansi: bool = False
) -> list[Entry]:
    """The entries; NdrError when a count or an offset leaves the buffer."""
    count = 9 if with_process else 7
    packer = Packer(f"<{count + 2}I")
    if returned * packer.size > len(buffer):
        raise NdrError(f"{returned} entries in a buffer of {len(buffer)} bytes")
    fields = _STATUS_FIELDS[:count]
    entries = []
    for index in range(returned):
        name, display_name, *values = packer.unpack_from(buffer, index * packer.size)
        status = ServiceStatus(**dict(zip(fields, values, strict=True)))
        entries.append((text_at(buffer, name, ansi), text_at(buffer, display_name, ansi), status))
    return entries


# QUERY_SERVICE_CONFIG is NDR, but its size is counted as if it were a buffer -----------------


def query_config_bytes(config: QueryServiceConfig, *, ansi: bool = False) -> int:
    """What pcbBytesNeeded says for it: Windows' 64-bit structure, texts, a multi-string's last NUL.

    Windows' own formula is not published; every byte of ours is one that can be needed. More
    than 8192 cannot be asked for, and is answered by 122 whatever is asked.
    """
    texts = (
        config.binary_path_name,
        config.load_order_group,
        config.dependencies,
        config.service_start_name,
        config.display_name,
    )
    return 64 + unit_size(ansi) + sum(len(encode_text(text or "", ansi)) for text in texts)


def lock_status_bytes(owner: str, *, ansi: bool = False) -> int:
    """The same for QUERY_SERVICE_LOCK_STATUS."""
    return 24 + len(encode_text(owner, ansi))


# Multi-strings and dependencies -----------------------------------------------------------


def pack_multi_string(strings: Sequence[str], *, ansi: bool = False) -> bytes:
    """Each with its NUL, and one more NUL; none at all is two NULs, as the registry has it.

    NdrError: an empty string or one with a NUL, which would end the list.
    """
    for string in strings:
        if not string or "\0" in string:
            raise NdrError(f"{string!r} cannot be part of a multi-string")
    data = b"".join([encode_text(string, ansi) for string in strings])
    return (data or bytes(unit_size(ansi))) + bytes(unit_size(ansi))


def unpack_multi_string(data: bytes, *, ansi: bool = False) -> tuple[str, ...]:
    """The strings up to the first empty one; a missing end is forgiven."""
    if len(data) % unit_size(ansi):
        raise NdrError(f"a multi-string of {len(data)} bytes")
    strings = decode_text(data, ansi).split("\0")
    end = strings.index("") if "" in strings else len(strings)
    return tuple(strings[:end])


def join_dependencies(dependencies: Sequence[str]) -> str:
    """The one string QUERY_SERVICE_CONFIG carries: names and `+groups` with `/` between them."""
    return "/".join(dependencies)


def split_dependencies(joined: str | None) -> tuple[str, ...]:
    return tuple(name for name in (joined or "").split("/") if name)
