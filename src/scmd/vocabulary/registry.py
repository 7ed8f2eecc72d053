"""Registry values: what a record and a service's Parameters are stored as."""

from __future__ import annotations

from enum import IntEnum

from scmd.vocabulary.value import Value


class RegistryType(IntEnum):
    """REG_*, [MS-RRP] 3.1.1.5."""

    SZ = 1
    EXPAND_SZ = 2
    BINARY = 3
    DWORD = 4
    MULTI_SZ = 7
    QWORD = 11


class RegistryValue(Value):
    """A value's type and its data as Python has it: str, int, bytes or a tuple of str."""

    type: RegistryType
    data: str | int | bytes | tuple[str, ...]

    @classmethod
    def of(cls, data: str | int | bytes | tuple[str, ...] | list[str]) -> RegistryValue:
        """The value with the registry type that fits the Python type best.

        str is REG_SZ, bytes REG_BINARY, a sequence of str REG_MULTI_SZ, and int
        (bool included) REG_DWORD, or REG_QWORD past 32 bits. ValueError: an int out of range.
        """
        if isinstance(data, str):
            return cls(type=RegistryType.SZ, data=data)
        if isinstance(data, bytes):
            return cls(type=RegistryType.BINARY, data=data)
        if isinstance(data, int):
            if not 0 <= data < 2**64:
                raise ValueError(f"{data} does not fit a REG_QWORD (0 to 2**64 - 1)")
            kind = RegistryType.DWORD if data < 2**32 else RegistryType.QWORD
            return cls(type=kind, data=int(data))
        return cls(type=RegistryType.MULTI_SZ, data=tuple(data))
