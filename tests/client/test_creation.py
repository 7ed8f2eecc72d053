"""A new service is there with all that was asked for, or not at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

import pytest

from scmd.client import configuration, creation
from scmd.client.calls import Calls, open_calls
from scmd.client.creation import Besides
from scmd.client.scm import Scm
from scmd.scmd_interface.operations import PREPARE_SERVICE
from scmd.vocabulary.configuration import ServiceConfig
from scmd.vocabulary.errors import Error
from scmd.vocabulary.registry import RegistryValue
from scmd.vocabulary.service import ActionType
from scmd.vocabulary.winerror import WinError
from tests.client.test_reconnection import Client
from tests.client.world import World

RECORD = ServiceConfig(name="Web", image_path="srvany", start_type=2)
BESIDES = Besides(
    description="Serves.",
    delayed=True,
    failure_actions_flag=True,
    restart_delay=70,
    parameters={"Application": RegistryValue.of("/bin/web"), "Port": RegistryValue.of(80)},
)


def check_whole(calls: Calls, name: str = "Web") -> None:
    service = Scm(calls)[name]
    config = service.config
    assert config.description
    assert config.delayed_auto_start
    assert config.failure_actions_flag
    assert [action.type for action in config.failure_actions.actions] == [ActionType.RESTART]
    assert service.parameters["Application"].startswith("/bin/")


@pytest.fixture
def calls(world: World) -> Any:
    with open_calls() as opened:
        yield opened


class OtherServer(Calls):
    """As one of somebody else's, or an older one: it knows no preparing."""

    error = Error.CALL_NOT_IMPLEMENTED

    def call(self, operation: Any, request: Any, *rest: Any, **options: Any) -> Any:
        if operation is PREPARE_SERVICE:
            raise WinError(self.error, "PrepareService")
        return super().call(operation, request, *rest, **options)


def test_all_of_it_is_there_at_once(calls: Calls) -> None:
    creation.create(calls, RECORD, None, BESIDES)
    check_whole(calls)
    assert Scm(calls)["Web"].config.failure_actions.actions[0].delay == 70


@pytest.mark.parametrize("error", [Error.CALL_NOT_IMPLEMENTED, Error.RPC_PROCNUM_OUT_OF_RANGE])
def test_with_other_servers_changes_follow(world: World, error: Error) -> None:
    other = OtherServer(open_calls().connection)
    other.error = error
    creation.create(other, RECORD, None, BESIDES)
    check_whole(other)
    wrong = BESIDES.replace(parameters={"Application": RegistryValue.of("relative")})
    with pytest.raises(WinError) as refused:
        creation.create(other, RECORD.replace(name="Wrong"), None, wrong)
    assert refused.value.winerror == Error.INVALID_PARAMETER
    assert [service.name for service in Scm(other).services()] == ["Web"]
    other.close()


def test_a_wrong_value_is_named_and_nothing_is_created(calls: Calls) -> None:
    wrong = BESIDES.replace(parameters={"Application": RegistryValue.of("relative")})
    with pytest.raises(WinError, match="Application: expected an absolute path"):
        creation.create(calls, RECORD, None, wrong)
    assert not list(Scm(calls).services())


def test_what_was_prepared_outlives_a_broken_connection(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client(str(world.runtime / "scm.sock"))
    create_service = configuration.create_service

    def cut_first(*arguments: Any) -> Any:
        client.cut("before")
        return create_service(*arguments)

    monkeypatch.setattr(configuration, "create_service", cut_first)
    creation.create(client.calls, RECORD, None, BESIDES)
    check_whole(client.calls)
    client.calls.close()


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_killed_installer_leaves_nothing_or_the_whole(
    world: World, calls: Calls, moment: str
) -> None:
    environment = {**os.environ, "SCMD_RUNTIME": str(world.runtime)}
    outcomes = []
    for number in range(20):
        arguments = [f"Killed{number}", str(number), moment]
        command = [sys.executable, "-m", "tests.client.killed_installer", *arguments]
        status = subprocess.run(command, env=environment).returncode
        installed = {service.name for service in Scm(calls).services()}
        outcomes.append(f"Killed{number}" in installed)
        if outcomes[-1]:
            check_whole(calls, f"Killed{number}")
        if status == 0:
            break
        assert status == -signal.SIGKILL
    assert status == 0
    assert outcomes == sorted(outcomes)
    assert not outcomes[0]
