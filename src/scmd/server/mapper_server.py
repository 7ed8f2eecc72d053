"""Serving the endpoint mapper: which TCP port an interface of ours is at.

A map is answered completely, or the rest is left out. A look-up goes on where its handle says,
which is a number in disguise: nothing is kept between the calls, and nothing has to be freed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from scmd.endpoint_mapper.operations import (
    CANNOT_PERFORM,
    LOOKUP,
    LOOKUP_HANDLE_FREE,
    MAP,
    NOT_REGISTERED,
    Entry,
    FreeRequest,
    FreeResponse,
    LookupRequest,
    LookupResponse,
    MapRequest,
    MapResponse,
    TowerBytes,
)
from scmd.endpoint_mapper.towers import Tower, TowerError, decode_tower, encode_tower
from scmd.ndr.values import NULL_HANDLE, ContextHandle
from scmd.rpc.binds import NDR64_SYNTAX, NDR_SYNTAX
from scmd.server.steps import ServedOperation, Steps, Work, served, table
from scmd.vocabulary.errors import Error

Served = Callable[[], Iterable[Tower]]
"""What is served now, in NDR, the first choice first."""

_DISGUISE = b"scmd look-up"
"""The first 12 bytes of an entry handle's UUID."""
_ALL, _BY_INTERFACE, _BY_OBJECT, _BY_BOTH = range(4)


class EndpointMapper:
    """The three operations over what is served."""

    def __init__(self, towers: Served) -> None:
        self._towers = towers

    def operations(self) -> dict[int, ServedOperation]:
        """The table for a session that serves EPM."""
        return table(
            served(LOOKUP, self._lookup),
            served(MAP, self._map),
            served(LOOKUP_HANDLE_FREE, self._free),
        )

    def _map(self, work: Work, request: MapRequest) -> Steps[MapResponse]:
        yield from ()  # Nobody has to be asked.
        # An object UUID does not count: what is served is served for all of them.
        found = self._matching(request) if request.handle.is_null else []
        towers = tuple(_bytes_of(tower) for tower in found[: request.max_towers])
        return MapResponse(
            count=len(towers),
            capacity=request.max_towers,
            towers=towers,
            error=Error.SUCCESS if towers else NOT_REGISTERED,
        )

    def _matching(self, request: MapRequest) -> list[Tower]:
        if request.tower is None:
            return []
        try:
            asked = decode_tower(bytes(request.tower.octets))
        except TowerError:
            return []
        return [
            tower.replace(syntax=asked.syntax, syntax_major=asked.syntax_major)
            for tower in self._towers()
            if _answers(tower, asked)
        ]

    def _lookup(self, work: Work, request: LookupRequest) -> Steps[LookupResponse]:
        yield from ()  # Nobody has to be asked.
        entries: tuple[Entry, ...] = ()
        handle = NULL_HANDLE
        error = NOT_REGISTERED
        begin = _position(request.handle)
        if request.inquiry > _BY_BOTH or (
            request.inquiry in (_BY_INTERFACE, _BY_BOTH) and request.interface is None
        ):
            error = CANNOT_PERFORM
        elif request.inquiry != _BY_OBJECT and begin is not None:
            found = [tower for tower in self._towers() if _is_looked_for(tower, request)]
            end = begin + request.max_entries
            entries = tuple(Entry(tower=_bytes_of(tower)) for tower in found[begin:end])
            # There are clients that ask until they are told that there is nothing more.
            if entries and len(entries) == request.max_entries:
                handle = ContextHandle.of(_DISGUISE + end.to_bytes(4, "little"))
        return LookupResponse(
            handle=handle,
            count=len(entries),
            capacity=request.max_entries,
            entries=entries,
            error=Error.SUCCESS if entries else error,
        )

    def _free(self, work: Work, request: FreeRequest) -> Steps[FreeResponse]:
        yield from ()  # Nobody has to be asked.
        error = CANNOT_PERFORM if _position(request.handle) is None else Error.SUCCESS
        return FreeResponse(handle=NULL_HANDLE, error=error)


def _position(handle: ContextHandle) -> int | None:
    """How many entries a client of a look-up has already; None: the handle is not ours."""
    if handle.is_null:
        return 0
    ours = handle.attributes == 0 and handle.uuid.startswith(_DISGUISE)
    return int.from_bytes(handle.uuid[len(_DISGUISE) :], "little") if ours else None


def _answers(tower: Tower, asked: Tower) -> bool:
    """Whether a client that asks for a tower can use this one; addresses do not count."""
    if (asked.uuid, asked.major) != (tower.uuid, tower.major) or asked.minor > tower.minor:
        return False
    if (asked.port is None) != (tower.port is None):
        return False
    syntaxes = (NDR_SYNTAX, NDR64_SYNTAX)
    return any((s.uuid, s.version & 0xFFFF) == (asked.syntax, asked.syntax_major) for s in syntaxes)


def _is_looked_for(tower: Tower, request: LookupRequest) -> bool:
    if request.inquiry == _ALL or request.interface is None:
        return True
    wanted = request.interface
    if wanted.uuid != tower.uuid:
        return False
    version = (tower.major, tower.minor)
    same_major = tower.major == wanted.major
    # [C706] appendix O: all, compatible, exact, major only, up to.
    answers = {
        1: True,
        2: same_major and tower.minor >= wanted.minor,
        3: version == (wanted.major, wanted.minor),
        4: same_major,
        5: version <= (wanted.major, wanted.minor),
    }
    return answers.get(request.version_option, False)


def _bytes_of(tower: Tower) -> TowerBytes:
    return TowerBytes(octets=tuple(encode_tower(tower)))
