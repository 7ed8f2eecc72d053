from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from scmd import Service, ServiceState
from tests.examples.support import Host

Start = Callable[..., Host]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a service with these parameters; what still runs at the end is stopped."""
    hosts: list[Host] = []

    def begin(service: Service, /, **parameters: Any) -> Host:
        host = Host(service, parameters)
        hosts.append(host)
        host.reach(ServiceState.RUNNING)
        return host

    yield begin
    for host in hosts:
        if host.is_running:
            host.stop()
