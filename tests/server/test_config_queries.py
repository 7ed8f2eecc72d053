"""Queries of a configuration: each level and form, buffers that are too small, and errors."""

from __future__ import annotations

import pytest

from scmd.core.messages.commands import (
    ChangeConfig2,
    QueryConfig,
)
from scmd.ndr.errors import INVALID_TAG
from scmd.server.steps import Fault
from scmd.svcctl import configuration
from scmd.svcctl.config2_buffers import QUERY_LEVELS, pack_config2
from scmd.svcctl.configuration import ConfigInfo
from scmd.vocabulary.configuration import (
    FailureAction,
    FailureActions,
    ServiceConfig,
    Trigger,
    TriggerItem,
)
from scmd.vocabulary.service import ActionType, ConfigLevel
from tests.server.exchange import (
    CALL,
    FORMS,
    SERVICE,
    WIRE_SERVICE,
    Exchange,
    error,
    ok,
)

CONFIG = ServiceConfig(
    name="Web",
    display_name="The Web",
    image_path='"/usr/bin/web server" -x',
    load_order_group="Net",
    tag=3,
    dependencies=("Tcp", "+Disks"),
    account="NT AUTHORITY\\LocalService",
    description="Serves €",
    failure_actions=FailureActions(
        reset_period_s=60,
        reboot_message="bye",
        command="run",
        actions=(FailureAction(type=ActionType.RESTART, delay=5000),),
    ),
    delayed_auto_start=True,
    required_privileges=("SeChangeNotifyPrivilege",),
    preferred_node=2,
    triggers=(
        Trigger(
            type=20, action=1, subtype=b"0123456789abcdef", items=(TriggerItem(type=1, data=b"x"),)
        ),
        Trigger(type=2, action=2, subtype=bytes(16)),
    ),
)


@pytest.mark.parametrize("form", FORMS)
def test_query_config_in_two_steps(form: int) -> None:
    for operation in (
        configuration.QUERY_SERVICE_CONFIG_W,
        configuration.QUERY_SERVICE_CONFIG_A,
    ):
        exchange = Exchange(form)
        request = configuration.QueryServiceConfigRequest(service=WIRE_SERVICE, buffer_size=36)
        short = exchange.run(operation, request, ok(CONFIG))
        assert (short.config, short.error) == (configuration.QueryServiceConfig(), 122)
        full = exchange.run(operation, request.replace(buffer_size=short.bytes_needed), ok(CONFIG))
        assert (full.bytes_needed, full.error) == (short.bytes_needed, 0)
        assert full.config == configuration.QueryServiceConfig(
            type=0x10,
            start_type=3,
            error_control=1,
            binary_path_name='"/usr/bin/web server" -x',
            load_order_group="Net",
            tag_id=3,
            dependencies="Tcp/+Disks",
            service_start_name="NT AUTHORITY\\LocalService",
            display_name="The Web",
        )
        assert exchange.asked == [QueryConfig(CALL, SERVICE)] * 2
        one_less = request.replace(buffer_size=short.bytes_needed - 1)
        assert exchange.run(operation, one_less, ok(CONFIG)).error == 122


def test_query_config_has_no_null_pointers() -> None:
    request = configuration.QueryServiceConfigRequest(service=WIRE_SERVICE, buffer_size=8192)
    bare = ServiceConfig(name="X", display_name="X", image_path="/x", account="")
    config = Exchange().run(configuration.QUERY_SERVICE_CONFIG_W, request, ok(bare)).config
    assert None not in config.as_dict().values()


@pytest.mark.parametrize("number", [5, 6, 1115])
def test_query_config_refused(number: int) -> None:
    request = configuration.QueryServiceConfigRequest(service=WIRE_SERVICE, buffer_size=8192)
    response = Exchange().run(configuration.QUERY_SERVICE_CONFIG_W, request, error(number))
    assert (response.config, response.bytes_needed, response.error) == (
        configuration.QueryServiceConfig(),
        0,
        number,
    )


def test_a_configuration_that_no_buffer_holds_is_122() -> None:
    request = configuration.QueryServiceConfigRequest(service=WIRE_SERVICE, buffer_size=8192)
    long = CONFIG.replace(image_path="/" + "x" * 30000)
    response = Exchange().run(configuration.QUERY_SERVICE_CONFIG_W, request, ok(long))
    assert (response.bytes_needed, response.error) == (8192, 122)


@pytest.mark.parametrize("level", QUERY_LEVELS)
def test_query_config_2_in_two_steps(level: int) -> None:
    for operation, ansi in (
        (configuration.QUERY_SERVICE_CONFIG_2_W, False),
        (configuration.QUERY_SERVICE_CONFIG_2_A, True),
    ):
        data = pack_config2(level, CONFIG, ansi=ansi)
        exchange = Exchange()
        request = configuration.QueryServiceConfig2Request(
            service=WIRE_SERVICE, level=level, buffer_size=len(data) - 1
        )
        short = exchange.run(operation, request, ok(CONFIG))
        assert (short.buffer, short.bytes_needed, short.error) == (
            bytes(len(data) - 1),
            len(data),
            122,
        )
        full = exchange.run(operation, request.replace(buffer_size=len(data) + 5), ok(CONFIG))
        assert (full.buffer, full.bytes_needed, full.error) == (data + bytes(5), len(data), 0)
        assert exchange.asked == [QueryConfig(CALL, SERVICE)] * 2


@pytest.mark.parametrize("level", [0, 8, 13, 0xFFFFFFFF])
def test_query_config_2_of_another_level_is_124(level: int) -> None:
    request = configuration.QueryServiceConfig2Request(
        service=WIRE_SERVICE, level=level, buffer_size=10
    )
    response = Exchange().run(configuration.QUERY_SERVICE_CONFIG_2_W, request, ok(CONFIG))
    assert (response.buffer, response.error) == (bytes(10), 124)
    response = Exchange().run(configuration.QUERY_SERVICE_CONFIG_2_W, request, error(5))
    assert (response.buffer, response.error) == (bytes(10), 5)


@pytest.mark.parametrize("form", FORMS)
def test_triggers_come_back_as_they_went_in(form: int) -> None:
    request = configuration.QueryServiceConfigExRequest(service=WIRE_SERVICE, level=8)
    response = Exchange(form).run(configuration.QUERY_SERVICE_CONFIG_EX, request, ok(CONFIG))
    assert response.error == 0
    exchange = Exchange(form)
    change = configuration.ChangeServiceConfig2Request(service=WIRE_SERVICE, config=response.config)
    exchange.run(configuration.CHANGE_SERVICE_CONFIG_2_W, change, ok())
    assert exchange.asked == [
        ChangeConfig2(CALL, SERVICE, ConfigLevel.TRIGGER_INFO, CONFIG.triggers)
    ]
    refused = Exchange(form).run(configuration.QUERY_SERVICE_CONFIG_EX, request, error(5))
    assert (refused.config, refused.error) == (ConfigInfo(level=8, info=None), 5)


@pytest.mark.parametrize("level", [*range(8), *range(9, 16)])
def test_query_config_ex_of_another_level_is_a_fault(level: int) -> None:
    request = configuration.QueryServiceConfigExRequest(service=WIRE_SERVICE, level=level)
    with pytest.raises(Fault) as fault:
        Exchange().run(configuration.QUERY_SERVICE_CONFIG_EX, request)
    assert fault.value.status == INVALID_TAG
