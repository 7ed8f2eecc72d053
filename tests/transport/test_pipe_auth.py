"""What smbd says of a pipe's user: a sample of Samba 4.17, its oracle, and hostile bytes."""

from __future__ import annotations

import re
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scmd.transport.pipe_auth import (
    MAX_REQUEST_BYTES,
    PipeAuthError,
    decode_request,
    encode_reply,
    request_size,
)

SAMPLE = Path(__file__).parent / "samples" / "named-pipe-auth-7.bin"
REQUEST = SAMPLE.read_bytes()
_SIDS_END, _RIGHTS_END, _FLAGS = 0x15C, 0x16C, 0x1F4


def elsewhere() -> bytes:
    """The sample from a client with a longer name: the rest lies four bytes further, or eight."""
    name = b"\x07\0\0\0\0\0\0\0\x07\0\0\0vm.lan\0\0"
    body = REQUEST[4:0x30] + name + REQUEST[0x40:0xC8] + bytes(4) + REQUEST[0xC8:]
    return len(body).to_bytes(4, "big") + body


def level_8(flags: int = 0, claims: tuple[int, int, int, int] = (0, 0, 0, 0)) -> bytes:
    """The sample as a later Samba would say it: claims after the rights, a word of flags."""
    counts = b"".join(count.to_bytes(4, "little") for count in claims)
    body = (
        REQUEST[4:8]
        + b"\x08\0\0\0\x08\0\0\0"
        + REQUEST[16:_RIGHTS_END]
        + counts
        + bytes(16 + 2 + 2)
        + REQUEST[_RIGHTS_END : _RIGHTS_END + 4]
        + bytes(4)
        + REQUEST[0x170:_FLAGS]
        + flags.to_bytes(4, "little")
        + REQUEST[0x1F8:]
    )
    return len(body).to_bytes(4, "big") + body


def test_the_sample_says_who_it_is() -> None:
    peer = decode_request(REQUEST)
    assert (peer.account, peer.domain, peer.address, peer.port) == (
        "root",
        "SCMDTEST",
        "127.0.0.1",
        33136,
    )
    assert (peer.uid, peer.gids, peer.is_guest) == (0, (0,), False)
    assert peer.sids[0] == "S-1-5-21-2940185345-2463224442-2792618207-1000"
    assert peer.sids[2:] == (
        *("S-1-22-2-0", "S-1-1-0", "S-1-5-2", "S-1-5-11", "S-1-22-1-0"),
        "S-1-22-2041152804-0",
    )
    assert len(peer.session_key) == 16
    assert peer.session_key.hex() not in repr(peer)


@pytest.mark.peers("ndrdump")
def test_sambas_own_decoder_reads_the_same(tmp_path: Path) -> None:
    file = tmp_path / "request"
    for request in (REQUEST, elsewhere()):
        file.write_bytes(request)
        program = shutil.which("ndrdump")
        assert program is not None
        done = subprocess.run(
            [program, "named_pipe_auth", "named_pipe_auth_req", "struct", file],
            capture_output=True,
            text=True,
            check=True,
        )
        assert "dump OK" in done.stdout
        peer = decode_request(request)
        assert tuple(re.findall(r" sids +: (S-\S+)", done.stdout)) == peer.sids
        assert f"'{peer.account}'" in done.stdout
        assert f"uid                      : 0x{peer.uid:016x}" in done.stdout


def test_a_name_of_another_length_moves_the_rest() -> None:
    moved, sample = decode_request(elsewhere()), decode_request(REQUEST)
    assert (moved.sids, moved.uid, moved.account) == (sample.sids, sample.uid, sample.account)


def test_a_later_level_is_understood() -> None:
    later, earlier = decode_request(level_8()), decode_request(REQUEST)
    assert later.level == 8
    for name in ("account", "domain", "sids", "uid", "gids", "is_guest", "session_key"):
        assert getattr(later, name) == getattr(earlier, name)
    assert decode_request(level_8(flags=3)).is_guest
    assert not decode_request(level_8(flags=2)).is_guest
    guest = bytearray(REQUEST)
    guest[_FLAGS] = 0
    assert decode_request(bytes(guest)).is_guest


def test_behind_claims_nothing_is_guessed() -> None:
    peer = decode_request(level_8(claims=(0, 1, 0, 0)))
    assert peer.sids == decode_request(REQUEST).sids
    assert (peer.uid, peer.gids, peer.account) == (None, (), "")
    assert not peer.is_guest


def test_a_session_may_have_no_unix_user() -> None:
    body = bytearray(REQUEST[4:_RIGHTS_END] + REQUEST[0x190:])
    body[0x88:0x8C] = bytes(4)
    peer = decode_request(len(body).to_bytes(4, "big") + body)
    assert (peer.uid, peer.gids, peer.account, peer.domain) == (None, (), "root", "SCMDTEST")
    assert peer.sids == decode_request(REQUEST).sids


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({8: 6, 12: 6}, "level 6"),
        ({8: 9, 12: 9}, "level 9"),
        ({12: 8}, "level 7"),
        ({4: 0x4F}, "not understood"),
        ({0x10: 2}, "not a named pipe"),
        ({0x2C: 0, 0x2E: 0}, "no session"),
        ({0x80: 0, 0x82: 0}, "no session"),
        ({0x88: 0, 0x8A: 0}, "without a token"),
        ({0x90: 0, 0x92: 0}, "or a user"),
        ({0x98: 1}, "Samba's own tests"),
        ({0x9F: 0xFF}, "ends too early"),
        ({0xB0: 1}, "cannot travel"),
        ({0xC8: 9}, "8 SIDs"),
        ({0xC8: 0, 0xCC: 0}, "0 SIDs"),
        ({0xC8: 0x80, 0xCC: 0x80}, "128 SIDs"),
        ({0xCB: 0xFF, 0xCF: 0xFF}, "SIDs"),
        ({0xD0: 2}, "malformed: SID revision 2"),
        ({0x16C: 2}, "1 groups"),
        ({0x16C: 0x80, 0x180: 0x80}, "128 groups"),
        ({0x16F: 0xFF, 0x183: 0xFF}, "groups"),
        ({0x174: 1}, "32 bits"),
        ({0x17C: 1}, "32 bits"),
        ({0x18C: 1}, "32 bits"),
        ({0x1FC: 1}, "string counts 5, 1, 5"),
        ({0x200: 0}, "string counts 5, 0, 0"),
        ({0x200: 6}, "string counts 5, 0, 6"),
        ({0x1F9: 0x20, 0x201: 0x20}, "string counts 8197, 0, 8197"),
        ({0x200: 0xFF, 0x203: 0xFF, 0x208: 0xFF, 0x20B: 0xFF}, "string counts"),
        ({0x204: 0xFF}, "malformed: .* codec"),
    ],
)
def test_what_is_wrong_is_refused(change: dict[int, int], reason: str) -> None:
    request = bytearray(REQUEST)
    for position, byte in change.items():
        request[position] = byte
    with pytest.raises(PipeAuthError, match=reason):
        decode_request(bytes(request))


def test_numbers_have_32_bits() -> None:
    request = bytearray(REQUEST)
    for position in (0x170, 0x178, 0x188):
        request[position : position + 4] = b"\xff" * 4
    peer = decode_request(bytes(request))
    assert (peer.uid, peer.gids) == (0xFFFFFFFF, (0xFFFFFFFF,))


def test_claims_have_to_be_counted() -> None:
    request = bytearray(level_8())
    request[_RIGHTS_END + 16] = 1
    with pytest.raises(PipeAuthError, match="not counted"):
        decode_request(bytes(request))


@pytest.mark.parametrize("end", range(5, len(REQUEST) - 64, 16))
def test_a_request_that_is_cut_is_refused(end: int) -> None:
    with pytest.raises(PipeAuthError, match=r"malformed|too early|SIDs|groups"):
        decode_request(REQUEST[:end])


def test_a_request_is_as_long_as_it_says_within_reason() -> None:
    assert request_size(REQUEST[:3]) is None
    assert request_size(REQUEST) == len(REQUEST)
    assert request_size((MAX_REQUEST_BYTES - 4).to_bytes(4, "big")) == MAX_REQUEST_BYTES
    with pytest.raises(PipeAuthError):
        request_size((MAX_REQUEST_BYTES - 3).to_bytes(4, "big"))


def test_the_reply_echoes_the_level() -> None:
    assert encode_reply(7) == bytes.fromhex(
        "00000020 4e50414d 07000000 07000000 0200 ff05 00000000 0010000000000000 00000000"
    )
    assert encode_reply(8, 0xC0000022)[-4:] == bytes.fromhex("220000c0")


@given(st.integers(0, len(REQUEST)), st.binary(max_size=8), st.booleans())
def test_hostile_requests_raise_nothing_else(position: int, bytes_there: bytes, cut: bool) -> None:
    whole = level_8() if cut else REQUEST
    changed = whole[:position] + bytes_there + whole[position + len(bytes_there) :]
    for request in (changed, changed[:position]):
        with suppress(PipeAuthError):
            decode_request(request)


@given(st.binary(max_size=200))
def test_any_bytes_raise_nothing_else(data: bytes) -> None:
    for request in (data, REQUEST[:16] + data):
        with suppress(PipeAuthError):
            decode_request(request)
