"""Towers against bytes written by hand, answers by every kind of question, hostile bytes."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from impacket.dcerpc.v5 import epm

from scmd.core.messages import AssociationId, Call, Caller, CallId
from scmd.endpoint_mapper.operations import (
    CANNOT_PERFORM,
    LOOKUP,
    LOOKUP_HANDLE_FREE,
    MAP,
    NOT_REGISTERED,
    FreeRequest,
    LookupRequest,
    LookupResponse,
    MapRequest,
    MapResponse,
    TowerBytes,
)
from scmd.endpoint_mapper.towers import (
    Tower,
    TowerError,
    decode_tower,
    encode_tower,
    tower_of,
)
from scmd.ndr.errors import NdrError
from scmd.ndr.structure import BIG_ENDIAN, NDR64
from scmd.ndr.values import NULL_HANDLE, ContextHandle, Guid
from scmd.rpc.binds import NDR64_SYNTAX, NDR_SYNTAX
from scmd.rpc.mgmt import InterfaceId
from scmd.scmd_interface.operations import SCMD
from scmd.security.token import Token
from scmd.server.handles import ContextHandles
from scmd.server.mapper_server import EndpointMapper
from scmd.server.resume import ResumeIndexes
from scmd.server.steps import Work
from scmd.svcctl.interface import SVCCTL

SVCCTL_TOWER = bytes.fromhex(
    "0500"
    "1300 0d 81bb7a364498f135ad3298f038001003 0200 0200 0000"
    "1300 0d 045d888aeb1cc9119fe808002b104860 0200 0200 0000"
    "0100 0b 0200 0000"
    "0100 07 0200 c034"
    "0100 09 0400 0a000007"
)
SERVED = [tower_of(SVCCTL, port=49204), tower_of(SCMD, port=49204)]
OTHER = Guid.parse("12345678-1234-abcd-ef00-0123456789ab")


def ask(operation: Any, request: Any) -> Any:
    """The response of a mapper that serves both interfaces at one port."""
    caller = Caller(Token(user="S-1-1-0"), "nobody", "test")
    call = Call(CallId(1), AssociationId(1), caller)
    work = Work(call, ContextHandles(b"12345678"), ResumeIndexes(), 0)
    table = EndpointMapper(lambda: SERVED).operations()
    steps: Generator[Any, Any, Any] = table[operation.opnum].perform(work, request)
    with pytest.raises(StopIteration) as stop:
        next(steps)
    answer = stop.value.value
    for form in (0, BIG_ENDIAN, NDR64):
        stub = operation.encode_response(answer, form)
        decoded = operation.decode_response(stub, form)
        assert operation.encode_response(decoded, form) == stub
    return answer


def question(tower: Tower, **fields: Any) -> MapRequest:
    octets = tuple(encode_tower(tower))
    return MapRequest(tower=TowerBytes(octets=octets), **{"max_towers": 4, **fields})


def towers(answer: MapResponse | LookupResponse) -> list[Tower]:
    found = answer.towers if isinstance(answer, MapResponse) else [e.tower for e in answer.entries]
    return [decode_tower(bytes(tower.octets)) for tower in found if tower is not None]


def test_a_tower_is_these_bytes() -> None:
    tower = tower_of(SVCCTL, port=49204, address=bytes([10, 0, 0, 7]))
    assert encode_tower(tower) == SVCCTL_TOWER
    assert decode_tower(SVCCTL_TOWER) == tower
    pipe = Tower(uuid=SVCCTL.uuid, major=2, pipe="\\PIPE\\svcctl", host="WEB")
    assert decode_tower(encode_tower(pipe)) == pipe


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b"\5", b"\0\0", b"\xff\xff", SVCCTL_TOWER[:-1], SVCCTL_TOWER[:40]),
        *(b"\7" + SVCCTL_TOWER[1:], SVCCTL_TOWER.replace(b"\x0b", b"\x0a"), bytes(2001)),
        SVCCTL_TOWER.replace(b"\1\0\7\2\0\xc0\x34", b"\1\0\7\1\0\xc0"),
    ],
)
def test_what_is_no_tower_is_refused(raw: bytes) -> None:
    with pytest.raises(TowerError):
        decode_tower(raw)


def built(*floors: tuple[bytes, bytes]) -> bytes:
    parts = [len(floors).to_bytes(2, "little")]
    for side in (side for floor in floors for side in floor):
        parts += (len(side).to_bytes(2, "little"), side)
    return b"".join(parts)


INTERFACE = (b"\x0d" + SVCCTL.uuid + b"\2\0", b"\0\0")
SYNTAX = (b"\x0d" + NDR_SYNTAX.uuid + b"\2\0", b"\0\0")
CONNECTED, TCP, IP = (b"\x0b", b"\0\0"), (b"\7", b"\xc0\x34"), (b"\x09", bytes([10, 0, 0, 7]))


def test_a_tower_may_have_a_sixth_floor_and_an_address_four_bytes() -> None:
    expected = tower_of(SVCCTL, port=49204, address=bytes([10, 0, 0, 7]))
    floors = (INTERFACE, SYNTAX, CONNECTED, TCP)
    for more in ((IP,), (IP, IP)):
        assert decode_tower(built(*floors, *more)) == expected
    for address in (b"", bytes(3), bytes(16)):
        unknown = decode_tower(built(*floors, (b"\x09", address)))
        assert unknown == expected.replace(address=bytes(4))
    assert decode_tower(built(*floors, IP).ljust(2000, b"\0")) == expected


@pytest.mark.parametrize(
    ("floors", "reason"),
    [
        ((INTERFACE, SYNTAX, CONNECTED, TCP), "4 floors, 5"),
        ((INTERFACE, SYNTAX, CONNECTED, TCP, IP, IP, IP), "7 floors, at most 6"),
        (((INTERFACE[0], b"\0"), SYNTAX, CONNECTED, TCP, IP), "first two floors"),
        (((b"\x0c" + INTERFACE[0][1:], b"\0\0"), SYNTAX, CONNECTED, TCP, IP), "first two floors"),
        ((INTERFACE, (SYNTAX[0] + b"\0", b"\0\0"), CONNECTED, TCP, IP), "first two floors"),
        ((INTERFACE, SYNTAX, (b"\x0a", b"\0\0"), TCP, IP), "connection-oriented"),
        ((INTERFACE, SYNTAX, CONNECTED, (b"\7", b"\0"), IP), "not spoken"),
        ((INTERFACE, SYNTAX, CONNECTED, (b"\x08", b"\0\0"), IP), "not spoken"),
    ],
)
def test_each_floor_is_what_stands_there(
    floors: tuple[tuple[bytes, bytes], ...], reason: str
) -> None:
    with pytest.raises(TowerError, match=reason):
        decode_tower(built(*floors))


@given(st.binary(max_size=300) | st.integers(0, 87).map(lambda n: SVCCTL_TOWER[n:]))
def test_hostile_towers_raise_nothing_else(raw: bytes) -> None:
    with suppress(TowerError):
        decode_tower(raw)
    answer = ask(MAP, MapRequest(tower=TowerBytes(octets=tuple(raw)), max_towers=1))
    assert answer.error in (0, NOT_REGISTERED)


@given(st.binary(max_size=200))
def test_hostile_stubs_raise_ndr_errors(stub: bytes) -> None:
    for operation in (MAP, LOOKUP, LOOKUP_HANDLE_FREE):
        for form in (0, NDR64, BIG_ENDIAN):
            with suppress(NdrError):
                operation.decode_request(stub, form)
            with suppress(NdrError):
                operation.decode_response(stub, form)


def test_the_port_of_an_interface_is_told() -> None:
    for address in (bytes(4), bytes([192, 168, 1, 1])):
        answer = ask(MAP, question(tower_of(SVCCTL, port=0, address=address)))
        assert (answer.error, answer.count, answer.capacity) == (0, 1, 4)
        assert towers(answer) == [tower_of(SVCCTL, port=49204)]
        assert answer.handle.is_null


def test_another_transfer_syntax_is_answered_in_it() -> None:
    asked = tower_of(SVCCTL, port=0).replace(syntax=NDR64_SYNTAX.uuid, syntax_major=1)
    (found,) = towers(ask(MAP, question(asked)))
    assert (found.port, found.syntax) == (49204, NDR64_SYNTAX.uuid)


@pytest.mark.parametrize(
    "asked",
    [
        tower_of(SVCCTL, port=0).replace(uuid=OTHER),
        tower_of(SVCCTL, port=0).replace(major=1),
        tower_of(SVCCTL, port=0).replace(minor=1),
        tower_of(SVCCTL, port=0).replace(syntax=OTHER),
        tower_of(SVCCTL, port=0).replace(port=None, pipe="\\PIPE\\svcctl"),
    ],
)
def test_what_is_not_served_is_not_registered(asked: Tower) -> None:
    answer = ask(MAP, question(asked))
    assert (answer.error, answer.count, answer.towers) == (NOT_REGISTERED, 0, ())


def test_no_more_than_asked_for_and_no_second_part() -> None:
    tower = tower_of(SVCCTL, port=0)
    assert ask(MAP, question(tower, max_towers=0)).error == NOT_REGISTERED
    handle = ContextHandle.of(bytes(15) + b"\1")
    assert ask(MAP, question(tower, handle=handle)).error == NOT_REGISTERED
    assert ask(MAP, MapRequest(tower=None, max_towers=4)).error == NOT_REGISTERED
    assert ask(LOOKUP_HANDLE_FREE, FreeRequest(handle=handle)).error == CANNOT_PERFORM


@pytest.mark.parametrize(
    ("option", "major", "minor", "is_found"),
    [
        *((1, 9, 9, True), (2, 1, 0, True), (2, 1, 99, False), (2, 2, 0, False)),
        *((3, 1, SCMD.minor, True), (3, 1, 99, False), (4, 1, 99, True), (4, 2, 0, False)),
        (5, 1, SCMD.minor, True),
        *((5, 1, 99, True), (5, 0, 99, False), (0, 1, 0, False), (6, 1, 0, False)),
    ],
)
def test_a_look_up_compares_versions(option: int, major: int, minor: int, is_found: bool) -> None:
    wanted = InterfaceId(uuid=SCMD.uuid, major=major, minor=minor)
    request = LookupRequest(inquiry=1, interface=wanted, version_option=option, max_entries=9)
    answer = ask(LOOKUP, request)
    assert towers(answer) == ([SERVED[1]] if is_found else [])
    assert answer.error == (0 if is_found else NOT_REGISTERED)


def test_a_look_up_of_everything_and_of_nothing() -> None:
    everything = LookupRequest(inquiry=0, version_option=1, max_entries=9)
    assert towers(ask(LOOKUP, everything)) == SERVED
    assert ask(LOOKUP, everything.replace(inquiry=2)).error == NOT_REGISTERED
    for inquiry in (1, 3, 4):
        assert ask(LOOKUP, everything.replace(inquiry=inquiry)).error == CANNOT_PERFORM


@pytest.mark.parametrize("form", [0, NDR64])
def test_impacket_reads_a_look_up(form: int) -> None:
    """The counts of the annotation, which C706 declares as a varying array, grow with NDR64."""
    answer = ask(LOOKUP, LookupRequest(inquiry=0, version_option=1, max_entries=9))
    stub = LOOKUP.encode_response(answer, form)
    read = epm.ept_lookupResponse(stub, isNDR64=form == NDR64)
    assert (read["num_ents"], read["status"]) == (len(SERVED), 0)
    assert [b"".join(entry["annotation"]) for entry in read["entries"]] == [b"SCM\0"] * len(SERVED)
    octets = [b"".join(entry["tower"]["tower_octet_string"]) for entry in read["entries"]]
    assert octets == [encode_tower(tower) for tower in SERVED]


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_look_up_goes_on_until_there_is_nothing_more(size: int) -> None:
    """Told by a null handle or, to who has just got as many as he wanted, by an error."""
    request = LookupRequest(inquiry=0, version_option=1, max_entries=size)
    found = []
    while (answer := ask(LOOKUP, request)).error == 0:
        found += towers(answer)
        if answer.handle.is_null:
            break
        assert ask(LOOKUP_HANDLE_FREE, FreeRequest(handle=answer.handle)).error == 0
        request = request.replace(handle=answer.handle)
    assert found == SERVED
    assert answer.handle.is_null
    assert answer.error == (0 if len(SERVED) % size else NOT_REGISTERED)


@pytest.mark.parametrize(
    "handle",
    [
        bytes(4) + b"scmd look-up" + bytes([255] * 4),
        bytes(4) + b"1" * 16,
        b"\1\0\0\0scmd look-up\1\0\0\0",
    ],
)
def test_a_look_up_with_a_handle_of_nobodys_finds_nothing(handle: bytes) -> None:
    request = LookupRequest(
        inquiry=0, version_option=1, max_entries=9, handle=ContextHandle(handle)
    )
    answer = ask(LOOKUP, request)
    assert (answer.error, answer.entries, answer.handle) == (NOT_REGISTERED, (), NULL_HANDLE)
