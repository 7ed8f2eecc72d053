"""Context handles on the wire and the core's handle numbers: one to one, nothing stored.

A context handle is attributes 0 and a 16-byte UUID ([C706] 4.2.16.6): the SCM instance's
nonce, then the handle number. The nonce makes the handles of an earlier manager foreign;
whether a number is live, and in this association, is for the core to say.
"""

from __future__ import annotations

from scmd.core.messages import HandleId
from scmd.ndr.values import ContextHandle

NONCE_SIZE = 8


class ForeignHandle(Exception):
    """Not a handle of this SCM instance; the all-zero handle is none either."""


class ContextHandles:
    """Translates for one SCM instance; `nonce` is NONCE_SIZE bytes that no other instance had."""

    def __init__(self, nonce: bytes) -> None:
        if len(nonce) != NONCE_SIZE or not any(nonce):
            raise ValueError(f"the nonce must be {NONCE_SIZE} bytes, not all zero")
        self._prefix = bytes(4) + nonce

    def to_wire(self, handle: HandleId) -> ContextHandle:
        return ContextHandle(self._prefix + handle.to_bytes(8, "little"))

    def from_wire(self, handle: ContextHandle) -> HandleId:
        """The handle's number, live or not. ForeignHandle: not one that we gave."""
        if handle[:12] != self._prefix:
            raise ForeignHandle
        return HandleId(int.from_bytes(handle[12:], "little"))
