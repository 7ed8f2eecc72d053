"""The client's end of SPNEGO, for the server's to be tried with: our own client does without."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scmd.rpc.security import spnego_tokens as tokens
from scmd.rpc.security.provider import Initiator, SecurityError
from scmd.rpc.security.spnego_tokens import InitToken, ResponseToken


class SpnegoInitiator:
    """`mechanisms` in the order of liking; the first one begins. All else is the chosen one's."""

    def __init__(self, mechanisms: Sequence[tuple[bytes, Initiator]]) -> None:
        self._mechanisms = mechanisms
        self._mechanism_list = b""
        self.inner: Initiator | None = None
        self._is_settled = False
        self._sent_mic = False
        self._is_done = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def is_done(self) -> bool:
        return self._is_done

    def step(self, token: bytes) -> bytes | None:
        if self.inner is None:
            return self._begin()
        response = tokens.decode_response(token)
        if response.state == tokens.REJECT:
            raise SecurityError("SPNEGO: the server refuses")
        answer = self._settle(response) if not self._is_settled else None
        if answer is None and not self.inner.is_done():
            if response.token is None:
                raise SecurityError("SPNEGO: the server does not carry on")
            answer = self.inner.step(response.token)
        elif response.token:
            raise SecurityError("SPNEGO: a token where none was expected")
        return self._finish(response, answer)

    def _begin(self) -> bytes:
        oids = tuple(oid for oid, _ in self._mechanisms)
        self._mechanism_list = tokens.encode_mechanisms(oids)
        self.inner = self._mechanisms[0][1]
        init = InitToken(
            mechanisms=oids,
            mechanism_list=self._mechanism_list,
            token=self.inner.step(b""),
        )
        return tokens.encode_init(init)

    def _settle(self, response: ResponseToken) -> bytes | None:
        """Take the server's choice; the first token when it is another than ours."""
        self._is_settled = True
        first = self._mechanisms[0][0]
        chosen = first if response.mechanism is None else response.mechanism
        if chosen == first:
            return None
        inner = dict(self._mechanisms).get(chosen)
        if inner is None:
            raise SecurityError("SPNEGO: the server chose a mechanism that was not offered")
        self.inner = inner
        return inner.step(b"")

    def _finish(self, response: ResponseToken, answer: bytes | None) -> bytes | None:
        inner = self.inner
        assert inner is not None
        mic = None
        if inner.is_done():
            if response.mic is not None:
                inner.check_list_mic(self._mechanism_list, response.mic)
            if self._sent_mic and response.mic is None:
                raise SecurityError("SPNEGO: the server does not prove the list of mechanisms")
            if not self._sent_mic and self._proves_list(response):
                mic = inner.list_mic(self._mechanism_list)
                self._sent_mic = True
            self._is_done = response.state == tokens.ACCEPT_COMPLETED and mic is None
            if self._is_done and answer is None:
                return None
        return tokens.encode_response(ResponseToken(token=answer, mic=mic))

    def _proves_list(self, response: ResponseToken) -> bool:
        """Always with NTLM, whose servers expect it; else when asked, or when we must ask."""
        oid = next(oid for oid, inner in self._mechanisms if inner is self.inner)
        return oid == tokens.NTLM_OID or oid != self._mechanisms[0][0] or response.mic is not None
