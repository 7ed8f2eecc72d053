"""Presentation contexts of a server's connection: which number means which interface, spoken how.

Negotiated by bind and alter_context ([C706] 12.6.4.3, [MS-RPCE] 3.3.1.5.3 and 3.3.1.5.4). What a
number means is settled once: an alter_context slipped in on the way cannot turn calls over to
another interface.
"""

from __future__ import annotations

from scmd.ndr.structure import NDR64
from scmd.rpc import binds
from scmd.rpc.errors import RpcError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from scmd.rpc.interface import Interface

MAX_CONTEXTS = 256


class PresentationContexts:
    """What has been agreed so far. `features` are the bind-time features this end grants."""

    def __init__(self, interfaces: Iterable[Interface], features: int) -> None:
        self.interfaces = tuple(interfaces)
        self._by_syntax = {(i.uuid, i.major): i for i in self.interfaces}
        self._features = features
        self.by_id: dict[int, tuple[Interface, int]] = {}
        """Interface and form (NDR64 or 0)."""
        self.syntaxes: dict[int, bytes] = {}
        """Abstract and transfer syntax of each number as they are on the wire, little endian."""

    def negotiate(
        self, contexts: Sequence[binds.PresentationContext], call_id: int
    ) -> list[binds.ContextResult]:
        """One result a context, in order; an interface is accepted in one syntax only.

        RpcError: nothing is proposed, features are twice, or a number would mean something else.
        """
        if not contexts or not all(context.transfers for context in contexts):
            raise RpcError("a bind or alter_context that proposes nothing", call_id)
        taken: set[Interface] = set()
        results: list[binds.ContextResult] = []
        for context in contexts:
            first = context.transfers[0].uuid
            if not first.startswith(binds.FEATURES_PREFIX):
                results.append(self._negotiate_one(context, taken, call_id))
                continue
            if any(result.result == binds.NEGOTIATE_ACK for result in results):
                raise RpcError("bind time features for the second time", call_id)
            granted = int.from_bytes(first[8:16], "little") & self._features
            results.append(binds.ContextResult(result=binds.NEGOTIATE_ACK, reason=granted))
        return results

    def _negotiate_one(
        self, context: binds.PresentationContext, taken: set[Interface], call_id: int
    ) -> binds.ContextResult:
        abstract = context.abstract
        interface = self._by_syntax.get((abstract.uuid, abstract.version & 0xFFFF))
        if interface is None or abstract.version >> 16 > interface.minor:
            return _rejected(binds.ABSTRACT_SYNTAX_NOT_SUPPORTED)
        for transfer in context.transfers:
            if transfer in (binds.NDR_SYNTAX, binds.NDR64_SYNTAX) and interface not in taken:
                meaning = (interface, NDR64 if transfer == binds.NDR64_SYNTAX else 0)
                settled = self.by_id.get(context.id)
                if settled is None and len(self.by_id) >= MAX_CONTEXTS:
                    return _rejected(binds.LOCAL_LIMIT)
                if settled not in (None, meaning):
                    raise RpcError(f"another meaning for context {context.id}", call_id)
                taken.add(interface)
                self.by_id[context.id] = meaning
                self.syntaxes[context.id] = binds.encode_syntax(abstract) + binds.encode_syntax(
                    transfer
                )
                return binds.ContextResult(transfer=transfer)
        return _rejected(binds.TRANSFER_SYNTAXES_NOT_SUPPORTED)


def _rejected(reason: int) -> binds.ContextResult:
    return binds.ContextResult(result=binds.PROVIDER_REJECTION, reason=reason)
