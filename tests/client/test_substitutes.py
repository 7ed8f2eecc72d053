"""A server without EnumServicesStatusEx that looks at no mask, as Samba's (tests/remote)."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from scmd.client.calls import FIRST_ENUM_BYTES, Calls
from scmd.ndr.values import ContextHandle
from scmd.svcctl import control
from scmd.svcctl.buffers import pack_services
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import ServiceState, ServiceType, StateMask
from scmd.vocabulary.status import ServiceStatus
from scmd.vocabulary.winerror import WinError

SCM = ContextHandle(bytes(20))
OWN, SHARE, KERNEL = (
    ServiceType.WIN32_OWN_PROCESS,
    ServiceType.WIN32_SHARE_PROCESS,
    ServiceType.KERNEL_DRIVER,
)


class Listed(NamedTuple):
    name: str
    display_name: str
    status: ServiceStatus


class LesserServer(Calls):
    """Answers EnumServicesStatus from a list, all of it or nothing."""

    def __init__(self, *services: tuple[str, int, int]) -> None:
        self.services = [
            Listed(name, f"{name} displayed", ServiceStatus(type=type_, state=state))
            for name, type_, state in services
        ]
        self.sizes: list[int] = []

    def call(self, operation: Any, request: Any, *_: Any, **__: Any) -> Any:
        if operation is not control.ENUM_SERVICES_STATUS_W:
            raise WinError(Error.RPC_PROCNUM_OUT_OF_RANGE, operation.name)
        size = request.buffer_size
        self.sizes.append(size)
        buffer, count, needed = pack_services(self.services, size, with_process=False)
        if count < len(self.services):
            return control.EnumServicesResponse(
                buffer=bytes(size), bytes_needed=needed, returned=0, error=Error.MORE_DATA
            )
        return control.EnumServicesResponse(
            buffer=buffer, bytes_needed=0, returned=count, resume_index=0, error=0
        )


def names(server: LesserServer, types: int, states: int) -> list[str]:
    return [entry.name for entry in server.enum_services(SCM, types, states)]


def test_only_what_was_asked_for_is_told() -> None:
    server = LesserServer(
        ("Up", OWN, ServiceState.RUNNING),
        ("Paused", SHARE, ServiceState.PAUSED),
        ("Down", OWN | ServiceType.INTERACTIVE_PROCESS, ServiceState.STOPPED),
        ("Driver", KERNEL, ServiceState.RUNNING),
    )
    both = ServiceType.WIN32
    assert names(server, both, StateMask.ALL) == ["Up", "Paused", "Down"]
    assert names(server, both, StateMask.ACTIVE) == ["Up", "Paused"]
    assert names(server, both, StateMask.INACTIVE) == ["Down"]
    assert names(server, SHARE, StateMask.ALL) == ["Paused"]
    assert names(server, ServiceType.DRIVER, StateMask.ALL) == ["Driver"]
    with pytest.raises(WinError) as caught:
        server.enum_services(SCM, both, StateMask.ALL, "Group")
    assert caught.value.winerror == Error.RPC_PROCNUM_OUT_OF_RANGE


def test_a_list_that_does_not_fit_is_asked_for_with_more_room() -> None:
    services = [(f"Service{number:04}", OWN, ServiceState.RUNNING) for number in range(800)]
    server = LesserServer(*services)
    assert len(names(server, OWN, StateMask.ALL)) == 800
    assert server.sizes == [FIRST_ENUM_BYTES, 262_144]


def test_a_list_that_never_fits_is_an_error_not_an_empty_one() -> None:
    services = [(f"Service{number:04}", OWN, ServiceState.RUNNING) for number in range(4000)]
    with pytest.raises(WinError) as caught:
        names(LesserServer(*services), OWN, StateMask.ALL)
    assert caught.value.winerror == Error.MORE_DATA
