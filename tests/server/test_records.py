"""Records: created, changed and deleted, with each out-parameter, on error too."""

from __future__ import annotations

import pytest

from scmd.core.messages import HandleId
from scmd.core.messages.commands import (
    ChangeConfig,
    ChangeConfig2,
    CheckScmHandle,
    Config2Value,
    CreateService,
    DeleteService,
    FailureActionsChange,
    IdentifyService,
)
from scmd.ndr.structure import NDR, NDR64
from scmd.ndr.values import NULL_HANDLE, Guid
from scmd.svcctl import configuration
from scmd.svcctl.configuration import ConfigInfo
from scmd.svcctl.interface import ServiceRequest
from scmd.vocabulary.configuration import (
    FailureAction,
    ServiceConfig,
    Trigger,
    TriggerItem,
)
from scmd.vocabulary.service import ActionType, ConfigLevel, ScmAccess, ServiceAccess
from tests.server.exchange import (
    CALL,
    HANDLES,
    SCM,
    SERVICE,
    WIRE_SCM,
    WIRE_SERVICE,
    Exchange,
    error,
    ok,
)


def test_create_with_everything() -> None:
    request = configuration.CreateServiceRequest(
        scm=WIRE_SCM,
        name="Web",
        display_name="The Wéb",
        desired_access=0xF01FF,
        type=0x20,
        start_type=2,
        error_control=1,
        binary_path_name="/bin/web",
        load_order_group="Net",
        tag_id=0,
        dependencies="Tcp\0+Disks\0\0".encode("utf-16-le"),
        service_start_name="ann",
        password="geheim\0".encode("utf-16-le"),
    )
    expected = ServiceConfig(
        name="Web",
        display_name="The Wéb",
        type=0x20,
        start_type=2,
        error_control=1,
        image_path="/bin/web",
        load_order_group="Net",
        dependencies=("Tcp", "+Disks"),
        account="ann",
    )
    asked = CreateService(CALL, SCM, expected, 0xF01FF, assign_tag=True)
    for operation in (configuration.CREATE_SERVICE_W, configuration.CREATE_SERVICE_WOW64_W):
        exchange = Exchange()
        response = exchange.run(operation, request, ok((HandleId(8), 17)))
        assert exchange.asked == [asked]
        assert (response.tag_id, response.handle, response.error) == (
            17,
            HANDLES.to_wire(HandleId(8)),
            0,
        )
    ansi = request.replace(dependencies=b"Tcp\0+Disks\0\0", password=b"geheim\0")
    for operation in (configuration.CREATE_SERVICE_A, configuration.CREATE_SERVICE_WOW64_A):
        exchange = Exchange()
        exchange.run(operation, ansi, ok((HandleId(8), 17)))
        assert exchange.asked == [asked]
        response = exchange.run(operation, ansi, error(1073))
        assert (response.tag_id, response.handle, response.error) == (0, NULL_HANDLE, 1073)


MINIMAL = configuration.CreateServiceRequest(
    scm=WIRE_SCM,
    name="Web",
    desired_access=0,
    type=0x10,
    start_type=3,
    error_control=1,
    binary_path_name="/bin/web",
)


def test_create_with_the_least() -> None:
    exchange = Exchange()
    response = exchange.run(configuration.CREATE_SERVICE_W, MINIMAL, ok((HandleId(8), 0)))
    config = ServiceConfig(name="Web", image_path="/bin/web")
    assert exchange.asked == [CreateService(CALL, SCM, config, 0)]
    assert response.tag_id is None
    response = exchange.run(configuration.CREATE_SERVICE_W, MINIMAL, error(5))
    assert (response.tag_id, response.handle, response.error) == (None, NULL_HANDLE, 5)


def test_half_a_character_is_87_after_handle_and_right() -> None:
    half = MINIMAL.replace(dependencies=b"abc")
    change = configuration.ChangeServiceConfigRequest(
        service=WIRE_SERVICE, tag_id=5, dependencies=b"abc"
    )
    for reply, expected in ((ok(), 87), (error(5), 5), (error(6), 6)):
        exchange = Exchange()
        response = exchange.run(configuration.CREATE_SERVICE_W, half, reply)
        assert (response.handle, response.error) == (NULL_HANDLE, expected)
        answer = exchange.run(configuration.CHANGE_SERVICE_CONFIG_W, change, reply)
        assert (answer.tag_id, answer.error) == (0, expected)
        assert exchange.asked == [
            CheckScmHandle(CALL, SCM, ScmAccess.CREATE_SERVICE),
            IdentifyService(CALL, SERVICE, ServiceAccess.CHANGE_CONFIG),
        ]


def test_a_password_goes_no_further_than_the_request_and_shows_nowhere() -> None:
    secret = b"geheim\xff"
    request = MINIMAL.replace(password=secret)
    assert "geheim" not in repr(request)
    exchange = Exchange()
    exchange.run(configuration.CREATE_SERVICE_W, request, ok((HandleId(8), 0)))
    assert exchange.asked == [
        CreateService(CALL, SCM, ServiceConfig(name="Web", image_path="/bin/web"), 0)
    ]


@pytest.mark.parametrize("wow_type", [0, 1])
def test_create_wow_for_this_architecture(wow_type: int) -> None:
    values = MINIMAL.as_dict()
    request = configuration.CreateWowServiceRequest(**values, wow_type=wow_type)
    exchange = Exchange()
    response = exchange.run(configuration.CREATE_WOW_SERVICE, request, ok((HandleId(8), 0)))
    assert response.error == 0
    foreign = request.replace(wow_type=0x1C4)
    for reply, expected in ((ok(), 50), (error(5), 5)):
        response = Exchange().run(configuration.CREATE_WOW_SERVICE, foreign, reply)
        assert (response.handle, response.error) == (NULL_HANDLE, expected)


def test_delete() -> None:
    exchange = Exchange()
    request = ServiceRequest(service=WIRE_SERVICE)
    assert exchange.run(configuration.DELETE_SERVICE, request, error(1072)).error == 1072
    assert exchange.asked == [DeleteService(CALL, SERVICE)]


def test_change_that_keeps_everything() -> None:
    exchange = Exchange()
    request = configuration.ChangeServiceConfigRequest(service=WIRE_SERVICE)
    response = exchange.run(configuration.CHANGE_SERVICE_CONFIG_W, request, ok(0))
    assert exchange.asked == [ChangeConfig(CALL, SERVICE)]
    assert (response.tag_id, response.error) == (None, 0)


def test_change_of_everything() -> None:
    request = configuration.ChangeServiceConfigRequest(
        service=WIRE_SERVICE,
        type=0x20,
        start_type=4,
        error_control=2,
        binary_path_name="/bin/x",
        load_order_group="",
        tag_id=0,
        dependencies=b"",
        service_start_name="bob",
        password=b"",
        display_name="X",
    )
    for operation in (
        configuration.CHANGE_SERVICE_CONFIG_W,
        configuration.CHANGE_SERVICE_CONFIG_A,
    ):
        exchange = Exchange()
        response = exchange.run(operation, request, ok(4))
        assert exchange.asked == [
            ChangeConfig(
                CALL,
                SERVICE,
                type=0x20,
                start_type=4,
                error_control=2,
                image_path="/bin/x",
                load_order_group="",
                assign_tag=True,
                dependencies=(),
                account="bob",
                display_name="X",
            )
        ]
        assert (response.tag_id, response.error) == (4, 0)
        response = exchange.run(operation, request, error(1059))
        assert (response.tag_id, response.error) == (0, 1059)


CONFIG2_CHANGES: list[tuple[ConfigInfo, ConfigLevel, Config2Value]] = [
    (
        ConfigInfo(level=1, info=configuration.ServiceDescription(description="says €")),
        ConfigLevel.DESCRIPTION,
        "says €",
    ),
    (
        ConfigInfo(level=1, info=configuration.ServiceDescription(description=None)),
        ConfigLevel.DESCRIPTION,
        None,
    ),
    (
        ConfigInfo(
            level=2,
            info=configuration.ServiceFailureActions(
                reset_period=60,
                reboot_message="m",
                command=None,
                actions=(configuration.ScAction(type=3, delay=60000),),
            ),
        ),
        ConfigLevel.FAILURE_ACTIONS,
        FailureActionsChange(
            60, "m", None, (FailureAction(type=ActionType.RUN_COMMAND, delay=60000),)
        ),
    ),
    (
        ConfigInfo(level=2, info=configuration.ServiceFailureActions(reset_period=9)),
        ConfigLevel.FAILURE_ACTIONS,
        FailureActionsChange(9, None, None, None),
    ),
    (
        ConfigInfo(level=2, info=configuration.ServiceFailureActions(reset_period=9, actions=())),
        ConfigLevel.FAILURE_ACTIONS,
        FailureActionsChange(9, None, None, ()),
    ),
    (
        ConfigInfo(level=3, info=configuration.ServiceFlag(value=7)),
        ConfigLevel.DELAYED_AUTO_START_INFO,
        True,
    ),
    (
        ConfigInfo(level=4, info=configuration.ServiceFlag(value=0)),
        ConfigLevel.FAILURE_ACTIONS_FLAG,
        False,
    ),
    (ConfigInfo(level=5, info=configuration.ServiceFlag(value=3)), ConfigLevel.SERVICE_SID_INFO, 3),
    (
        ConfigInfo(
            level=6,
            info=configuration.RequiredPrivileges(
                required_privileges="SeA\0SeB\0\0".encode("utf-16-le")
            ),
        ),
        ConfigLevel.REQUIRED_PRIVILEGES_INFO,
        ("SeA", "SeB"),
    ),
    (
        ConfigInfo(level=7, info=configuration.ServiceFlag(value=5000)),
        ConfigLevel.PRESHUTDOWN_INFO,
        5000,
    ),
    (
        ConfigInfo(
            level=8,
            info=configuration.TriggerInfo(
                triggers=(
                    configuration.ServiceTrigger(
                        trigger_type=3,
                        action=1,
                        trigger_subtype=Guid(b"0123456789abcdef"),
                        data_items=(
                            configuration.TriggerDataItem(data_type=1, data=b"xyz"),
                            configuration.TriggerDataItem(data_type=2, data=None),
                        ),
                    ),
                )
            ),
        ),
        ConfigLevel.TRIGGER_INFO,
        (
            Trigger(
                type=3,
                action=1,
                subtype=b"0123456789abcdef",
                items=(TriggerItem(type=1, data=b"xyz"), TriggerItem(type=2, data=b"")),
            ),
        ),
    ),
    (ConfigInfo(level=8, info=configuration.TriggerInfo()), ConfigLevel.TRIGGER_INFO, ()),
    (
        ConfigInfo(level=9, info=configuration.PreferredNode(preferred_node=3)),
        ConfigLevel.PREFERRED_NODE,
        3,
    ),
    (
        ConfigInfo(level=9, info=configuration.PreferredNode(preferred_node=3, delete=1)),
        ConfigLevel.PREFERRED_NODE,
        None,
    ),
    *(
        (ConfigInfo(level=level, info=None), ConfigLevel.DESCRIPTION, None)
        for level in range(1, 13)
    ),
]


@pytest.mark.parametrize("form", [NDR, NDR64])
@pytest.mark.parametrize(("config", "level", "value"), CONFIG2_CHANGES)
def test_change_config_2(
    config: ConfigInfo, level: ConfigLevel, value: Config2Value, form: int
) -> None:
    exchange = Exchange(form)
    request = configuration.ChangeServiceConfig2Request(service=WIRE_SERVICE, config=config)
    response = exchange.run(configuration.CHANGE_SERVICE_CONFIG_2_W, request, error(1072))
    assert exchange.asked == [ChangeConfig2(CALL, SERVICE, level, value)]
    assert response.error == 1072


@pytest.mark.parametrize(
    "config",
    [
        ConfigInfo(
            level=2,
            info=configuration.ServiceFailureActions(
                reset_period=0, actions=(configuration.ScAction(type=4, delay=0),)
            ),
        ),
        ConfigInfo(level=6, info=configuration.RequiredPrivileges(required_privileges=b"odd")),
        ConfigInfo(
            level=8,
            info=configuration.TriggerInfo(
                triggers=(configuration.ServiceTrigger(trigger_type=1, action=1),)
            ),
        ),
    ],
)
def test_change_config_2_of_what_means_nothing_is_87(config: ConfigInfo) -> None:
    request = configuration.ChangeServiceConfig2Request(service=WIRE_SERVICE, config=config)
    operation = configuration.CHANGE_SERVICE_CONFIG_2_W
    assert Exchange().run(operation, request, ok()).error == 87
    assert Exchange().run(operation, request, error(5)).error == 5
