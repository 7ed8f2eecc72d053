"""As much DER as SPNEGO needs: elements with definite lengths, to and from bytes.

What comes from outside is read once from front to back; a length past the end, an indefinite one,
or one in more bytes than necessary is a `SecurityError`.
"""

from __future__ import annotations

from scmd.rpc.security.provider import SecurityError

OCTET_STRING = 0x04
OID = 0x06
ENUMERATED = 0x0A
SEQUENCE = 0x30
APPLICATION_0 = 0x60


def context(number: int) -> int:
    """The tag of an explicitly tagged field."""
    return 0xA0 | number


def encode(tag: int, *contents: bytes) -> bytes:
    """One element around its contents."""
    content = b"".join(contents)
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


class Reader:
    """The elements of one encoding, one after the other."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    @property
    def tag(self) -> int | None:
        """Of the next element; None at the end."""
        return self._data[self._position] if self._position < len(self._data) else None

    def take(self, tag: int) -> bytes:
        """The content of the next element, which must have this tag."""
        if self.tag != tag:
            raise SecurityError(f"DER: tag {self.tag} where {tag} was expected")
        start, end = self._content()
        self._position = end
        return self._data[start:end]

    def take_if(self, tag: int) -> bytes | None:
        return self.take(tag) if self.tag == tag else None

    def skip(self) -> None:
        """Pass over the next element."""
        self._position = self._content()[1]

    def _content(self) -> tuple[int, int]:
        data, at = self._data, self._position
        if at + 2 > len(data):
            raise SecurityError("DER: an element that is cut short")
        size, start = data[at + 1], at + 2
        if size >= 0x80:
            count = size & 0x7F
            size = int.from_bytes(data[start : start + count], "big")
            start += count
            if not 1 <= count <= 4 or size < 0x80 or size < 1 << 8 * (count - 1):
                raise SecurityError("DER: a length that is not as it should be")
        if start + size > len(data):
            raise SecurityError("DER: an element that is longer than what it is in")
        return start, start + size
