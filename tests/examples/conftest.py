from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from scmd import Service, ServiceState
from scmd.sdk.parameters import ParameterValue
from tests.examples.support import Host

Start = Callable[..., Host]


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts a service with these parameters; what still runs at the end is stopped."""
    hosts: list[Host] = []

    def begin(service: Service, /, **parameters: ParameterValue) -> Host:
        monkeypatch.setattr("scmd.sdk.parameters.read_parameters", lambda name: parameters)
        host = Host(service)
        hosts.append(host)
        host.reach(ServiceState.RUNNING)
        return host

    yield begin
    for host in hosts:
        if host.is_running:
            host.stop()
