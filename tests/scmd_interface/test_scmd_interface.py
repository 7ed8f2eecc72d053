"""The scmd interface: round trips, registry data, hostile bytes."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scmd.ndr.errors import NdrError
from scmd.ndr.values import ContextHandle
from scmd.scmd_interface.operations import (
    QUERY_VERSION,
    READ_LOG,
    SCMD,
    EmptyRequest,
    Parameter,
    QueryVersionResponse,
    ReadLogRequest,
)
from scmd.scmd_interface.parameters import (
    decode_value,
    encode_value,
    pack_changes,
    pack_parameters,
    unpack_changes,
    unpack_parameters,
)
from scmd.scmd_interface.remote import CHANGE_REMOTE, QUERY_REMOTE
from scmd.vocabulary.registry import RegistryType, RegistryValue
from tests.ndr.strategies import instances, unhurried

texts = st.text(st.characters(exclude_characters="\0", codec="utf-8"))
values = st.one_of(
    st.builds(
        RegistryValue, type=st.sampled_from([RegistryType.SZ, RegistryType.EXPAND_SZ]), data=texts
    ),
    st.builds(RegistryValue, type=st.just(RegistryType.DWORD), data=st.integers(0, 2**32 - 1)),
    st.builds(RegistryValue, type=st.just(RegistryType.QWORD), data=st.integers(0, 2**64 - 1)),
    st.builds(RegistryValue, type=st.just(RegistryType.BINARY), data=st.binary()),
    st.builds(
        RegistryValue,
        type=st.just(RegistryType.MULTI_SZ),
        data=st.lists(texts.filter(bool)).map(tuple),
    ),
)


@pytest.mark.parametrize("number", sorted(SCMD.operations))
@unhurried
@given(data=st.data(), form=st.integers(0, 3))
def test_each_operation_survives_its_wire(number: int, data: st.DataObject, form: int) -> None:
    operation = SCMD.operations[number]
    request = data.draw(instances(operation.request))
    response = data.draw(instances(operation.response))
    assert operation.decode_request(operation.encode_request(request, form), form) == request
    assert operation.decode_response(operation.encode_response(response, form), form) == response


def test_numbers_are_never_renumbered() -> None:
    assert SCMD.operations[18] is QUERY_REMOTE
    assert SCMD.operations[19] is CHANGE_REMOTE
    assert [(n, op.name) for n, op in sorted(SCMD.operations.items())] == [
        (0, "RQueryManagerStatus"),
        (1, "RQueryParameters"),
        (2, "RSetParameters"),
        (3, "RReadLog"),
        (4, "RReadEvents"),
        (5, "RReportEvent"),
        (6, "RQueryVersion"),
        (7, "RQueryBoot"),
        (8, "RReplaceManager"),
        (9, "RQueryRecovery"),
        (10, "RReadHistory"),
        (11, "RExplain"),
        (12, "RReadCrash"),
        (13, "RKillService"),
        (14, "RQueryUsage"),
        (15, "RQuerySettings"),
        (16, "RSetSettings"),
        (17, "RPrepareService"),
        (18, "RQueryRemote"),
        (19, "RChangeRemote"),
        (20, "RWaitForChanges"),
    ]
    assert str(SCMD.uuid) == "97a066fd-bdad-48f4-90f7-529328ef19c3"


def test_bytes_as_documented() -> None:
    assert QUERY_VERSION.encode_request(EmptyRequest()) == b""
    assert QUERY_VERSION.encode_response(
        QueryVersionResponse(major=1, minor=0, error=0)
    ) == bytes.fromhex("01000000 00000000 00000000")
    request = ReadLogRequest(service=ContextHandle.of(bytes(16)), position=5, count=99_999)
    assert READ_LOG.encode_request(request) == bytes(24) + bytes.fromhex(
        "0500000000000000 00000100"
    )


@unhurried
@given(value=values)
def test_registry_data_survives(value: RegistryValue) -> None:
    assert decode_value(value.type, encode_value(value)) == value


@unhurried
@given(values=st.dictionaries(texts, values, max_size=5))
def test_parameters_survive(values: dict[str, RegistryValue]) -> None:
    assert unpack_parameters(pack_parameters(values)) == values
    changes: dict[str, RegistryValue | None] = {**values, "gone": None}
    assert unpack_changes(pack_changes(changes)) == changes


@pytest.mark.parametrize(
    ("kind", "data", "expected"),
    [
        (1, "6100 0000", "a"),
        (1, "6100", "a"),
        (1, "", ""),
        (2, "6100 0000 6200", "a"),
        (3, "00ff", b"\x00\xff"),
        (4, "01000000", 1),
        (7, "6100 0000 6200 0000 0000", ("a", "b")),
        (7, "6100 0000 6200", ("a", "b")),
        (7, "0000", ()),
        (11, "0100000000000000", 1),
    ],
)
def test_data_as_the_registry_has_it(kind: int, data: str, expected: object) -> None:
    assert decode_value(kind, bytes.fromhex(data)).data == expected


@pytest.mark.parametrize(
    ("kind", "data"), [(0, b""), (5, b"1234"), (4, b"123"), (11, b"1234"), (1, b"a"), (7, b"abc")]
)
def test_malformed_data_is_refused(kind: int, data: bytes) -> None:
    with pytest.raises(NdrError):
        decode_value(kind, data)


@pytest.mark.parametrize(
    "value",
    [
        RegistryValue(type=RegistryType.SZ, data="a\0b"),
        RegistryValue(type=RegistryType.SZ, data=1),
        RegistryValue(type=RegistryType.DWORD, data=2**32),
        RegistryValue(type=RegistryType.DWORD, data=-1),
        RegistryValue(type=RegistryType.MULTI_SZ, data=("a", "")),
        RegistryValue(type=RegistryType.SZ, data=("a",)),
        RegistryValue(type=RegistryType.SZ, data=b"a"),
        RegistryValue(type=RegistryType.DWORD, data="1"),
        RegistryValue(type=RegistryType.BINARY, data="a"),
        RegistryValue(type=RegistryType.MULTI_SZ, data="a"),
        RegistryValue(type=RegistryType.MULTI_SZ, data=b"a"),
    ],
)
def test_a_value_that_is_not_of_its_type_is_refused(value: RegistryValue) -> None:
    with pytest.raises(NdrError):
        encode_value(value)


def test_a_parameter_needs_a_name() -> None:
    with pytest.raises(NdrError):
        unpack_parameters([Parameter(name=None, type=1, data=b"")])


@unhurried
@given(kind=st.integers(0, 12), data=st.binary(max_size=40))
def test_hostile_data_raises_ndr_error_alone(kind: int, data: bytes) -> None:
    with suppress(NdrError):
        decode_value(kind, data)
