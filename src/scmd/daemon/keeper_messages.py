"""What keeper, manager and logger say to each other, as bytes on a unix stream socket.

One frame is a header (length of the body, kind, number of descriptors) and a body: the
message's fields in declaration order, each in a self-describing form. Descriptors travel
with the frame's first byte (SCM_RIGHTS), so whoever reads keeps them in a queue and each
frame takes its own from the front.

The keeper outlives upgrades, so the two ends may differ in age. A field is only ever
added at the end, with a default that stays what it is: a reader takes the default for what is
missing and ignores what it does not know. What has its default at the end is not sent. `Hello`
and `Welcome` carry the version. A kind is never used again for something else; an unknown kind
is malformed, as is any wrong type.

No I/O here; moving frames is `keeper_socket`'s and `keeper_link`'s.
"""

from __future__ import annotations

from struct import Struct, error

from scmd.vocabulary.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

VERSION = 2
"""2: `Listen`, `Unlisten`, `Listening`, `ListenFailed`."""
MAX_BODY = 16 << 20
"""Bytes; twice what the kernel lets a command line and an environment have."""

HEADER = Struct("<IBB")
_INTEGER = Struct("<q")
_COUNT = Struct("<I")
_MAX_DEPTH = 4


class Malformed(Exception):
    """The other end sent what no version of this protocol says; close the connection."""


class Message(Value):
    """Base of what travels; the fields' annotations are the wire's types."""


# Manager to keeper --------------------------------------------------------------------------


class Hello(Message):
    """A manager's first message; answered by `Welcome`, `Adopted`... and exits not forgotten.
    And a keeper's first to a logger, which answers `Ready`; older keepers do not send it."""

    version: int


class Launch(Message):
    """Run a program: `Launched` or `LaunchFailed` follows. As core's `LaunchSpec`."""

    number: int
    service: int
    name: str
    argv: tuple[str, ...]
    account: str
    control_channel: bool
    directory: str | None = None
    environment: tuple[tuple[str, str], ...] | None = None
    extra_environment: tuple[tuple[str, str], ...] = ()
    umask: int | None = None
    nice: int | None = None
    affinity: tuple[int, ...] = ()
    limits: tuple[tuple[str, int], ...] = ()
    log_timestamps: bool = False
    log_name: bool = False
    """Each line of the log starts with the service's name."""
    hook: bool = False
    """Kept for a new manager only."""
    essential: bool = False
    """Under `scmd init` it gets the signals that the keeper is sent."""
    awaited_line: str = ""
    """`LineSeen` follows when a line of its output has this text in it."""
    shares: tuple[tuple[str, int], ...] = ()
    uid: int = 0
    groups: tuple[int, ...] = ()
    capabilities: int | None = None


class Signal(Message):
    """Send a signal to the launch's first process, or to its whole tree."""

    number: int
    signal: int
    tree: bool = False


class Kill(Message):
    """SIGKILL to the whole tree, until nothing is left of it."""

    number: int


class Follow(Message):
    """From now on the launch's process is this one, if it is one of its own: `Followed`."""

    number: int
    process_id: int


class Forget(Message):
    """The exit is journaled: kill what is left of the tree and drop the launch."""

    number: int
    keep_tree: bool = False
    """Drop the launch only; what the process started lives on."""


class Ready(Message):
    """The manager serves, and the keeper tells whoever waits for that; the logger reads."""


class ShutdownDone(Message):
    """Every service is down, or the budget is spent: exit with this status."""

    exit_code: int = 0


class Replace(Message):
    """Replace manager and logger by what is installed now; the manager exits by itself."""


class Listen(Message):
    """Listen at this end point (`keeper_listeners`): `Listening` or `ListenFailed` follows.

    Only for a keeper of version 2 or later.
    """

    name: str


class Unlisten(Message):
    """Listen there no more."""

    name: str


# Keeper to manager --------------------------------------------------------------------------


class Welcome(Message):
    """The answer to `Hello`, with the listening socket and the one for sd_notify.

    `launches` times `Adopted` follow.
    """

    version: int
    state: str
    runtime: str
    keeper_pid: int
    boot_id: str
    launches: int
    is_init: bool = False
    """The SCM ends when an essential service does."""
    listeners: int = 0
    """So many `Listening` follow after the launches."""
    follows: bool = False
    """The keeper knows `Follow`."""
    program: str = ""
    """The version of scmd that it is of."""


class Adopted(Message):
    """A launch of an earlier manager, not forgotten, with its control channel if it has one."""

    number: int
    service: int
    name: str
    process_id: int
    hook: bool = False
    ended: bool = False
    """`Exited` follows."""


class Launched(Message):
    """The program was executed; with the manager's end of the control channel, if wanted."""

    number: int
    process_id: int
    without: tuple[str, ...] = ()
    """Limits that are not in force, each with the reason."""


class LaunchFailed(Message):
    """No process came of it; `error` is a Win32 code."""

    number: int
    error: int
    detail: str


class Exited(Message):
    """The first process ended, one of the two None; repeated to a new manager until forgotten."""

    number: int
    exit_code: int | None
    signal: int | None
    out_of_memory: bool = False


class Followed(Message):
    """The answer to `Follow`: its `Exited` counts from now on; or what speaks against it."""

    number: int
    process_id: int
    problem: str = ""


class Shutdown(Message):
    """Somebody asked the keeper to end: stop everything, then `ShutdownDone`."""


class Listening(Message):
    """The end point is listened at; with the listening socket."""

    name: str


class ListenFailed(Message):
    """Nobody can listen there."""

    name: str
    detail: str


# Keeper and logger --------------------------------------------------------------------------


class Capture(Message):
    """To the logger, with the read end of a launch's output."""

    number: int
    service: int
    name: str
    timestamps: bool = False
    name_prefix: bool = False
    essential: bool = False
    """Under `scmd init` its output is passed on as it is, others' with their name."""
    again: bool = False
    """An earlier logger had it and was killed."""
    awaited_line: str = ""


class LineSeen(Message):
    """From the logger, and passed on to the manager: the awaited line was written."""

    number: int


class OutputEnded(Message):
    """From the logger, and passed on to the manager: no writer of this launch's output is left.

    All of it is in the log, as far as that could be written.
    """

    number: int


KINDS: Mapping[int, type[Message]] = {
    1: Hello,
    2: Launch,
    3: Signal,
    4: Kill,
    5: Forget,
    6: Ready,
    7: ShutdownDone,
    8: Replace,
    9: Listen,
    10: Unlisten,
    16: Follow,
    32: Welcome,
    33: Adopted,
    34: Launched,
    35: LaunchFailed,
    36: Exited,
    37: Shutdown,
    38: Listening,
    39: ListenFailed,
    48: Followed,
    64: Capture,
    65: OutputEnded,
    66: LineSeen,
}
_KIND_OF = {message: kind for kind, message in KINDS.items()}
_WIRE_TYPES = {message: tuple(message.__annotations__.items()) for message in KINDS.values()}
"""Fields and annotations."""
_REQUIRED = object()


def encode(message: Message, descriptors: int = 0) -> bytes:
    """The frame of a message that takes this many descriptors along."""
    fields, defaults = message._fields, message._defaults
    values = [getattr(message, field) for field in fields]
    count = len(values)
    while count and values[count - 1] == defaults.get(fields[count - 1], _REQUIRED):
        count -= 1
    parts: list[bytes] = []
    for value in values[:count]:
        _encode_value(value, parts)
    body = b"".join(parts)
    return HEADER.pack(len(body), _KIND_OF[type(message)], descriptors) + body


def decode(kind: int, body: bytes) -> Message:
    """The message in a frame's body; raises `Malformed` and nothing else."""
    message_type = KINDS.get(kind)
    if message_type is None:
        raise Malformed(f"unknown kind {kind}")
    values: list[Any] = []
    position = 0
    try:
        while position < len(body):
            value, position = _decode_value(body, position, 0)
            values.append(value)
    except (error, UnicodeDecodeError, IndexError) as broken:
        raise Malformed(f"{message_type.__name__}: {broken}") from broken
    for (field, wire_type), value in zip(_WIRE_TYPES[message_type], values, strict=False):
        if not _CHECKS[wire_type](value):
            raise Malformed(f"{message_type.__name__}: bad {field}")
    try:
        return message_type(**dict(zip(message_type._fields, values, strict=False)))
    except TypeError as missing:
        raise Malformed(str(missing)) from missing


def _encode_value(value: Any, parts: list[bytes]) -> None:
    if isinstance(value, str):
        text = value.encode("utf-8", "surrogatepass")
        parts.append(b"s" + _COUNT.pack(len(text)) + text)
    elif value is None:
        parts.append(b"n")
    elif value is True:
        parts.append(b"t")
    elif value is False:
        parts.append(b"f")
    elif isinstance(value, int):
        parts.append(b"i" + _INTEGER.pack(value))
    else:
        parts.append(b"(" + _COUNT.pack(len(value)))
        for item in value:
            _encode_value(item, parts)


def _decode_value(body: bytes, position: int, depth: int) -> tuple[Any, int]:
    kind = body[position]
    position += 1
    if kind in _CONSTANTS:
        return _CONSTANTS[kind], position
    if kind == 0x69:  # i
        return _INTEGER.unpack_from(body, position)[0], position + 8
    (count,) = _COUNT.unpack_from(body, position)
    position += 4
    if count > len(body) - position:
        raise Malformed("a count runs past the end")
    if kind == 0x73:  # s
        end = position + count
        return body[position:end].decode("utf-8", "surrogatepass"), end
    if kind != 0x28 or depth == _MAX_DEPTH:
        raise Malformed(f"unknown value {kind}")
    items = []
    for _ in range(count):
        item, position = _decode_value(body, position, depth + 1)
        items.append(item)
    return tuple(items), position


_CONSTANTS: Mapping[int, bool | None] = {0x6E: None, 0x74: True, 0x66: False}


def _is_int(value: Any) -> bool:
    return type(value) is int


def _is_str(value: Any) -> bool:
    return type(value) is str


def _tuple_of(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: type(value) is tuple and all(map(check, value))


def _pair_of(*checks: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: (
        type(value) is tuple
        and len(value) == len(checks)
        and all(check(item) for check, item in zip(checks, value, strict=True))
    )


def _or_none(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or check(value)


_is_string_pairs = _tuple_of(_pair_of(_is_str, _is_str))

_CHECKS: Mapping[str, Callable[[Any], bool]] = {
    "int": _is_int,
    "str": _is_str,
    "bool": lambda value: type(value) is bool,
    "int | None": _or_none(_is_int),
    "str | None": _or_none(_is_str),
    "tuple[int, ...]": _tuple_of(_is_int),
    "tuple[str, ...]": _tuple_of(_is_str),
    "tuple[tuple[str, int], ...]": _tuple_of(_pair_of(_is_str, _is_int)),
    "tuple[tuple[str, str], ...]": _is_string_pairs,
    "tuple[tuple[str, str], ...] | None": _or_none(_is_string_pairs),
}


class FrameReader:
    """Bytes and descriptors in, whole messages out."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._descriptors: list[int] = []

    def feed(self, data: bytes, descriptors: list[int]) -> None:
        self._buffer += data
        self._descriptors += descriptors

    def messages(self) -> Iterator[tuple[Message, list[int]]]:
        """The complete messages, each with its descriptors, now the caller's to close."""
        buffer = self._buffer
        while len(buffer) >= HEADER.size:
            length, kind, count = HEADER.unpack_from(buffer)
            if length > MAX_BODY:
                raise Malformed(f"a frame of {length} bytes")
            end = HEADER.size + length
            if len(buffer) < end:
                return
            if count > len(self._descriptors):
                raise Malformed("descriptors are missing")
            message = decode(kind, bytes(buffer[HEADER.size : end]))
            own, self._descriptors = self._descriptors[:count], self._descriptors[count:]
            del buffer[:end]
            yield message, own

    def leftover_descriptors(self) -> list[int]:
        """Those no message took; to be closed when the connection ends."""
        left, self._descriptors = self._descriptors, []
        return left
