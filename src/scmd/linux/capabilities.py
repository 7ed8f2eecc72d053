"""Capabilities of a child: those it may ever have, and those it starts with.

See capabilities(7). The bounding set takes from root, and from set-user-ID programs, what is
not in it. A user that is not root gets what is in it as ambient capabilities, which outlast
execve(2).
"""

from __future__ import annotations

import ctypes
import os

from scmd.vocabulary.privileges import ALL_CAPABILITIES, CAPABILITIES

_PR_SET_KEEPCAPS = 8
_PR_CAPBSET_READ = 23
_PR_CAPBSET_DROP = 24
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Data(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def available() -> int:
    """The bits of those this process could pass on."""
    data = (_Data * 2)()
    _check(_libc.capget(ctypes.byref(_Header(_VERSION_3, 0)), ctypes.byref(data)))
    permitted: int = data[0].permitted | data[1].permitted << 32
    return permitted


def names(bits: int) -> str:
    return ", ".join(
        f"CAP_{name}" for number, name in enumerate(CAPABILITIES) if bits >> number & 1
    )


def bound(bits: int) -> None:
    """Drop all others from the bounding set, those of newer kernels among them."""
    number = 0
    while _libc.prctl(_PR_CAPBSET_READ, number, 0, 0, 0) >= 0:
        if not bits >> number & 1 and bits != ALL_CAPABILITIES:
            _check(_libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0))
        number += 1


def keep() -> None:
    """What is permitted stays so when root becomes another user."""
    _check(_libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0))


def give(bits: int) -> None:
    """Exactly these, for the program that is executed next, whose user is not root."""
    low, high = bits & 0xFFFFFFFF, bits >> 32
    data = (_Data * 2)(_Data(low, low, low), _Data(high, high, high))
    _check(_libc.capset(ctypes.byref(_Header(_VERSION_3, 0)), ctypes.byref(data)))
    for number in range(bits.bit_length()):
        if bits >> number & 1:
            _check(_libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, number, 0, 0))


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
