"""Kerberos as a mechanism of DCE/RPC ([MS-KILE] 3.4, [RFC 4121]), both halves.

In DCE style: three tokens, AP-REQ, AP-REP and an AP-REP back. The server's key is in a keytab, the
client's ticket in a cache; both are the Kerberos library's to read, which is why this is no pure
layer. An account is its principal: what rights it has here is told by name, not by a PAC.
"""

from __future__ import annotations

import weakref
from ctypes import byref, c_int, c_uint32, c_void_p

from scmd.rpc.security import der
from scmd.rpc.security.provider import Identity, SecurityError
from scmd.rpc.security.spnego_tokens import KERBEROS_OID
from scmd.transport import gssapi
from scmd.transport.gssapi import Buffer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DEMANDED = gssapi.MUTUAL | gssapi.REPLAY | gssapi.SEQUENCE | gssapi.DCE_STYLE
"""What a client must have asked for: without it repetitions and gaps would go unnoticed."""
ASKED = DEMANDED | gssapi.CONFIDENTIALITY | gssapi.INTEGRITY
_FRAME = der.encode(der.OID, KERBEROS_OID) + b"\x01\x00"
"""What stands before an AP-REQ in the frame of [RFC 2743] 3.1: mechanism, kind of token."""


class _Kerberos:
    """What both halves are once they are done."""

    covers_headers = False

    def __init__(self, credentials: c_void_p) -> None:
        self._credentials = credentials
        self._context = c_void_p()
        self._is_done = False
        self._sizes: dict[bool, int] = {}
        weakref.finalize(self, _release, self._context, credentials)

    def is_done(self) -> bool:
        return self._is_done

    @property
    def session_key(self) -> bytes:
        return gssapi.session_key(self._context)

    def signature_size(self, sealing: bool) -> int:
        size = self._sizes.get(sealing)
        if size is None:
            size = self._sizes[sealing] = self._measured(sealing)
        return size

    def sign(self, head: bytes, body: bytes, tail: bytes) -> bytes:
        return self.list_mic(b"".join((head, body, tail)))

    def verify(self, head: bytes, body: bytes, tail: bytes, signature: bytes) -> None:
        self.check_list_mic(b"".join((head, body, tail)), signature)

    def seal(self, head: bytes, body: bytes, tail: bytes) -> tuple[bytes, bytes]:
        array, memory = _covered(head, body, tail, self.signature_size(True))
        state = c_int()
        gssapi.call(
            "gss_wrap_iov",
            self._context,
            c_int(1),
            c_uint32(0),
            byref(state),
            array,
            c_int(len(array)),
        )
        return memory[-2 if tail else -1].raw, memory[0].raw[: array[0].buffer.length]

    def unseal(self, head: bytes, body: bytes, tail: bytes, signature: bytes) -> bytes:
        array, memory = _covered(head, body, tail, signature)
        state, quality = c_int(), c_uint32()
        gssapi.call(
            "gss_unwrap_iov",
            self._context,
            byref(state),
            byref(quality),
            array,
            c_int(len(array)),
        )
        if not state.value:
            raise SecurityError("Kerberos: a body that was not encrypted")
        plain: bytes = memory[-2 if tail else -1].raw
        return plain

    def list_mic(self, data: bytes) -> bytes:
        mic = Buffer()
        message = gssapi.given(data)
        gssapi.call("gss_get_mic", self._context, c_uint32(0), byref(message), byref(mic))
        return gssapi.taken(mic)

    def check_list_mic(self, data: bytes, mic: bytes) -> None:
        message, token = gssapi.given(data), gssapi.given(mic)
        gssapi.call("gss_verify_mic", self._context, byref(message), byref(token), None)

    def _measured(self, sealing: bool) -> int:
        """A signature's size; the body's does not matter, being whole blocks."""
        if not sealing:
            array, _ = gssapi.pieces((gssapi.DATA, bytes(16)), (gssapi.MIC_TOKEN, 0))
            gssapi.call(
                "gss_get_mic_iov_length", self._context, c_uint32(0), array, c_int(len(array))
            )
            return int(array[1].buffer.length)
        array, _ = _covered(b"", bytes(16), b"", 0)
        state = c_int()
        gssapi.call(
            "gss_wrap_iov_length",
            self._context,
            c_int(1),
            c_uint32(0),
            byref(state),
            array,
            c_int(len(array)),
        )
        return int(array[0].buffer.length)

    def _settle(self, major: int, flags: int) -> None:
        if major & gssapi.CONTINUE_NEEDED:
            return
        if flags & DEMANDED != DEMANDED:
            raise SecurityError("Kerberos: the other end does without mutual proof or sequence")
        self._is_done = True


class KerberosAcceptor(_Kerberos):
    """The server's half. `keytab`: a file; "" is the machine's own."""

    def __init__(self, keytab: str = "") -> None:
        store = {b"keytab": keytab.encode()} if keytab else {}
        super().__init__(gssapi.credentials(gssapi.ACCEPT, store))
        self._identity: Identity | None = None

    @property
    def identity(self) -> Identity:
        assert self._identity is not None, "nobody is known yet"
        return self._identity

    def step(self, token: bytes) -> bytes | None:
        if self._is_done:
            raise SecurityError("Kerberos: a token after the last one")
        answer, flags = Buffer(), c_uint32()
        message = gssapi.given(token if self._context.value else _unframed(token))
        major = gssapi.call(
            "gss_accept_sec_context",
            byref(self._context),
            self._credentials,
            byref(message),
            None,
            None,
            None,
            byref(answer),
            byref(flags),
            None,
            None,
        )
        sent = gssapi.taken(answer)
        self._settle(major, flags.value)
        if self.is_done():
            self._identity = self._known()
        return sent or None

    def _known(self) -> Identity:
        """SecurityError: another realm's, whose ann is not the one that was added here."""
        client, service = gssapi.names(self._context)
        user, _, realm = client.rpartition("@")
        own = service.rpartition("@")[2]
        if realm != own:
            raise SecurityError(f"Kerberos: {client} is not of the realm {own}")
        return Identity(user=user, domain=realm, mechanism="Kerberos")


class KerberosInitiator(_Kerberos):
    """The client's half. `service` is `host@machine`, `cache` a ticket cache; "": the default."""

    def __init__(self, service: str, cache: str = "") -> None:
        store = {b"ccache": cache.encode()} if cache else {}
        super().__init__(gssapi.credentials(gssapi.INITIATE, store))
        self._target = gssapi.service_name(service)
        weakref.finalize(self, _release_name, self._target)

    def step(self, token: bytes) -> bytes | None:
        if self._is_done:
            raise SecurityError("Kerberos: a token after the last one")
        answer, flags = Buffer(), c_uint32()
        message = gssapi.given(token)
        major = gssapi.call(
            "gss_init_sec_context",
            self._credentials,
            byref(self._context),
            self._target,
            byref(gssapi.KERBEROS),
            c_uint32(ASKED),
            c_uint32(0),
            None,
            byref(message) if token else None,
            None,
            byref(answer),
            byref(flags),
            None,
        )
        sent = gssapi.taken(answer)
        self._settle(major, flags.value)
        return sent or None


def _unframed(token: bytes) -> bytes:
    """The AP-REQ itself: in DCE style clients may frame it, as impacket does, or not.

    MIT's library believes that only others do. SecurityError.
    """
    if token[:1] == bytes((der.APPLICATION_0,)):
        content = der.Reader(token).take(der.APPLICATION_0)
        if content.startswith(_FRAME):
            return content[len(_FRAME) :]
    return token


def _covered(head: bytes, body: bytes, tail: bytes, token: bytes | int) -> tuple[Any, list[Any]]:
    """The pieces of a PDU: token, what is signed only, what is encrypted, what is signed only."""
    parts: list[tuple[int, bytes | int]] = [(gssapi.HEADER, token)]
    if head:
        parts.append((gssapi.SIGN_ONLY, head))
    parts.append((gssapi.DATA, body))
    if tail:
        parts.append((gssapi.SIGN_ONLY, tail))
    return gssapi.pieces(*parts)


def _release(context: c_void_p, credentials: c_void_p) -> None:
    minor = c_uint32()
    if context.value:
        gssapi.loaded().gss_delete_sec_context(byref(minor), byref(context), None)
    gssapi.loaded().gss_release_cred(byref(minor), byref(credentials))


def _release_name(name: c_void_p) -> None:
    minor = c_uint32()
    gssapi.loaded().gss_release_name(byref(minor), byref(name))
