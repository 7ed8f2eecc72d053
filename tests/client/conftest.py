"""Fixtures: an SCM with simulated services, and connections to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from scmd import winsvc
from scmd.client.calls import Calls, open_calls
from scmd.client.sc_handle import ScHandle
from scmd.client.scm import Scm, connect
from scmd.vocabulary.errors import Error
from scmd.vocabulary.winerror import WinError
from tests.client.world import World


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """The SCM that this process and its children find."""
    with World() as world:
        monkeypatch.setenv("SCMD_RUNTIME", str(world.runtime))
        yield world


@pytest.fixture
def calls(world: World) -> Iterator[Calls]:
    with open_calls() as calls:
        yield calls


@pytest.fixture
def scm(world: World) -> Iterator[Scm]:
    with connect() as scm:
        yield scm


@pytest.fixture
def manager(world: World) -> Iterator[ScHandle]:
    with winsvc.OpenSCManager(None, None, winsvc.SC_MANAGER_ALL_ACCESS) as manager:
        yield manager


@pytest.fixture
def web(manager: ScHandle) -> Iterator[ScHandle]:
    with created(manager, "Web") as service:
        yield service


def created(manager: ScHandle, name: str) -> ScHandle:
    made = winsvc.CreateService(
        manager, name, None, winsvc.SERVICE_ALL_ACCESS, 0x10, 3, 1, "/usr/bin/web"
    )
    assert isinstance(made, ScHandle)
    return made


def refuse(*_: object) -> None:
    """In place of a call: the server has taken the caller's right."""
    raise WinError(Error.ACCESS_DENIED, "OpenSCManager")
