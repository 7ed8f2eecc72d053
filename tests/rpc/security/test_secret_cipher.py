"""The cipher of lpPassword: round trips, an independent implementation, what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scmd.rpc.security.provider import SecurityError
from scmd.rpc.security.secret_cipher import decrypt, encrypt

KEY = bytes(range(16))
keys = st.binary(min_size=16, max_size=16)


@given(st.binary(max_size=514), keys)
def test_a_secret_survives(secret: bytes, key: bytes) -> None:
    data = encrypt(secret, key)
    assert len(data) % 8 == 0
    assert decrypt(data, key) == secret


@given(st.binary(max_size=100), keys)
def test_impacket_encrypts_the_same(secret: bytes, key: bytes) -> None:
    from impacket.crypto import decryptSecret, encryptSecret

    assert encrypt(secret, key) == encryptSecret(key, secret)
    assert decryptSecret(key, encrypt(secret, key)) == secret


@pytest.mark.parametrize("data", [b"", b"1234567", bytes(9), bytes(8), encrypt(b"secret", KEY)[:8]])
def test_what_was_not_encrypted_here_is_refused(data: bytes) -> None:
    with pytest.raises(SecurityError):
        decrypt(data, KEY)


@given(keys)
def test_another_key_opens_nothing(key: bytes) -> None:
    if encrypt(b"secret", key) == encrypt(b"secret", KEY):
        return
    with pytest.raises(SecurityError):
        decrypt(encrypt(b"secret", KEY), key)
