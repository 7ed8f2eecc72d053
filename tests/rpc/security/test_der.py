"""DER: lengths in as few bytes as they need, and nothing else."""

from __future__ import annotations

import pytest

from scmd.rpc.security import der
from scmd.rpc.security.provider import SecurityError


@pytest.mark.parametrize(
    ("size", "head"),
    [
        (0, "0400"),
        (127, "047f"),
        (128, "048180"),
        (255, "0481ff"),
        (256, "04820100"),
        (65535, "0482ffff"),
        (65536, "0483010000"),
    ],
)
def test_a_length_has_the_bytes_it_needs(size: int, head: str) -> None:
    data = der.encode(der.OCTET_STRING, bytes(size))
    assert data == bytes.fromhex(head) + bytes(size)
    reader = der.Reader(data + b"\x05\0")
    assert reader.take(der.OCTET_STRING) == bytes(size)
    assert reader.tag == 5
    reader.skip()
    assert reader.tag is None


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("", "tag None where 4"),
        ("0500", "tag 5 where 4"),
        ("04", "cut short"),
        ("0401", "longer"),
        ("048180" + "00" * 127, "longer"),
        ("048401000000", "longer"),
        ("0480" + "00" * 128, "not as it should be"),
        ("04817f" + "00" * 127, "not as it should be"),
        ("04820080" + "00" * 128, "not as it should be"),
        ("048200ff" + "00" * 255, "not as it should be"),
        ("04850100000000", "not as it should be"),
    ],
)
def test_any_other_is_refused(data: str, reason: str) -> None:
    with pytest.raises(SecurityError, match=reason):
        der.Reader(bytes.fromhex(data)).take(der.OCTET_STRING)
