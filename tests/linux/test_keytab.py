"""Keytabs: bytes written by hand, and hostile ones. Real ones are read in tests/remote."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scmd.linux.keytab import KeytabError, host_principal


def counted(text: str) -> bytes:
    return len(text).to_bytes(2, "big") + text.encode()


def record(*components: str, realm: str = "LAB") -> bytes:
    """With a name type, a time, a version and a key of four bytes behind the names."""
    names = counted(realm) + b"".join(map(counted, components))
    body = len(components).to_bytes(2, "big") + names + bytes(9) + b"\0\x12\0\4keys"
    return len(body).to_bytes(4, "big") + body


HOLE = (-20).to_bytes(4, "big", signed=True) + bytes(20)
HOST = record("host", "web.lab")


def found(folder: Path, data: bytes) -> str:
    path = folder / "keytab"
    path.write_bytes(data)
    return host_principal(str(path))


@pytest.mark.parametrize(
    "records",
    [
        HOST,
        record("cifs", "web.lab") + HOST + record("host", "other"),
        HOLE + record("ann") + HOLE + HOST + bytes(4) + b"what was there before",
    ],
)
def test_the_first_key_of_the_host_is_found(tmp_path: Path, records: bytes) -> None:
    assert found(tmp_path, b"\5\2" + records) == "host/web.lab@LAB"


def test_active_directory_writes_it_large(tmp_path: Path) -> None:
    assert found(tmp_path, b"\5\2" + record("HOST", "WEB")) == "HOST/WEB@LAB"


@pytest.mark.parametrize("records", [b"", HOLE, record("cifs", "web.lab"), bytes(4) + HOST])
def test_one_without_such_a_key_is_of_no_use(tmp_path: Path, records: bytes) -> None:
    with pytest.raises(KeytabError, match="has no key of host/NAME"):
        found(tmp_path, b"\5\2" + records)


@pytest.mark.parametrize(
    "data", [b"", b"\5", b"\5\1" + HOST, b"\5\2" + HOST[:-40], b"\5\2\0\0\0\1x", b"[libdefaults]"]
)
def test_what_is_no_keytab_is_told_so(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(KeytabError, match="is no keytab"):
        found(tmp_path, data)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=80), at=st.integers(0, 60), is_whole=st.booleans())
def test_hostile_bytes_are_one_error(tmp_path: Path, data: bytes, at: int, is_whole: bool) -> None:
    whole = b"\5\2" + HOST + record("x")
    with suppress(KeytabError):
        found(tmp_path, data if is_whole else whole[:at] + data + whole[at:])
