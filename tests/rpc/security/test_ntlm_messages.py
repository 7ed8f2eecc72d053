"""NTLM's messages as bytes: how short they may be, and what they must begin with."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scmd.rpc.security import ntlm_messages as messages
from scmd.rpc.security.provider import SecurityError

FLAGS = messages.UNICODE | messages.TARGET_INFO
DECODERS = {
    messages.NEGOTIATE: messages.decode_negotiate,
    messages.CHALLENGE: messages.decode_challenge,
    messages.AUTHENTICATE: messages.decode_authenticate,
}
# Offset of the flags, and the least there is: the version and the MIC came later.
SHAPES = [
    (messages.NEGOTIATE, 12, 16),
    (messages.CHALLENGE, 20, 48),
    (messages.AUTHENTICATE, 60, 64),
]


def message(kind: int, flags_at: int, size: int, flags: int = FLAGS) -> bytes:
    data = bytearray(messages.SIGNATURE + kind.to_bytes(4, "little") + bytes(size - 12))
    data[flags_at : flags_at + 4] = flags.to_bytes(4, "little")
    return bytes(data[:size])


@pytest.mark.parametrize(("kind", "flags_at", "size"), SHAPES)
def test_a_message_has_a_head_of_its_kind(kind: int, flags_at: int, size: int) -> None:
    decode = DECODERS[kind]
    whole = message(kind, flags_at, size)
    assert decode(whole) is not None
    assert decode(message(kind, flags_at, messages.MAX_MESSAGE)) is not None
    other = kind % 3 + 1
    for wrong, reason in (
        (whole[:-1], "no NTLM message"),
        (b"ntlmssp\0" + whole[8:], "no NTLM message"),
        (message(other, flags_at, size), f"message {other} where {kind} was expected"),
        (message(kind, flags_at, messages.MAX_MESSAGE + 1), "of 16385 bytes"),
    ):
        with pytest.raises(SecurityError, match=reason):
            decode(wrong)


def test_what_it_must_say_of_itself() -> None:
    with pytest.raises(SecurityError, match="speaks no NTLMv2"):
        messages.decode_challenge(message(2, 20, 48, messages.UNICODE))
    with pytest.raises(SecurityError, match="does not speak Unicode"):
        messages.decode_authenticate(message(3, 60, 64, messages.TARGET_INFO))


@pytest.mark.parametrize(("size", "has_mic"), [(64, False), (72, False), (87, False), (88, True)])
def test_a_mic_is_there_when_it_is_whole(size: int, has_mic: bool) -> None:
    assert (messages.decode_authenticate(message(3, 60, size)).mic is not None) is has_mic


@pytest.mark.parametrize(
    ("length", "offset", "reason"),
    [
        (2, 64, None),
        (0, 0xFFFFFFFF, "points outside"),
        (2, 65, "points outside"),
        (3, 64, "points outside"),
        (0xFFFF, 64, "points outside"),
        (1, 64, "no UTF-16"),
    ],
)
def test_a_field_lies_in_its_message(length: int, offset: int, reason: str | None) -> None:
    """The user's, at 36 of 66 bytes."""
    data = bytearray(message(3, 60, 66))
    data[36:44] = length.to_bytes(2, "little") + bytes(2) + offset.to_bytes(4, "little")
    data[64:] = "é".encode("utf-16-le")
    if reason is None:
        assert messages.decode_authenticate(bytes(data)).user == "é"
    else:
        with pytest.raises(SecurityError, match=reason):
            messages.decode_authenticate(bytes(data))


@pytest.mark.parametrize(
    "data", [b"", b"\1\1" + bytes(25), b"\2\1" + bytes(30), b"\1\2" + bytes(30)]
)
def test_a_response_without_its_own_head_is_none_of_ntlmv2(data: bytes) -> None:
    with pytest.raises(SecurityError, match="none of NTLMv2"):
        messages.decode_client_challenge(data)


@given(
    st.integers(0, 2**64 - 1),
    st.binary(min_size=8, max_size=8),
    st.dictionaries(st.integers(1, 10), st.binary(max_size=20), max_size=5),
)
def test_client_challenges_go_round(
    timestamp: int, challenge: bytes, pairs: dict[int, bytes]
) -> None:
    sent = messages.ClientChallenge(timestamp=timestamp, challenge=challenge, pairs=pairs)
    data = messages.encode_client_challenge(sent)
    assert messages.decode_client_challenge(data) == sent
    # What stands behind the list's end is not looked at ([MS-NLMP] 2.2.2.7).
    assert messages.decode_client_challenge(data + b"more") == sent


def test_a_filetime_counts_from_1601() -> None:
    assert messages.filetime(0) == 116_444_736_000_000_000
    assert messages.filetime(1.5) - messages.filetime(0) == 15_000_000
