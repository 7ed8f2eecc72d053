"""The runtime journal as bytes: a header line, then one line an entry, the last of its kind counts.

It holds what is true of services and launches while they run, for a manager that comes
after one that died. It belongs to one keeper's life: the header names the boot, the pid
namespace and the keeper, and to any other it is void. What a line's entry means is the
caller's, who gives the types; a kind or a field that this version does not know is
passed over. The last line may be torn: whoever wrote it was killed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from scmd.storage.documents import NOT_READABLE, to_json

FORMAT = 1
"""The version in the header line; a journal of another version is void."""


class Owner(msgspec.Struct, frozen=True):
    """Whose journal it is."""

    boot_id: str
    pid_namespace: str
    keeper: str
    """Its process id and when it started, which together name one process of the boot."""


class _Header(msgspec.Struct, frozen=True):
    scmd_journal: int
    owner: Owner


class Lines:
    """Entries of these types to lines and back; each kind is one letter."""

    def __init__(self, types: Mapping[str, type]) -> None:
        self._kinds = {type: kind.encode() for kind, type in types.items()}
        self._decoders: dict[int, msgspec.json.Decoder[object]] = {
            ord(kind): msgspec.json.Decoder(type) for kind, type in types.items()
        }

    def encode(self, entry: object) -> bytes:
        return self._kinds[type(entry)] + to_json(entry) + b"\n"

    def decode(self, data: bytes, owner: Owner) -> Iterator[object] | None:
        """The entries in the order written; None when the journal is void for this owner.

        A damaged line is passed over: what it was about is as an earlier line says.
        """
        head, newline, rest = data.partition(b"\n")
        if not newline or not _belongs_to(head, owner):
            return None
        return self._entries(rest)

    def _entries(self, data: bytes) -> Iterator[object]:
        for line in data.split(b"\n")[:-1]:
            decoder = self._decoders.get(line[0]) if line else None
            if decoder is None:
                continue
            try:
                yield decoder.decode(line[1:])
            except NOT_READABLE:
                continue


def header(owner: Owner) -> bytes:
    """The first line."""
    return msgspec.json.encode(_Header(FORMAT, owner)) + b"\n"


def _belongs_to(line: bytes, owner: Owner) -> bool:
    try:
        found = msgspec.json.decode(line, type=_Header)
    except NOT_READABLE:
        return False
    return found == _Header(FORMAT, owner)
