"""What smbd says when it hands a named pipe over: who opened it, from where, with which SIDs.

smbd connects to a unix socket, sends one request, awaits one reply, and relays the pipe. The
request is Samba's own and private to it: a length, the magic `NPAM`, a level, and for that level a
structure in NDR whose alignment counts from the first byte. Levels 7 (Samba 4.17) and 8 (4.20 and
later) are understood; anything else is refused, and smbd then refuses to open the pipe.

Decoding raises `PipeAuthError` and nothing else; no count is believed beyond the bytes there are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from struct import Struct as Packer
from struct import error as StructError

from scmd.security.sid import SidError, sid_from_bytes, sid_size

MAX_REQUEST_BYTES = 256 * 1024
LEVELS = (7, 8)
ACCESS_DENIED = 0xC000_0022
"""NTSTATUS: the pipe is not for this user."""
_MAGIC = b"NPAM"
_NAMED_PIPE = 1
_MAX_SIDS = 4096
_MAX_TEXT = 4096
_U8, _U16, _U32, _U64 = Packer("<B"), Packer("<H"), Packer("<I"), Packer("<Q")
_COUNTS = Packer("<III")
_HEADER = Packer("<4sII")
# Length (big endian), magic; level twice, file type, device state, allocation size, status.
_REPLY = Packer(">I4s")
_REPLY_BODY = Packer("<IIHHIQI")


class PipeAuthError(Exception):
    """Not a request of a level that is understood: close the connection."""


@dataclass(frozen=True, slots=True)
class PipePeer:
    """Who is at the other end of the pipe, as smbd has authenticated him."""

    level: int
    account: str
    domain: str
    sids: tuple[str, ...]
    """The user's own first."""
    uid: int | None
    """None where Samba's claims stand before it, which are not understood."""
    gids: tuple[int, ...]
    address: str
    port: int
    is_guest: bool
    session_key: bytes = field(repr=False)
    """The SMB session's, which encrypts passwords in svcctl's calls."""


def request_size(data: bytes | bytearray) -> int | None:
    """How many bytes the request has that begins so; None: not enough has come to say."""
    if len(data) < 4:
        return None
    size = 4 + int.from_bytes(data[:4], "big")
    if size > MAX_REQUEST_BYTES:
        raise PipeAuthError(f"a request of {size} bytes")
    return size


def encode_reply(level: int, status: int = 0) -> bytes:
    """The answer to a request of this level; `status` is an NTSTATUS, 0 opens the pipe."""
    body = _REPLY_BODY.pack(level, level, 2, 0x05FF, 0, 4096, status)
    return _REPLY.pack(len(_MAGIC) + len(body), _MAGIC) + body


def decode_request(data: bytes) -> PipePeer:
    """The peer a whole request speaks of."""
    try:
        return _Request(data).peer()
    except (StructError, SidError, UnicodeDecodeError) as error:
        raise PipeAuthError(f"the request is malformed: {error}") from error


class _Request:
    """A request being read; the position is the alignment's too."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 4
        magic, level, again = _HEADER.unpack_from(data, self._at)
        self._at += _HEADER.size
        if magic != _MAGIC or level != again or level not in LEVELS:
            raise PipeAuthError(f"level {level} of named-pipe-auth is not understood")
        self._level = int(level)

    def peer(self) -> PipePeer:
        address, port = self._transport()
        present, session_key = self._session()
        has_token, has_unix, has_info = present
        if not has_token or not has_info:
            raise PipeAuthError("a session without a token or a user")
        sids, has_claims = self._token()
        uid: int | None = None
        gids: tuple[int, ...] = ()
        account = domain = ""
        is_guest = False
        if not has_claims:
            if has_unix:
                uid, gids = self._unix_token()
            account, domain, is_guest = self._user()
        return PipePeer(
            self._level,
            account,
            domain,
            sids,
            uid,
            gids,
            address,
            port,
            is_guest,
            session_key,
        )

    def _transport(self) -> tuple[str, int]:
        if self._read(_U8, 1) != _NAMED_PIPE:
            raise PipeAuthError("not a named pipe")
        has_name, has_address = self._pointer(), self._pointer()
        port = self._read(_U16, 2)
        has_server, has_server_address = self._pointer(), self._pointer()
        self._read(_U16, 2)
        if not self._pointer():
            raise PipeAuthError("no session")
        self._text(has_name)
        address = self._text(has_address)
        self._text(has_server)
        self._text(has_server_address)
        return address, port

    def _session(self) -> tuple[tuple[bool, bool, bool], bytes]:
        """Which of token, Unix token and user follow, and the session key."""
        if not self._pointer():
            raise PipeAuthError("no session")
        self._blob()  # Exported GSSAPI credentials.
        has_token, has_unix, has_info = self._pointer(), self._pointer(), self._pointer()
        self._pointer()  # The Unix name, which is read from nowhere.
        if self._pointer():
            raise PipeAuthError("a part that only Samba's own tests have")
        session_key = self._blob()
        if self._pointer():
            raise PipeAuthError("credentials that cannot travel")
        self._align(4)
        self._take(16)  # A number of the session's.
        self._read(_U16, 2)  # The Kerberos ticket's kind.
        return (has_token, has_unix, has_info), session_key

    def _token(self) -> tuple[tuple[str, ...], bool]:
        """The SIDs, and whether claims follow, behind which nothing can be found."""
        self._align(8)  # As the privileges in it demand.
        size, count = self._read(_U32, 4), self._read(_U32, 4)
        if size != count or not 0 < count <= _MAX_SIDS or count * 8 > len(self._data) - self._at:
            raise PipeAuthError(f"{count} SIDs")
        sids = []
        for _ in range(count):
            self._align(4)
            sid = sid_from_bytes(self._data, self._at)
            self._at += sid_size(sid)
            sids.append(sid)
        self._read(_U64, 8)  # Privileges: ours are by the groups.
        self._read(_U32, 4)  # Rights.
        has_claims = False
        if self._level >= 8:
            counts = [self._read(_U32, 4) for _ in range(4)]
            has_claims = any(counts)
            if not has_claims and any(self._read(_U32, 4) for _ in range(4)):
                raise PipeAuthError("claims that were not counted")
            if not has_claims:
                self._read(_U16, 2)
        return tuple(sids), has_claims

    def _unix_token(self) -> tuple[int, tuple[int, ...]]:
        size = self._read(_U32, 4)
        uid, gid = self._read(_U64, 8), self._read(_U64, 8)
        count = self._read(_U32, 4)
        if size != count or count * 8 > len(self._data) - self._at:
            raise PipeAuthError(f"{count} groups")
        groups = [self._read(_U64, 8) for _ in range(count)]
        if max(uid, gid, *groups) >= 2**32:
            raise PipeAuthError("a user or group number of more than 32 bits")
        return uid, tuple(dict.fromkeys((gid, *groups)))

    def _user(self) -> tuple[str, str, bool]:
        """Account, domain, and whether it is the guest."""
        has_account, has_principal = self._pointer(), self._pointer()
        self._read(_U8, 1)
        has_domain = self._pointer()
        others = [self._pointer() for _ in range(7)]
        self._align(4)
        self._take(6 * 8)  # Times.
        self._read(_U16, 2)
        self._read(_U16, 2)
        self._read(_U32, 4)  # The account's flags.
        # A byte "authenticated" in level 7, a word of flags since.
        is_guest = not self._read(_U8, 1) if self._level == 7 else bool(self._read(_U32, 4) & 1)
        account = self._text(has_account)
        self._text(has_principal)
        domain = self._text(has_domain)
        for other in others:
            self._text(other)
        return account, domain, is_guest

    def _align(self, alignment: int) -> None:
        self._at = (self._at + alignment - 1) & -alignment

    def _read(self, packer: Packer, alignment: int) -> int:
        self._align(alignment)
        (value,) = packer.unpack_from(self._data, self._at)
        self._at += packer.size
        return int(value)

    def _pointer(self) -> bool:
        return bool(self._read(_U32, 4))

    def _take(self, size: int) -> bytes:
        end = self._at + size
        if end > len(self._data):
            raise PipeAuthError("the request ends too early")
        taken = self._data[self._at : end]
        self._at = end
        return taken

    def _blob(self) -> bytes:
        return self._take(self._read(_U32, 4))

    def _text(self, is_there: bool) -> str:
        """A conformant varying string of bytes that ends with a NUL; "" behind a NULL pointer."""
        if not is_there:
            return ""
        self._align(4)
        size, offset, count = _COUNTS.unpack_from(self._data, self._at)
        self._at += _COUNTS.size
        if offset or not 0 < count <= size or count > _MAX_TEXT:
            raise PipeAuthError(f"string counts {size}, {offset}, {count}")
        return self._take(count).rstrip(b"\0").decode()
