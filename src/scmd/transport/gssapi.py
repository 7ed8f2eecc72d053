"""The system's GSS-API library, as much of it as Kerberos for DCE/RPC needs.

Through ctypes, so that nothing has to be compiled: libgssapi-krb5 is where Kerberos is used.
[RFC 2744] for the calls, MIT krb5's gssapi_ext.h for those on buffers in pieces. Every major status
but GSS_S_COMPLETE and, while a context is being made, GSS_S_CONTINUE_NEEDED is a `SecurityError`:
the warnings about repeated and missing tokens among them.
"""

from __future__ import annotations

import ctypes
from ctypes import POINTER, Structure, byref, c_char_p, c_int, c_size_t, c_uint32, c_void_p
from functools import cache

from scmd.rpc.security.provider import SecurityError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LIBRARY = "libgssapi_krb5.so.2"

MUTUAL = 2
REPLAY = 4
SEQUENCE = 8
CONFIDENTIALITY = 16
INTEGRITY = 32
DCE_STYLE = 0x1000

INITIATE = 1
ACCEPT = 2
CONTINUE_NEEDED = 1

DATA = 1
HEADER = 2
SIGN_ONLY = 11
MIC_TOKEN = 12


class Buffer(Structure):
    """gss_buffer_desc."""

    _fields_ = (("length", c_size_t), ("value", c_void_p))


class Oid(Structure):
    """gss_OID_desc."""

    _fields_ = (("length", c_uint32), ("elements", c_char_p))


class OidSet(Structure):
    """gss_OID_set_desc."""

    _fields_ = (("count", c_size_t), ("elements", POINTER(Oid)))


class Piece(Structure):
    """gss_iov_buffer_desc."""

    _fields_ = (("type", c_uint32), ("buffer", Buffer))


class BufferSet(Structure):
    """gss_buffer_set_desc."""

    _fields_ = (("count", c_size_t), ("elements", POINTER(Buffer)))


class KeyValue(Structure):
    """gss_key_value_element_desc."""

    _fields_ = (("key", c_char_p), ("value", c_char_p))


class KeyValues(Structure):
    """gss_key_value_set_desc."""

    _fields_ = (("count", c_uint32), ("elements", POINTER(KeyValue)))


def oid(content: bytes) -> Oid:
    return Oid(len(content), content)


KERBEROS = oid(bytes.fromhex("2a864886f712010202"))
_SERVICE_NAME = oid(bytes.fromhex("2a864886f71201020104"))
"""GSS_C_NT_HOSTBASED_SERVICE: `host@machine`."""
_SESSION_KEY = oid(bytes.fromhex("2a864886f7120102020505"))
"""GSS_C_INQ_SSPI_SESSION_KEY."""


@cache
def loaded() -> ctypes.CDLL:
    """SecurityError: this machine has no Kerberos."""
    try:
        return ctypes.CDLL(LIBRARY)
    except OSError as error:
        raise SecurityError(f"Kerberos needs {LIBRARY} (Debian: libgssapi-krb5-2)") from error


def call(function: str, *arguments: Any) -> int:
    """Call with a minor status in front; the major status, COMPLETE or CONTINUE_NEEDED."""
    minor = c_uint32()
    major = int(getattr(loaded(), function)(byref(minor), *arguments)) & 0xFFFF_FFFF
    if major & ~CONTINUE_NEEDED:
        # The mechanism knows better, if it says anything.
        said = _status(minor.value, 2) if minor.value else _status(major, 1)
        raise SecurityError(f"Kerberos: {said}")
    return major


def given(data: bytes) -> Buffer:
    """A buffer over bytes that the caller keeps alive."""
    return Buffer(len(data), ctypes.cast(c_char_p(data), c_void_p))


def taken(buffer: Buffer) -> bytes:
    """The content of a buffer that the library made, which is freed."""
    data = ctypes.string_at(buffer.value, buffer.length) if buffer.length else b""
    call("gss_release_buffer", byref(buffer))
    return data


def service_name(service: str) -> c_void_p:
    """`host@machine` as a name."""
    text, name = service.encode(), c_void_p()
    call("gss_import_name", byref(given(text)), byref(_SERVICE_NAME), byref(name))
    return name


def names(context: c_void_p) -> tuple[str, str]:
    """The principals of a context that is made, in full: who came, and to which service."""
    client, service = c_void_p(), c_void_p()
    call(
        "gss_inquire_context",
        context,
        byref(client),
        byref(service),
        None,
        None,
        None,
        None,
        None,
    )
    return _taken_name(client), _taken_name(service)


def _taken_name(name: c_void_p) -> str:
    shown = Buffer()
    try:
        call("gss_display_name", name, byref(shown), None)
        return taken(shown).decode("utf-8", "replace")
    finally:
        call("gss_release_name", byref(name))


def credentials(usage: int, store: dict[bytes, bytes]) -> c_void_p:
    """What a keytab or a ticket cache has; an empty store is the default one."""
    elements = (KeyValue * len(store))(*(KeyValue(key, value) for key, value in store.items()))
    values = KeyValues(len(store), elements)
    mechanisms = OidSet(1, ctypes.pointer(KERBEROS))
    found = c_void_p()
    call(
        "gss_acquire_cred_from",
        None,
        c_uint32(0),
        byref(mechanisms),
        c_int(usage),
        byref(values) if store else None,
        byref(found),
        None,
        None,
    )
    return found


def session_key(context: c_void_p) -> bytes:
    found = POINTER(BufferSet)()
    call("gss_inquire_sec_context_by_oid", context, byref(_SESSION_KEY), byref(found))
    first = found.contents.elements[0]
    key = ctypes.string_at(first.value, first.length)
    call("gss_release_buffer_set", byref(found))
    return key


def pieces(*parts: tuple[int, bytes | int]) -> tuple[Any, list[Any]]:
    """Pieces of these types, and their memory: filled with the bytes, or of that size."""
    memory = [
        ctypes.create_string_buffer(part, part if isinstance(part, int) else len(part))
        for _, part in parts
    ]
    array = (Piece * len(parts))(
        *(
            Piece(kind, Buffer(len(space), ctypes.cast(space, c_void_p)))
            for (kind, _), space in zip(parts, memory, strict=True)
        )
    )
    return array, memory


def _status(code: int, kind: int) -> str:
    more, text = c_uint32(), Buffer()
    minor = c_uint32()
    loaded().gss_display_status(
        byref(minor), c_uint32(code), c_int(kind), byref(KERBEROS), byref(more), byref(text)
    )
    shown = ctypes.string_at(text.value, text.length).decode("utf-8", "replace")
    loaded().gss_release_buffer(byref(minor), byref(text))
    return shown
