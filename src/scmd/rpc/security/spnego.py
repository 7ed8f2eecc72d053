"""SPNEGO: which mechanism, and that nobody has narrowed the choice ([RFC 4178], [MS-SPNG]).

The client names what it can do and begins with what it likes best; the server takes the first it
can do too. Where that is not the client's first choice, both ends must prove by a MIC over the list
that they have seen the same one; otherwise a MIC that comes is checked and answered. A bare NTLM
message in place of the first token is taken for what it is, as Windows does.
"""

from __future__ import annotations

from scmd.rpc.security import spnego_tokens as tokens
from scmd.rpc.security.ntlm_messages import SIGNATURE as NTLM_SIGNATURE
from scmd.rpc.security.provider import SecurityError
from scmd.rpc.security.spnego_tokens import InitToken, ResponseToken

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from scmd.rpc.security.provider import Acceptor, Identity

MAX_LEGS = 10


class SpnegoAcceptor:
    """The server's end. `mechanisms`: how one of each object identifier begins."""

    def __init__(self, mechanisms: Mapping[bytes, Callable[[], Acceptor]]) -> None:
        self._mechanisms = mechanisms
        self._inner: Acceptor | None = None
        self._mechanism_list = b""
        self._legs = 0
        self._is_done = False
        self._is_bare = False
        self._needs_mic = False

    def step(self, token: bytes) -> bytes | None:
        self._legs += 1
        if self._is_done or self._legs > MAX_LEGS:
            raise SecurityError("SPNEGO: a token after the last one")
        if self._inner is None:
            if token.startswith(NTLM_SIGNATURE):
                return self._begin_bare(token)
            return self._choose(tokens.decode_init(token))
        if self._is_bare:
            return self._step_bare(token)
        return self._carry_on(tokens.decode_response(token))

    def _begin_bare(self, token: bytes) -> bytes | None:
        begin = self._mechanisms.get(tokens.NTLM_OID)
        if begin is None:
            raise SecurityError("NTLM is not offered")
        self._inner = begin()
        self._is_bare = True
        return self._step_bare(token)

    def _step_bare(self, token: bytes) -> bytes | None:
        answer = self.inner.step(token)
        self._is_done = self.inner.is_done()
        return answer

    def _choose(self, init: InitToken) -> bytes:
        chosen = next((oid for oid in init.mechanisms if oid in self._mechanisms), None)
        if chosen is None:
            raise SecurityError("SPNEGO: no mechanism that both ends can do")
        self._inner = self._mechanisms[chosen]()
        self._mechanism_list = init.mechanism_list
        if chosen != init.mechanisms[0]:
            # The token that came was for a mechanism that we cannot do.
            self._needs_mic = True
            return tokens.encode_response(ResponseToken(state=tokens.REQUEST_MIC, mechanism=chosen))
        return self._respond(init.token, init.mic, chosen)

    def _carry_on(self, response: ResponseToken) -> bytes:
        if response.state == tokens.REJECT:
            raise SecurityError("SPNEGO: the client has given up")
        return self._respond(response.token, response.mic, None)

    def _respond(self, token: bytes | None, mic: bytes | None, chosen: bytes | None) -> bytes:
        inner = self.inner
        answer = None
        if not inner.is_done():
            if token is not None:
                answer = inner.step(token)
        elif token:
            raise SecurityError("SPNEGO: a token after the mechanism's last one")
        own_mic = None
        if inner.is_done():
            if mic is not None:
                inner.check_list_mic(self._mechanism_list, mic)
                own_mic = inner.list_mic(self._mechanism_list)
            self._is_done = mic is not None or not self._needs_mic
        elif mic is not None:
            raise SecurityError("SPNEGO: a MIC before its time")
        state = tokens.ACCEPT_COMPLETED if self._is_done else tokens.ACCEPT_INCOMPLETE
        return tokens.encode_response(
            ResponseToken(state=state, mechanism=chosen, token=answer, mic=own_mic)
        )

    # Once a mechanism is chosen ---------------------------------------------------------------

    def is_done(self) -> bool:
        return self._is_done

    @property
    def inner(self) -> Acceptor:
        """The mechanism that was chosen."""
        assert self._inner is not None, "no mechanism is chosen yet"
        return self._inner

    @property
    def covers_headers(self) -> bool:
        return self.inner.covers_headers

    @property
    def session_key(self) -> bytes:
        return self.inner.session_key

    def signature_size(self, sealing: bool) -> int:
        return self.inner.signature_size(sealing)

    # What is done to every PDU is the mechanism's own, with nothing in between.

    @property
    def sign(self) -> Callable[[bytes, bytes, bytes], bytes]:
        return self.inner.sign

    @property
    def verify(self) -> Callable[[bytes, bytes, bytes, bytes], None]:
        return self.inner.verify

    @property
    def seal(self) -> Callable[[bytes, bytes, bytes], tuple[bytes, bytes]]:
        return self.inner.seal

    @property
    def unseal(self) -> Callable[[bytes, bytes, bytes, bytes], bytes]:
        return self.inner.unseal

    def list_mic(self, data: bytes) -> bytes:
        return self.inner.list_mic(data)

    def check_list_mic(self, data: bytes, mic: bytes) -> None:
        self.inner.check_list_mic(data, mic)

    @property
    def identity(self) -> Identity:
        return self.inner.identity
