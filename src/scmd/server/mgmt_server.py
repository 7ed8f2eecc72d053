"""Serving the mgmt interface: which interfaces there are, how busy the server is, who it is.

Nothing of it changes anything: to stop a server remotely is refused to everybody. A policy may
leave this interface open to clients that have not authenticated.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from scmd.rpc.interface import Interface
from scmd.rpc.mgmt import (
    BUFFER_TOO_SMALL,
    INQ_IF_IDS,
    INQ_PRINC_NAME,
    INQ_STATS,
    IS_SERVER_LISTENING,
    MAX_NAME,
    MAX_STATISTICS,
    MGMT,
    STOP_SERVER_LISTENING,
    UNKNOWN_AUTHENTICATION_SERVICE,
    InqIfIdsRequest,
    InqIfIdsResponse,
    InqPrincNameRequest,
    InqPrincNameResponse,
    InqStatsRequest,
    InqStatsResponse,
    InterfaceId,
    InterfaceVector,
    IsServerListeningRequest,
    IsServerListeningResponse,
    Statistics,
    StopServerListeningRequest,
    StopServerListeningResponse,
)
from scmd.rpc.security.provider import KERBEROS, SPNEGO
from scmd.server.steps import ServedOperation, Steps, Work, served, table
from scmd.vocabulary.errors import Error


class Management:
    """What one end point says. `principal`: the name Kerberos knows this server by."""

    def __init__(
        self, interfaces: Iterable[Interface], statistics: Statistics, principal: str = ""
    ) -> None:
        self._interfaces = (*interfaces, MGMT)
        self._statistics = statistics
        self._principal = principal

    def operations(self) -> Mapping[int, ServedOperation]:
        return table(
            served(INQ_IF_IDS, self._inq_if_ids),
            served(INQ_STATS, self._inq_stats),
            served(IS_SERVER_LISTENING, self._is_server_listening),
            served(STOP_SERVER_LISTENING, self._stop_server_listening),
            served(INQ_PRINC_NAME, self._inq_princ_name),
        )

    def _inq_if_ids(self, work: Work, request: InqIfIdsRequest) -> Steps[InqIfIdsResponse]:
        yield from ()
        ids = tuple(
            InterfaceId(uuid=interface.uuid, major=interface.major, minor=interface.minor)
            for interface in self._interfaces
        )
        return InqIfIdsResponse(vector=InterfaceVector(ids=ids))

    def _inq_stats(self, work: Work, request: InqStatsRequest) -> Steps[InqStatsResponse]:
        yield from ()
        statistics = self._statistics
        numbers = (statistics.calls, 0, statistics.received, statistics.sent)
        wanted = numbers[: min(request.count, MAX_STATISTICS)]
        return InqStatsResponse(statistics=tuple(number & 0xFFFF_FFFF for number in wanted))

    def _is_server_listening(
        self, work: Work, request: IsServerListeningRequest
    ) -> Steps[IsServerListeningResponse]:
        yield from ()
        return IsServerListeningResponse(is_listening=1)

    def _stop_server_listening(
        self, work: Work, request: StopServerListeningRequest
    ) -> Steps[StopServerListeningResponse]:
        yield from ()
        return StopServerListeningResponse(status=Error.ACCESS_DENIED)

    def _inq_princ_name(
        self, work: Work, request: InqPrincNameRequest
    ) -> Steps[InqPrincNameResponse]:
        yield from ()
        name, status = "", 0
        if request.authentication_service not in (SPNEGO, KERBEROS) or not self._principal:
            status = UNKNOWN_AUTHENTICATION_SERVICE
        elif len(self._principal.encode()) >= request.size:
            status = BUFFER_TOO_SMALL
        else:
            name = self._principal
        capacity = max(len(name.encode()) + 1, min(request.size, MAX_NAME))
        return InqPrincNameResponse(name=name, capacity=capacity, status=status)
