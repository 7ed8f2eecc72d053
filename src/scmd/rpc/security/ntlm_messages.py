"""NTLM's three messages as bytes ([MS-NLMP] 2.2). What they prove is `ntlm_acceptor`'s to say.

Only what this implementation speaks is decoded: Unicode, NTLMv2, extended session security. A
field that points outside its message, or a list without its end, is a `SecurityError`.
"""

from __future__ import annotations

from struct import Struct as Packer

from scmd.rpc.security.provider import SecurityError
from scmd.vocabulary.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

SIGNATURE = b"NTLMSSP\0"
NEGOTIATE = 1
CHALLENGE = 2
AUTHENTICATE = 3

# NegotiateFlags, 2.2.2.5.
UNICODE = 0x0000_0001
REQUEST_TARGET = 0x0000_0004
SIGN = 0x0000_0010
SEAL = 0x0000_0020
NTLM = 0x0000_0200
ANONYMOUS = 0x0000_0800
ALWAYS_SIGN = 0x0000_8000
TARGET_TYPE_SERVER = 0x0002_0000
EXTENDED_SESSION_SECURITY = 0x0008_0000
TARGET_INFO = 0x0080_0000
VERSION = 0x0200_0000
KEY_128 = 0x2000_0000
KEY_EXCHANGE = 0x4000_0000
KEY_56 = 0x8000_0000

# AvId, 2.2.2.1.
AV_EOL = 0
AV_NETBIOS_COMPUTER = 1
AV_NETBIOS_DOMAIN = 2
AV_DNS_COMPUTER = 3
AV_DNS_DOMAIN = 4
AV_FLAGS = 6
AV_TIMESTAMP = 7
AV_TARGET_NAME = 9
AV_FLAG_MIC = 0x0000_0002
"""The client has put a MIC into its third message."""

MIC_AT = 72
MIC_SIZE = 16
MAX_MESSAGE = 16 * 1024
MAX_AV_PAIRS = 64

_FILETIME_EPOCH = -11_644_473_600
"""1601 in seconds since 1970."""
_VERSION = bytes((6, 1, 0, 0, 0, 0, 0, 15))
"""A version of the protocol, 15, and of a system that is nobody's concern (2.2.2.10)."""
_FIELD = Packer("<HHI")
_NEGOTIATE_HEAD = Packer("<8sII")
_CHALLENGE_HEAD = Packer("<8sI8sI8s8x8s8s")
_AUTHENTICATE_HEAD = Packer("<8sI8s8s8s8s8s8sI8s16s")


def filetime(seconds: float) -> int:
    """A time in seconds since 1970 as a FILETIME: 100 ns since 1601."""
    return int((seconds - _FILETIME_EPOCH) * 10_000_000)


class Challenge(Value):
    """CHALLENGE_MESSAGE."""

    flags: int
    server_challenge: bytes
    target_name: str = ""
    target_info: bytes


class Authenticate(Value):
    """AUTHENTICATE_MESSAGE. `mic` is None where the message has no room for one."""

    flags: int
    lm_response: bytes
    nt_response: bytes
    domain: str
    user: str
    workstation: str
    encrypted_key: bytes
    mic: bytes | None

    def __repr__(self) -> str:
        return f"<Authenticate {self.domain}\\{self.user} from {self.workstation!r}>"


class ClientChallenge(Value):
    """NTLMv2_CLIENT_CHALLENGE: what follows the proof in the response (2.2.2.7)."""

    timestamp: int
    challenge: bytes
    pairs: Mapping[int, bytes]


def encode_negotiate(flags: int) -> bytes:
    """NEGOTIATE_MESSAGE, without names."""
    return _NEGOTIATE_HEAD.pack(SIGNATURE, NEGOTIATE, flags) + bytes(16) + _VERSION


def decode_negotiate(message: bytes) -> int:
    """The flags; the names are of no interest."""
    _check_head(message, NEGOTIATE, _NEGOTIATE_HEAD.size)
    flags: int = _NEGOTIATE_HEAD.unpack_from(message)[2]
    return flags


def encode_challenge(challenge: Challenge) -> bytes:
    name = challenge.target_name.encode("utf-16-le")
    at = _CHALLENGE_HEAD.size
    head = _CHALLENGE_HEAD.pack(
        SIGNATURE,
        CHALLENGE,
        _FIELD.pack(len(name), len(name), at),
        challenge.flags,
        challenge.server_challenge,
        _FIELD.pack(len(challenge.target_info), len(challenge.target_info), at + len(name)),
        _VERSION,
    )
    return head + name + challenge.target_info


def decode_challenge(message: bytes) -> Challenge:
    _check_head(message, CHALLENGE, _CHALLENGE_HEAD.size - 8)
    padded = message if len(message) >= _CHALLENGE_HEAD.size else message + bytes(8)
    _, _, name, flags, challenge, info, _ = _CHALLENGE_HEAD.unpack_from(padded)
    if not flags & TARGET_INFO:
        raise SecurityError("the server sends no target information: it speaks no NTLMv2")
    return Challenge(
        flags=flags,
        server_challenge=challenge,
        target_name=_text(_payload(message, name)),
        target_info=_payload(message, info),
    )


def encode_authenticate(message: Authenticate) -> bytes:
    """With room for a MIC, and the MIC if there is one."""
    texts = [
        text.encode("utf-16-le") for text in (message.domain, message.user, message.workstation)
    ]
    values = [message.lm_response, message.nt_response, *texts, message.encrypted_key]
    fields, at = [], _AUTHENTICATE_HEAD.size
    for value in values:
        fields.append(_FIELD.pack(len(value), len(value), at))
        at += len(value)
    head = _AUTHENTICATE_HEAD.pack(
        SIGNATURE,
        AUTHENTICATE,
        *fields,
        message.flags,
        _VERSION,
        message.mic or bytes(MIC_SIZE),
    )
    return head + b"".join(values)


def decode_authenticate(message: bytes) -> Authenticate:
    _check_head(message, AUTHENTICATE, 64)
    padded = message + bytes(max(0, _AUTHENTICATE_HEAD.size - len(message)))
    _, _, *fields, flags, _, mic = _AUTHENTICATE_HEAD.unpack_from(padded)
    used = [_FIELD.unpack(field) for field in fields]
    starts = [offset for length, _, offset in used if length]
    has_mic = all(start >= _AUTHENTICATE_HEAD.size for start in starts)
    lm, nt, domain, user, workstation, key = (_payload(message, field) for field in fields)
    if not flags & UNICODE:
        raise SecurityError("the client does not speak Unicode")
    return Authenticate(
        flags=flags,
        lm_response=lm,
        nt_response=nt,
        domain=_text(domain),
        user=_text(user),
        workstation=_text(workstation),
        encrypted_key=key,
        mic=mic if has_mic and len(message) >= _AUTHENTICATE_HEAD.size else None,
    )


def encode_client_challenge(challenge: ClientChallenge) -> bytes:
    """The `temp` of 3.3.2."""
    head = b"\1\1" + bytes(6) + challenge.timestamp.to_bytes(8, "little")
    return head + challenge.challenge + bytes(4) + encode_pairs(challenge.pairs) + bytes(4)


def decode_client_challenge(data: bytes) -> ClientChallenge:
    if len(data) < 28 or data[:2] != b"\1\1":
        raise SecurityError("the response is none of NTLMv2")
    return ClientChallenge(
        timestamp=int.from_bytes(data[8:16], "little"),
        challenge=data[16:24],
        pairs=decode_pairs(data[28:]),
    )


def encode_pairs(pairs: Mapping[int, bytes]) -> bytes:
    """AV_PAIRs, and the one that ends them."""
    parts = [
        number.to_bytes(2, "little") + len(value).to_bytes(2, "little") + value
        for number, value in pairs.items()
    ]
    return b"".join((*parts, bytes(4)))


def decode_pairs(data: bytes) -> dict[int, bytes]:
    """AV_PAIRs up to their end; of one that is there twice the first counts."""
    pairs: dict[int, bytes] = {}
    position = 0
    for _ in range(MAX_AV_PAIRS):
        number = int.from_bytes(data[position : position + 2], "little")
        end = position + 4 + int.from_bytes(data[position + 2 : position + 4], "little")
        if end > len(data):
            break
        if number == AV_EOL:
            return pairs
        pairs.setdefault(number, data[position + 4 : end])
        position = end
    raise SecurityError("the target information has no end")


def _check_head(message: bytes, kind: int, size: int) -> None:
    if len(message) > MAX_MESSAGE:
        raise SecurityError(f"an NTLM message of {len(message)} bytes")
    if len(message) < size or message[:8] != SIGNATURE:
        raise SecurityError("no NTLM message")
    found = int.from_bytes(message[8:12], "little")
    if found != kind:
        raise SecurityError(f"NTLM message {found} where {kind} was expected")


def _payload(message: bytes, field: bytes) -> bytes:
    length, _, offset = _FIELD.unpack(field)
    if offset + length > len(message):
        raise SecurityError("a field of an NTLM message points outside it")
    return message[offset : offset + length]


def _text(value: bytes) -> str:
    try:
        return value.decode("utf-16-le")
    except UnicodeDecodeError as error:
        raise SecurityError("a name that is no UTF-16") from error
