"""SPNEGO's two tokens as bytes ([RFC 4178] 4.2, [MS-SPNG] 2.2)."""

from __future__ import annotations

from scmd.rpc.security import der
from scmd.rpc.security.provider import SecurityError
from scmd.vocabulary.value import Value

SPNEGO_OID = bytes.fromhex("2b0601050502")
NTLM_OID = bytes.fromhex("2b06010401823702020a")
KERBEROS_OID = bytes.fromhex("2a864886f712010202")
MS_KERBEROS_OID = bytes.fromhex("2a864882f712010202")
"""Windows 2000's mistake; clients still offer it first."""

ACCEPT_COMPLETED = 0
ACCEPT_INCOMPLETE = 1
REJECT = 2
REQUEST_MIC = 3
MAX_MECHANISMS = 32


class InitToken(Value):
    """NegTokenInit: what the client can do, in the order of its liking."""

    mechanisms: tuple[bytes, ...]
    """Object identifiers, their contents."""
    mechanism_list: bytes
    """The list as it was sent, which is what a MIC is made of."""
    token: bytes | None
    """For the first mechanism, in good hope."""
    mic: bytes | None = None


class ResponseToken(Value):
    """NegTokenResp, of either end."""

    state: int | None = None
    mechanism: bytes | None = None
    token: bytes | None = None
    mic: bytes | None = None


def encode_mechanisms(mechanisms: tuple[bytes, ...]) -> bytes:
    return der.encode(der.SEQUENCE, *(der.encode(der.OID, oid) for oid in mechanisms))


def encode_init(token: InitToken) -> bytes:
    fields = [der.encode(der.context(0), token.mechanism_list)]
    if token.token is not None:
        fields.append(_octets(2, token.token))
    return der.encode(
        der.APPLICATION_0,
        der.encode(der.OID, SPNEGO_OID),
        der.encode(der.context(0), der.encode(der.SEQUENCE, *fields)),
    )


def decode_init(data: bytes) -> InitToken:
    """SecurityError: it is none, or names no mechanism."""
    framed = der.Reader(der.Reader(data).take(der.APPLICATION_0))
    if framed.take(der.OID) != SPNEGO_OID:
        raise SecurityError("a token of another mechanism than SPNEGO")
    choice = der.Reader(framed.take(der.context(0)))
    fields = der.Reader(choice.take(der.SEQUENCE))
    mechanism_list = fields.take(der.context(0))
    listed = der.Reader(der.Reader(mechanism_list).take(der.SEQUENCE))
    mechanisms = []
    while listed.tag is not None:
        mechanisms.append(listed.take(der.OID))
        if len(mechanisms) > MAX_MECHANISMS:
            raise SecurityError("SPNEGO: too many mechanisms")
    if not mechanisms:
        raise SecurityError("SPNEGO: no mechanism is named")
    if fields.tag == der.context(1):
        fields.skip()
    return InitToken(
        mechanisms=tuple(mechanisms),
        mechanism_list=mechanism_list,
        token=_octets_if(fields, 2),
        mic=_octets_if(fields, 3),
    )


def encode_response(token: ResponseToken) -> bytes:
    fields = []
    if token.state is not None:
        state = der.encode(der.ENUMERATED, bytes((token.state,)))
        fields.append(der.encode(der.context(0), state))
    if token.mechanism is not None:
        fields.append(der.encode(der.context(1), der.encode(der.OID, token.mechanism)))
    if token.token is not None:
        fields.append(_octets(2, token.token))
    if token.mic is not None:
        fields.append(_octets(3, token.mic))
    return der.encode(der.context(1), der.encode(der.SEQUENCE, *fields))


def decode_response(data: bytes) -> ResponseToken:
    """SecurityError: it is none."""
    fields = der.Reader(der.Reader(der.Reader(data).take(der.context(1))).take(der.SEQUENCE))
    state = mechanism = None
    if (content := fields.take_if(der.context(0))) is not None:
        number = der.Reader(content).take(der.ENUMERATED)
        if len(number) != 1 or number[0] > REQUEST_MIC:
            raise SecurityError("SPNEGO: a state that there is not")
        state = number[0]
    if (content := fields.take_if(der.context(1))) is not None:
        mechanism = der.Reader(content).take(der.OID)
    token, mic = _octets_if(fields, 2), _octets_if(fields, 3)
    return ResponseToken(state=state, mechanism=mechanism, token=token, mic=mic)


def _octets(number: int, value: bytes) -> bytes:
    return der.encode(der.context(number), der.encode(der.OCTET_STRING, value))


def _octets_if(fields: der.Reader, number: int) -> bytes | None:
    content = fields.take_if(der.context(number))
    return None if content is None else der.Reader(content).take(der.OCTET_STRING)
