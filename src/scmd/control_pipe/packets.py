"""The packets between the SCM and a service process: values, and bytes in both directions.

One table says for each packet its number, its sender, its fixed fields and what follows them;
`docs/control-protocol.md` is the same table for people. A message is one packet of a
SOCK_SEQPACKET socket, or several in a row when it is longer than `MAX_PACKET`: fragments
repeat the header with the MORE flag set on all but the last. Bytes from the other side raise
`PacketError` and nothing else, and nothing is built from a count that has not been bounded.
"""

from __future__ import annotations

from operator import attrgetter
from struct import Struct
from struct import error as StructError

from scmd.vocabulary.status import ServiceStatus
from scmd.vocabulary.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

VERSION = 1
"""The newest version of the protocol this code speaks."""
CONTROL_FD_VARIABLE = "SCMD_CONTROL_FD"
"""Environment variable: the number of the descriptor inherited at exec."""
SERVICE_TYPE_VARIABLE = "SCMD_SERVICE_TYPE"
"""Environment variable: 16 or 32, whether the process is one service's own or shared by several."""
MAX_PACKET = 32 * 1024
"""Bytes of one packet, header included."""
MAX_MESSAGE = 4 * 1024 * 1024
"""Bytes of the bodies of all fragments of one message."""
MAX_STRINGS = 4096

_MORE = 0x01


class PacketError(ValueError):
    """A packet that is malformed, too long, of an unknown kind or from the wrong side."""


class Packet(Value):
    """Base of all packets."""


class Hello(Packet):
    """First packet of a process: StartServiceCtrlDispatcher was called."""

    version: int = VERSION
    """The newest version the process speaks."""
    table: tuple[str, ...]
    """The service names of its SERVICE_TABLE_ENTRYs, in their order."""


class StartAnswer(Packet):
    """ServiceMain's thread exists (0), or the Win32 error that prevented it."""

    service: int
    error: int = 0


class Registered(Packet):
    """RegisterServiceCtrlHandler was called for the service."""

    service: int


class ControlAnswer(Packet):
    """What the Handler returned for the control with this number."""

    control: int
    error: int = 0


class Status(Packet):
    """SetServiceStatus. Process id and flags of `status` are not carried."""

    service: int
    sequence: int
    """1 for the first report of a start, one more for each further one; repeated on Resync."""
    status: ServiceStatus


class Event(Packet):
    """An entry for the event log; its source is the service."""

    service: int
    type: int
    """EVENTLOG_*: 1 error, 2 warning, 4 information."""
    category: int = 0
    event_id: int = 0
    strings: tuple[str, ...] = ()


class Welcome(Packet):
    """Answer to Hello: the version both sides speak from here on."""

    version: int = VERSION


class Start(Packet):
    """Run ServiceMain on a thread of its own; answered by StartAnswer."""

    service: int
    """The record number: how all further packets name the service."""
    arguments: tuple[str, ...]
    """argv; argv[0] is the service name."""


class Control(Packet):
    """Call the service's Handler; answered by ControlAnswer with the same number."""

    service: int
    control: int
    code: int
    event_type: int = 0
    data: bytes = b""


class ParametersChanged(Packet):
    """The service's Parameters were changed; not answered."""

    service: int


class Resync(Packet):
    """A new manager listens: repeat Registered and the last Status of every service."""


class _Layout:
    """How one packet looks behind its header: fixed fields, then what `tail` names."""

    def __init__(
        self, kind: int, packet: type[Packet], fixed: str, fields: str = "", tail: str = ""
    ) -> None:
        self.kind = kind
        self.packet = packet
        self.fixed = Struct(fixed)
        self.fields = tuple(fields.split())
        self.tail = tail


_STATUS_FIELDS = (
    "type",
    "state",
    "controls_accepted",
    "win32_exit_code",
    "service_specific_exit_code",
    "check_point",
    "wait_hint",
)

_STATUS_NUMBERS = attrgetter(
    "service", "sequence", *(f"status.{field}" for field in _STATUS_FIELDS)
)

# The offset of each fixed field is a multiple of its size, counted from the packet's start.
_FROM_PROCESS = (
    _Layout(1, Hello, "<I", "version", "table"),
    _Layout(2, StartAnswer, "<II", "service error"),
    _Layout(3, Registered, "<I", "service"),
    _Layout(4, ControlAnswer, "<IQ", "error control"),
    _Layout(5, Status, "<IQ7I", "service sequence", "status"),
    _Layout(6, Event, "<IHHI", "service type category event_id", "strings"),
)
_FROM_SCM = (
    _Layout(129, Welcome, "<I", "version"),
    _Layout(130, Start, "<I", "service", "arguments"),
    _Layout(131, Control, "<IQII", "service control code event_type", "data"),
    _Layout(132, ParametersChanged, "<I", "service"),
    _Layout(133, Resync, "<"),
)

PROCESS_PACKETS: tuple[type[Packet], ...] = tuple(layout.packet for layout in _FROM_PROCESS)
SCM_PACKETS: tuple[type[Packet], ...] = tuple(layout.packet for layout in _FROM_SCM)

_BY_PACKET = {layout.packet: layout for layout in _FROM_PROCESS + _FROM_SCM}

_HEADER = Struct("<BBH")
_COUNT = Struct("<I")


def encode(packet: Packet) -> list[bytes]:
    """The packets to send, in order, one `send` each; PacketError when a value does not fit."""
    layout = _BY_PACKET[type(packet)]
    try:
        body = _encode_body(packet, layout)
    except (StructError, UnicodeEncodeError) as error:
        raise PacketError(f"{type(packet).__name__} does not fit: {error}") from error
    if len(body) > MAX_MESSAGE:
        raise PacketError(f"{type(packet).__name__} is longer than {MAX_MESSAGE} bytes")
    room = MAX_PACKET - _HEADER.size
    if len(body) <= room:
        return [_HEADER.pack(layout.kind, 0, 0) + body]
    starts = range(0, len(body), room)
    return [
        _HEADER.pack(layout.kind, _MORE if start + room < len(body) else 0, 0)
        + body[start : start + room]
        for start in starts
    ]


def _encode_body(packet: Any, layout: _Layout) -> bytes:
    if layout.tail == "status":
        return layout.fixed.pack(*_STATUS_NUMBERS(packet))
    fixed = layout.fixed.pack(*[getattr(packet, field) for field in layout.fields])
    if layout.tail == "data":
        data: bytes = packet.data
        return fixed + _COUNT.pack(len(data)) + data
    if layout.tail in ("table", "arguments", "strings"):
        return fixed + _encode_strings(getattr(packet, layout.tail))
    return fixed


def _encode_strings(strings: tuple[str, ...]) -> bytes:
    if len(strings) > MAX_STRINGS:
        raise PacketError(f"more than {MAX_STRINGS} strings")
    parts = [_COUNT.pack(len(strings))]
    for text in strings:
        encoded = text.encode()
        if b"\0" in encoded:
            raise PacketError("a string contains NUL")
        parts += (_COUNT.pack(len(encoded)), encoded)
    return b"".join(parts)


class Decoder:
    """Turns what one end sends into packets; one decoder a connection and direction."""

    def __init__(self, expected: Iterable[type[Packet]]) -> None:
        """`expected`: PROCESS_PACKETS in the SCM, SCM_PACKETS in a service process."""
        layouts = [_BY_PACKET[packet] for packet in expected]
        self._layouts = {layout.kind: layout for layout in layouts}
        self._fragments: list[bytes] = []
        self._length = 0
        self._kind = 0

    def feed(self, data: bytes) -> Packet | None:
        """The packet that one received datagram completes; None when fragments are missing.

        PacketError: the connection is to be closed, the decoder is of no further use.
        """
        if not _HEADER.size <= len(data) <= MAX_PACKET:
            raise PacketError(f"a packet of {len(data)} bytes")
        kind, flags, reserved = _HEADER.unpack_from(data)
        layout = self._layouts.get(kind)
        if layout is None:
            raise PacketError(f"unknown packet {kind}")
        if flags & ~_MORE or reserved:
            raise PacketError(f"unknown flags {flags:#x}, {reserved:#x}")
        if self._fragments and kind != self._kind:
            raise PacketError(f"packet {kind} between the fragments of {self._kind}")
        body = data[_HEADER.size :]
        if not flags and not self._fragments:
            return _decode_body(body, layout)
        return self._collect(kind, body, layout, last=not flags)

    def _collect(self, kind: int, body: bytes, layout: _Layout, *, last: bool) -> Packet | None:
        # An empty fragment would let a peer grow the list without growing the length.
        if not body:
            raise PacketError("an empty fragment")
        self._kind = kind
        self._fragments.append(body)
        self._length += len(body)
        if self._length > MAX_MESSAGE:
            raise PacketError(f"a message longer than {MAX_MESSAGE} bytes")
        if not last:
            return None
        whole = b"".join(self._fragments)
        self._fragments = []
        self._length = 0
        return _decode_body(whole, layout)


def _decode_body(body: bytes, layout: _Layout) -> Packet:
    fixed = layout.fixed
    if len(body) < fixed.size:
        raise PacketError(f"{layout.packet.__name__} is cut short")
    numbers = fixed.unpack_from(body)
    values: dict[str, Any] = dict(zip(layout.fields, numbers, strict=False))
    end = fixed.size
    if layout.tail == "status":
        report = dict(zip(_STATUS_FIELDS, numbers[len(layout.fields) :], strict=True))
        values["status"] = ServiceStatus(**report)
    elif layout.tail == "data":
        values["data"], end = _decode_bytes(body, end)
    elif layout.tail:
        values[layout.tail], end = _decode_strings(body, end)
    if end != len(body):
        raise PacketError(f"{layout.packet.__name__} has {len(body) - end} bytes too many")
    return layout.packet(**values)


def _decode_bytes(body: bytes, position: int) -> tuple[bytes, int]:
    if position + _COUNT.size > len(body):
        raise PacketError("a length is cut short")
    (length,) = _COUNT.unpack_from(body, position)
    start = position + _COUNT.size
    if length > len(body) - start:
        raise PacketError(f"{length} bytes announced, {len(body) - start} there")
    return body[start : start + length], start + length


def _decode_strings(body: bytes, position: int) -> tuple[tuple[str, ...], int]:
    if position + _COUNT.size > len(body):
        raise PacketError("a count is cut short")
    (count,) = _COUNT.unpack_from(body, position)
    position += _COUNT.size
    if count > MAX_STRINGS:
        raise PacketError(f"{count} strings")
    strings = []
    for _ in range(count):
        encoded, position = _decode_bytes(body, position)
        if b"\0" in encoded:
            raise PacketError("a string contains NUL")
        try:
            strings.append(encoded.decode())
        except UnicodeDecodeError as error:
            raise PacketError("a string is not UTF-8") from error
    return tuple(strings), position
