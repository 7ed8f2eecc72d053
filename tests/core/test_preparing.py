"""What is prepared on an SCM handle: saved with the next record, checked, once, and forgotten."""

from __future__ import annotations

from typing import Any

import pytest

from scmd.core.messages.commands import (
    CloseHandle,
    Config2Value,
    CreateService,
    FailureActionsChange,
    PrepareService,
    QueryParameters,
)
from scmd.core.messages.effects import SaveRecord
from scmd.vocabulary.configuration import FailureAction, ServiceConfig
from scmd.vocabulary.registry import RegistryValue
from scmd.vocabulary.service import ActionType, ConfigLevel, ServiceAccess
from tests.core.bench import ALL, GUEST, Bench

VALUES = {"Application": RegistryValue.of("/bin/web"), "Port": RegistryValue.of(80)}
RESTART = FailureActionsChange(9, None, None, (FailureAction(type=ActionType.RESTART, delay=5),))
CHANGES: tuple[tuple[ConfigLevel, Config2Value], ...] = (
    (ConfigLevel.DESCRIPTION, "Serves."),
    (ConfigLevel.FAILURE_ACTIONS_FLAG, True),
    (ConfigLevel.FAILURE_ACTIONS, RESTART),
)


def prepare(bench: Bench, **fields: Any) -> PrepareService:
    given = {"image_path": "srvany", "values": VALUES, "changes": CHANGES, **fields}
    return PrepareService(bench.call(), bench.handle, **given)


def create(bench: Bench, name: str = "Web", access: int = ALL, **fields: Any) -> CreateService:
    config = ServiceConfig(name=name, **{"image_path": "srvany", **fields})
    return CreateService(bench.call(), bench.handle, config, access)


def test_it_is_saved_with_the_record_and_only_once() -> None:
    bench = Bench()
    bench.result(prepare(bench))
    assert not bench.found(SaveRecord)
    handle, _ = bench.result(create(bench))
    saved = bench.one(SaveRecord)
    assert saved.parameters == VALUES
    assert saved.config.description == "Serves."
    assert saved.config.failure_actions_flag
    assert saved.config.failure_actions.reset_period_s == 9
    assert bench.result(QueryParameters(bench.call(), handle)) == VALUES
    other, _ = bench.result(create(bench, "Other"))
    assert bench.result(QueryParameters(bench.call(), other)) == {}


def test_it_waits_for_a_creation_that_succeeds() -> None:
    bench = Bench()
    bench.result(create(bench))
    bench.result(prepare(bench))
    assert bench.error(create(bench)) == 1073
    handle, _ = bench.result(create(bench, "Other"))
    assert bench.result(QueryParameters(bench.call(), handle)) == VALUES


def test_the_last_one_counts() -> None:
    bench = Bench()
    bench.result(prepare(bench))
    bench.result(prepare(bench, values={}, changes=()))
    handle, _ = bench.result(create(bench))
    assert bench.result(QueryParameters(bench.call(), handle)) == {}


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"values": {"Application": RegistryValue.of("relative")}}, 87),
        ({"values": {"": RegistryValue.of(1)}}, 87),
    ],
)
def test_values_are_checked_when_they_are_given(fields: dict[str, Any], error: int) -> None:
    bench = Bench()
    reply = bench.ask(prepare(bench, **fields))
    assert reply.error == error
    assert reply.result
    handle, _ = bench.result(create(bench))
    assert bench.result(QueryParameters(bench.call(), handle)) == {}


def test_values_are_checked_again_for_what_is_created() -> None:
    bench = Bench()
    relative = {"Application": RegistryValue.of("relative")}
    bench.result(prepare(bench, image_path="/bin/own", values=relative))
    assert bench.error(create(bench)) == 87
    bench.result(create(bench, image_path="/bin/own"))


def test_changes_need_what_they_need_elsewhere() -> None:
    bench = Bench()
    bench.result(prepare(bench))
    assert bench.error(create(bench, access=int(ServiceAccess.CHANGE_CONFIG))) == 5
    delayed = ((ConfigLevel.DELAYED_AUTO_START_INFO, True),)
    bench.result(prepare(bench, changes=delayed))
    assert bench.error(create(bench, load_order_group="G")) == 87
    assert not bench.found(SaveRecord)


def test_it_takes_the_right_to_create() -> None:
    bench = Bench()
    handle = bench.open_scm(GUEST)
    assert bench.error(PrepareService(bench.call(GUEST), handle, "srvany", VALUES, ())) == 5
    service = bench.create()
    assert bench.error(PrepareService(bench.call(), service, "srvany", VALUES, ())) == 6


def test_it_goes_with_the_handle() -> None:
    bench = Bench()
    bench.result(prepare(bench))
    bench.result(CloseHandle(bench.call(), bench.handle))
    bench.handle = bench.open_scm()
    handle, _ = bench.result(create(bench))
    assert bench.result(QueryParameters(bench.call(), handle)) == {}
