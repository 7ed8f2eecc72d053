"""Parameters on the wire: registry data, and the structures that carry it.

Data is as [MS-RRP] has it: REG_SZ, REG_EXPAND_SZ and REG_MULTI_SZ are UTF-16LE with their
NULs, REG_DWORD and REG_QWORD little endian. Anything malformed raises NdrError.
"""

from __future__ import annotations

from scmd.ndr.errors import NdrError
from scmd.scmd_interface.operations import Parameter, ParameterChange
from scmd.vocabulary.registry import RegistryType, RegistryValue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_INTEGER_BYTES = {RegistryType.DWORD: 4, RegistryType.QWORD: 8}
_TEXT_TYPES = (RegistryType.SZ, RegistryType.EXPAND_SZ)


def encode_value(value: RegistryValue) -> bytes:
    """The data's bytes. NdrError: data that is not of the value's type or cannot be sent."""
    kind, data = value.type, value.data
    if kind in _TEXT_TYPES and isinstance(data, str):
        return _encode_text(data)
    if kind in _INTEGER_BYTES and isinstance(data, int):
        size = _INTEGER_BYTES[kind]
        if not 0 <= data < 1 << (8 * size):
            raise NdrError(f"{data} does not fit {kind.name}")
        return data.to_bytes(size, "little")
    if kind == RegistryType.BINARY and isinstance(data, bytes):
        return data
    if kind == RegistryType.MULTI_SZ and isinstance(data, tuple):
        if not all(data):
            raise NdrError("an empty string would end the REG_MULTI_SZ")
        return b"".join([_encode_text(text) for text in data]) + b"\0\0"
    raise NdrError(f"{type(data).__name__} is no data of {kind.name}")


def decode_value(type: int, data: bytes) -> RegistryValue:
    """The value; a missing final NUL is forgiven, as the registry does."""
    if type not in RegistryType._value2member_map_:
        raise NdrError(f"registry type {type} is not supported")
    kind = RegistryType(type)
    if kind == RegistryType.BINARY:
        return RegistryValue(type=kind, data=data)
    if kind in _INTEGER_BYTES:
        if len(data) != _INTEGER_BYTES[kind]:
            raise NdrError(f"{kind.name} of {len(data)} bytes")
        return RegistryValue(type=kind, data=int.from_bytes(data, "little"))
    strings = _decode_text(data).split("\0")
    if kind != RegistryType.MULTI_SZ:
        return RegistryValue(type=kind, data=strings[0])
    end = strings.index("") if "" in strings else len(strings)
    return RegistryValue(type=kind, data=tuple(strings[:end]))


def pack_parameters(values: Mapping[str, RegistryValue]) -> tuple[Parameter, ...]:
    """For `QueryParametersResponse`, in the mapping's order."""
    return tuple(
        Parameter(name=name, type=value.type, data=encode_value(value))
        for name, value in values.items()
    )


def unpack_parameters(parameters: Iterable[Parameter] | None) -> dict[str, RegistryValue]:
    return {
        _name(parameter): decode_value(parameter.type, parameter.data or b"")
        for parameter in parameters or ()
    }


def pack_changes(values: Mapping[str, RegistryValue | None]) -> tuple[ParameterChange, ...]:
    """For `SetParametersRequest`; None deletes."""
    return tuple(
        ParameterChange(name=name, delete=1)
        if value is None
        else ParameterChange(name=name, type=value.type, data=encode_value(value))
        for name, value in values.items()
    )


def unpack_changes(
    changes: Iterable[ParameterChange] | None,
) -> dict[str, RegistryValue | None]:
    return {
        _name(change): None if change.delete else decode_value(change.type, change.data or b"")
        for change in changes or ()
    }


def _name(parameter: Parameter | ParameterChange) -> str:
    if parameter.name is None:
        raise NdrError("a parameter without a name")
    return parameter.name


def _encode_text(text: str) -> bytes:
    if "\0" in text:
        raise NdrError("a registry string ends at its first NUL")
    return text.encode("utf-16-le", "surrogatepass") + b"\0\0"


def _decode_text(data: bytes) -> str:
    if len(data) % 2:
        raise NdrError(f"registry text of {len(data)} bytes")
    try:
        return data.decode("utf-16-le", "surrogatepass")
    except UnicodeDecodeError as error:
        raise NdrError(f"registry text: {error}") from error
