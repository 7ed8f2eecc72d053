"""Registry values: the type that fits a Python value."""

from __future__ import annotations

import pytest

from scmd.vocabulary.registry import RegistryType, RegistryValue


@pytest.mark.parametrize(
    ("data", "type", "stored"),
    [
        ("x", RegistryType.SZ, "x"),
        (b"\0", RegistryType.BINARY, b"\0"),
        (0, RegistryType.DWORD, 0),
        (True, RegistryType.DWORD, 1),
        (2**32 - 1, RegistryType.DWORD, 2**32 - 1),
        (2**32, RegistryType.QWORD, 2**32),
        (2**64 - 1, RegistryType.QWORD, 2**64 - 1),
        (["a", "b"], RegistryType.MULTI_SZ, ("a", "b")),
        ((), RegistryType.MULTI_SZ, ()),
    ],
)
def test_the_type_follows_from_the_data(
    data: str | int | bytes | tuple[str, ...], type: RegistryType, stored: object
) -> None:
    value = RegistryValue.of(data)
    assert (value.type, value.data) == (type, stored)


@pytest.mark.parametrize("number", [-1, 2**64])
def test_numbers_out_of_range_are_refused(number: int) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        RegistryValue.of(number)


def test_a_bool_is_stored_as_a_number() -> None:
    assert type(RegistryValue.of(True).data) is int
