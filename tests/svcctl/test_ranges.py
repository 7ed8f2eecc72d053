"""The ranges of [MS-SCMR]'s IDL: what is at the limit is taken, what is past it is 0x6F7.

The stubs are put together here, since our own codec refuses to encode what it would refuse to
decode. Counts of strings are characters, their NUL among them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from scmd.ndr.errors import BAD_STUB_DATA, NdrError
from scmd.svcctl.operations import OPERATIONS

KEEP = (0xFFFF_FFFF,) * 3
"""Type, start type and error control of a change."""


class Stub:
    """Parameters in NDR, little endian, one after the other; a service handle comes first."""

    def __init__(self, *numbers: int, handle: bool = True) -> None:
        self.data = bytearray(20 if handle else 0)
        self.numbers(*numbers)

    def numbers(self, *numbers: int) -> Stub:
        self.data += bytes(-len(self.data) % 4) + struct.pack(f"<{len(numbers)}I", *numbers)
        return self

    def text(self, units: int, *, pointer: bool = True) -> Stub:
        """A string of `units` characters, behind a unique pointer or not."""
        self.numbers(*([1] if pointer else []), units, 0, units)
        self.data += b"x\0" * (units - 1) + b"\0\0"
        return self

    def array(self, count: int, size: int = 1) -> Stub:
        """A unique pointer to a conformant array of `count` zeroed elements."""
        self.numbers(1, count)
        self.data += bytes(count * size)
        return self


def config2(level: int, *numbers: int) -> Stub:
    return Stub(level, level, 1, *numbers)


def arguments(count: int) -> Stub:
    return Stub(count, 1, count, *[0] * count)


RANGES: list[tuple[int, str, int, Callable[[int], Stub]]] = [
    (4, "cbBufSize", 262_144, lambda n: Stub(4, n)),
    (9, "lpMachineName", 1024, lambda n: Stub(handle=False).text(n).numbers(1)),
    (11, "lpBinaryPathName", 32_768, lambda n: Stub(*KEEP).text(n).numbers(*[0] * 8)),
    (11, "lpLoadOrderGroup", 257, lambda n: Stub(*KEEP, 0).text(n).numbers(*[0] * 7)),
    (11, "dwDependSize", 4096, lambda n: Stub(*KEEP, 0, 0, 0).array(n).numbers(n, 0, 0, 0, 0)),
    (11, "lpServiceStartName", 2048, lambda n: Stub(*KEEP, 0, 0, 0, 0, 0).text(n).numbers(0, 0, 0)),
    (11, "dwPwSize", 514, lambda n: Stub(*KEEP, 0, 0, 0, 0, 0, 0).array(n).numbers(n, 0)),
    (11, "lpDisplayName", 257, lambda n: Stub(*KEEP, *[0] * 8).text(n)),
    (13, "cbBufSize", 262_144, lambda n: Stub(3, n)),
    (14, "cbBufSize", 262_144, lambda n: Stub(0x30, 3, n, 0)),
    (14, "lpResumeIndex", 262_144, lambda n: Stub(0x30, 3, 0, 1, n)),
    (15, "lpMachineName", 1024, lambda n: Stub(handle=False).text(n).numbers(0, 1)),
    (15, "lpDatabaseName", 257, lambda n: Stub(0, handle=False).text(n).numbers(1)),
    (16, "lpServiceName", 257, lambda n: Stub().text(n, pointer=False).numbers(1)),
    (17, "cbBufSize", 8192, Stub),
    (18, "cbBufSize", 4096, Stub),
    (19, "argc", 1024, arguments),
    (19, "argv[0]", 1024, lambda n: Stub(1, 1, 1).text(n)),
    (20, "lpServiceName", 257, lambda n: Stub().text(n, pointer=False).numbers(1)),
    (21, "lpDisplayName", 257, lambda n: Stub().text(n, pointer=False).numbers(1)),
    (35, "lpResumeIndex", 262_144, lambda n: Stub(0x30, 3, 0, 1, n, 0)),
    (35, "pszGroupName", 257, lambda n: Stub(0x30, 3, 0, 0).text(n)),
    (37, "lpDescription", 8192, lambda n: config2(1).text(n)),
    (37, "lpRebootMsg", 8192, lambda n: config2(2, 0, 1, 0, 0, 0).text(n, pointer=False)),
    (37, "cActions", 1024, lambda n: config2(2, 0, 0, 0, n).array(n, 8)),
    (37, "cbRequiredPrivileges", 4096, lambda n: config2(6, n).array(n)),
    (37, "cTriggers", 64, lambda n: Stub(8, 8, 1, n, 1, 0, n, *[0] * 5 * n)),
    (39, "cbBufSize", 8192, lambda n: Stub(1, n)),
    (40, "cbBufSize", 8192, lambda n: Stub(0, n)),
    (42, "cbBufSize", 262_144, lambda n: Stub(0, 0x30, 3, n, 0, 0)),
    (42, "lpResumeIndex", 262_144, lambda n: Stub(0, 0x30, 3, 0, 1, n, 0)),
    (42, "pszGroupName", 257, lambda n: Stub(0, 0x30, 3, 0, 0).text(n)),
    (51, "pszComment", 128, lambda n: Stub(1, 1, 1, 1, 0, 1).text(n, pointer=False)),
    (64, "lpDatabaseName", 257, lambda n: Stub(handle=False).text(n).numbers(1)),
]


@pytest.mark.parametrize(
    ("opnum", "limit", "stub"),
    [(opnum, limit, stub) for opnum, _, limit, stub in RANGES],
    ids=[f"{opnum} {name}" for opnum, name, _, _ in RANGES],
)
def test_the_limit_is_taken_and_one_more_is_a_fault(
    opnum: int, limit: int, stub: Callable[[int], Stub]
) -> None:
    operation = OPERATIONS[opnum]
    operation.decode_request(bytes(stub(limit).data))
    with pytest.raises(NdrError) as fault:
        operation.decode_request(bytes(stub(limit + 1).data))
    assert fault.value.status == BAD_STUB_DATA
