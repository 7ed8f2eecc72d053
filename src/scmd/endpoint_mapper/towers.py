"""Towers: an interface and where it is served, as floors of bytes ([C706] appendices I and L).

Floors are unaligned and little endian whatever the PDU's byte order; ports and addresses are big
endian. Decoding raises `TowerError` and nothing else, whatever the bytes are.
"""

from __future__ import annotations

from struct import Struct as Packer
from struct import error as StructError

from scmd.ndr.values import Guid
from scmd.rpc.binds import NDR_SYNTAX
from scmd.vocabulary.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.rpc.interface import Interface

MAX_TOWER_BYTES = 2000
MAX_FLOORS = 6

UUID_FLOOR = 0x0D
CONNECTION_FLOOR = 0x0B
"""Connection-oriented RPC."""
TCP_FLOOR = 0x07
IP_FLOOR = 0x09
PIPE_FLOOR = 0x0F
HOST_FLOOR = 0x11

_COUNT = Packer("<H")
_UUID_LHS = Packer("<B16sH")


class TowerError(ValueError):
    """Bytes that are no tower."""


class Tower(Value):
    """An interface in a transfer syntax at a protocol sequence's address.

    `port` and `address` (four bytes) are ncacn_ip_tcp's, `pipe` and `host` ncacn_np's.
    """

    uuid: Guid
    major: int
    minor: int = 0
    syntax: Guid = NDR_SYNTAX.uuid
    syntax_major: int = NDR_SYNTAX.version & 0xFFFF
    port: int | None = None
    address: bytes = bytes(4)
    pipe: str | None = None
    host: str = ""


def tower_of(interface: Interface, *, port: int, address: bytes = bytes(4)) -> Tower:
    """Where an interface is served by TCP."""
    return Tower(
        uuid=interface.uuid,
        major=interface.major,
        minor=interface.minor,
        port=port,
        address=address,
    )


def encode_tower(tower: Tower) -> bytes:
    """Its five floors."""
    floors = [
        (_UUID_LHS.pack(UUID_FLOOR, tower.uuid, tower.major), _COUNT.pack(tower.minor)),
        (_UUID_LHS.pack(UUID_FLOOR, tower.syntax, tower.syntax_major), _COUNT.pack(0)),
        (bytes([CONNECTION_FLOOR]), _COUNT.pack(0)),
    ]
    if tower.pipe is None:
        floors.append((bytes([TCP_FLOOR]), (tower.port or 0).to_bytes(2, "big")))
        floors.append((bytes([IP_FLOOR]), tower.address))
    else:
        floors.append((bytes([PIPE_FLOOR]), tower.pipe.encode() + b"\0"))
        floors.append((bytes([HOST_FLOOR]), tower.host.encode() + b"\0"))
    parts = [_COUNT.pack(len(floors))]
    for left, right in floors:
        parts += (_COUNT.pack(len(left)), left, _COUNT.pack(len(right)), right)
    return b"".join(parts)


def decode_tower(data: bytes) -> Tower:
    """The tower in these bytes; TowerError for another protocol sequence too."""
    floors = _floors(data)
    if len(floors) < 5:
        raise TowerError(f"{len(floors)} floors, 5 are needed")
    uuid, major, minor = _uuid_floor(floors[0])
    syntax, syntax_major, _ = _uuid_floor(floors[1])
    if floors[2][0] != bytes([CONNECTION_FLOOR]):
        raise TowerError("not connection-oriented RPC")
    tower = Tower(uuid=uuid, major=major, minor=minor, syntax=syntax, syntax_major=syntax_major)
    (protocol, place), (_, host) = floors[3:5]
    if protocol == bytes([TCP_FLOOR]) and len(place) == 2:
        address = host if len(host) == 4 else bytes(4)
        return tower.replace(port=int.from_bytes(place, "big"), address=address)
    if protocol == bytes([PIPE_FLOOR]):
        return tower.replace(pipe=_text(place), host=_text(host))
    raise TowerError(f"a protocol sequence that is not spoken: {protocol.hex()}")


def _floors(data: bytes) -> list[tuple[bytes, bytes]]:
    if len(data) > MAX_TOWER_BYTES:
        raise TowerError(f"a tower of {len(data)} bytes")
    try:
        (count,) = _COUNT.unpack_from(data)
        if count > MAX_FLOORS:
            raise TowerError(f"{count} floors, at most {MAX_FLOORS} are allowed")
        position = 2
        floors = []
        for _ in range(count):
            left, position = _counted(data, position)
            right, position = _counted(data, position)
            floors.append((left, right))
    except StructError as error:
        raise TowerError("the tower ends too early") from error
    return floors


def _counted(data: bytes, position: int) -> tuple[bytes, int]:
    (size,) = _COUNT.unpack_from(data, position)
    end = position + 2 + size
    if end > len(data):
        raise TowerError("a floor runs past the end")
    return data[position + 2 : end], end


def _uuid_floor(floor: tuple[bytes, bytes]) -> tuple[Guid, int, int]:
    left, right = floor
    if len(left) != _UUID_LHS.size or left[0] != UUID_FLOOR or len(right) != 2:
        raise TowerError("the first two floors are not an interface and a syntax")
    _, uuid, major = _UUID_LHS.unpack(left)
    return Guid(uuid), major, int.from_bytes(right, "little")


def _text(raw: bytes) -> str:
    return raw.rstrip(b"\0").decode("ascii", "replace")
