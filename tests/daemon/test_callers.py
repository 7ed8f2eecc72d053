"""Who a local caller is: by uid and groups, and by what of them is a service's own."""

from __future__ import annotations

from scmd.daemon.callers import caller_of
from scmd.security.sid import ADMINISTRATORS, service_sid
from scmd.transport.peer import Peer

SERVICES = {5001: "Web", 5002: "Db"}


def test_a_process_of_a_virtual_account_has_its_services_sid() -> None:
    caller = caller_of(Peer(5001, (5001,), 1), SERVICES.get)
    assert caller.name == "NT SERVICE\\Web"
    assert service_sid("Web") in caller.token.sids
    assert service_sid("Db") not in caller.token.sids
    assert ADMINISTRATORS not in caller.token.sids


def test_a_process_in_a_services_group_has_its_sid_too() -> None:
    caller = caller_of(Peer(65533, (65533, 5002), 1), SERVICES.get)
    assert service_sid("Db") in caller.token.sids
    assert caller.name == "uid 65533"


def test_root_has_no_services_sid() -> None:
    caller = caller_of(Peer(0, (0,), 1), SERVICES.get)
    assert ADMINISTRATORS in caller.token.sids
    assert not any(sid.startswith("S-1-5-80-") for sid in caller.token.sids)
