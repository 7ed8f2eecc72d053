"""The cipher of lpPassword by named pipe, against another implementation of it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from scmd.rpc.security.secret_cipher import encrypted


@given(st.binary(max_size=506), st.binary(min_size=16, max_size=16))
def test_impacket_opens_it_and_encrypts_the_same(secret: bytes, key: bytes) -> None:
    from impacket.crypto import decryptSecret, encryptSecret

    data = encrypted(secret, key)
    assert data == encryptSecret(key, secret)
    assert decryptSecret(key, data) == secret
