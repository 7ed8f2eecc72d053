"""The client library against the real core, in memory: the two halves of the wire agree."""

from __future__ import annotations

import pytest

from scmd.client import configuration
from scmd.client.calls import Calls
from scmd.client.connection import Connection
from scmd.client.management import (
    manager_status,
    query_parameters,
    read_events,
    read_log,
    set_parameters,
)
from scmd.core.messages import Caller
from scmd.core.messages import Settings as ScmSettings
from scmd.core.messages.commands import Command
from scmd.core.messages.effects import RemoveRecord, Reply, SaveRecord
from scmd.core.messages.events import Event, RecordSaved
from scmd.core.scm import Scm
from scmd.ndr.values import ContextHandle
from scmd.security.token import unix_token
from scmd.server.host_requests import HostRequest, ReadEvents, ReadLog
from scmd.server.session import Session, Sessions
from scmd.vocabulary.configuration import FailureAction, ServiceConfig
from scmd.vocabulary.registry import RegistryValue
from scmd.vocabulary.service import (
    ActionType,
    ConfigLevel,
    ScmAccess,
    ServiceAccess,
    ServiceState,
    StartType,
)
from scmd.vocabulary.winerror import WinError

WEB = ServiceConfig(
    name="Web",
    display_name="The €uropean Web",
    image_path="/usr/bin/web --port 80",
    load_order_group="Net",
    dependencies=("Tcp", "+Disks"),
    start_type=StartType.AUTO_START,
)
MEMBERS = [ServiceConfig(name=f"S{number:03}", image_path="/bin/x") for number in range(300)]


class World:
    """The real core with a disk that is always ready and a host with one line of log."""

    def __init__(self) -> None:
        self.scm = Scm((), ScmSettings())
        self.sessions = Sessions(b"stack!!!")

    def connect(self, uid: int = 0) -> Calls:
        token = unix_token(uid, (uid,), administrator=uid == 0)
        session = self.sessions.open(Caller(token, f"uid {uid}", "test"))
        # All that a connection needs of a socket is its four methods.
        return Calls(Connection(MemorySocket(self, session)))  # type: ignore[arg-type] # by shape

    def handle(self, message: Command | Event) -> None:
        for effect in self.scm.handle(message, 0):
            if isinstance(effect, Reply):
                self.sessions.answer(effect)
            elif isinstance(effect, SaveRecord | RemoveRecord):
                self.handle(RecordSaved(effect.save))

    def answer(self, request: HostRequest) -> None:
        result: object = b"{}"
        if isinstance(request, ReadLog):
            result = (3, f"log of {request.service}\n".encode(), 20)
        elif isinstance(request, ReadEvents):
            result = (b'{"source":"%s"}\n' % (request.source or "").encode(), request.after + 1)
        self.sessions.answer(Reply(request.call.id, 0, result))


class MemorySocket:
    def __init__(self, world: World, session: Session) -> None:
        self._world = world
        self._session = session
        self._received = b""

    def send(self, data: bytes) -> None:
        self._session.receive(data)
        while (output := self._session.next()) is not None:
            if isinstance(output, bytes):
                self._received += output
            elif isinstance(output, Command):
                self._world.handle(output)
            elif isinstance(output, HostRequest):
                self._world.answer(output)

    def receive(self, count: int) -> bytes:
        data, self._received = self._received[:count], self._received[count:]
        return data

    def set_timeout(self, timeout: float | None) -> None:
        """Nothing takes time here."""

    def close(self) -> None:
        for ended in self._session.closed():
            self._world.handle(ended)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def calls(world: World) -> Calls:
    return world.connect()


def create(calls: Calls, *configs: ServiceConfig) -> list[ContextHandle]:
    scm = calls.open_scm(ScmAccess.ALL_ACCESS)
    return [
        configuration.create_service(calls, scm, config, ServiceAccess.ALL_ACCESS)[0]
        for config in configs
    ]


def test_a_record_comes_back_as_it_was_made(calls: Calls) -> None:
    (service,) = create(calls, WEB)
    assert configuration.query_config(calls, service, "Web") == WEB
    status = calls.query_status(service)
    assert (status.state, status.win32_exit_code) == (ServiceState.STOPPED, 1077)
    assert calls.query_basic_status(service) == status
    scm = calls.open_scm(ScmAccess.CONNECT)
    assert calls.display_name(scm, "web") == "The €uropean Web"
    assert calls.key_name(scm, "the €uropean web") == "Web"


def test_every_level_is_changed_and_read(calls: Calls) -> None:
    (service,) = create(calls, ServiceConfig(name="Web", image_path="/bin/web"))
    actions = (FailureAction(type=ActionType.RESTART, delay=5000),)
    configuration.change_failure_actions(
        calls, service, reset_period_s=60, reboot_message="m€", command="c", actions=actions
    )
    values: dict[ConfigLevel, str | bool | int | tuple[str, ...]] = {
        ConfigLevel.DESCRIPTION: "Serves €",
        ConfigLevel.DELAYED_AUTO_START_INFO: True,
        ConfigLevel.FAILURE_ACTIONS_FLAG: True,
        ConfigLevel.SERVICE_SID_INFO: 1,
        ConfigLevel.REQUIRED_PRIVILEGES_INFO: ("SeChangeNotifyPrivilege", "SeAuditPrivilege"),
        ConfigLevel.PRESHUTDOWN_INFO: 12345,
        ConfigLevel.PREFERRED_NODE: 0,
    }
    for level, value in values.items():
        configuration.change_config2(calls, service, level, value)
    for level, value in values.items():
        assert configuration.query_config2(calls, service, level) == value
    stored = configuration.query_failure_actions(calls, service)
    assert (stored.reset_period_s, stored.reboot_message, stored.command, stored.actions) == (
        60,
        "m€",
        "c",
        actions,
    )


def test_a_long_enumeration_comes_in_pages(calls: Calls) -> None:
    create(calls, *MEMBERS)
    scm = calls.open_scm(ScmAccess.ENUMERATE_SERVICE)
    names = [config.name for config in MEMBERS]
    assert [entry.name for entry in calls.enum_services(scm, 0x30, 3)] == names
    found, resume, pages = [], 0, 0
    while True:
        part = calls.enum_services_part(scm, 0x30, 3, None, resume, 2000)
        found += [entry.name for entry in part.entries]
        resume, pages = part.resume, pages + 1
        if not resume:
            break
    assert (found, pages > 5) == (names, True)


def test_dependents_and_groups(calls: Calls) -> None:
    create(
        calls,
        ServiceConfig(name="Tcp", image_path="/bin/tcp"),
        WEB.replace(dependencies=("Tcp",)),
        ServiceConfig(name="Shop", image_path="/bin/shop", dependencies=("Web",)),
    )
    scm = calls.open_scm(ScmAccess.ENUMERATE_SERVICE)
    tcp = calls.open_service(scm, "tcp", ServiceAccess.ENUMERATE_DEPENDENTS)
    assert [entry.name for entry in calls.enum_dependents(tcp, 3)] == ["Shop", "Web"]
    assert [entry.name for entry in calls.enum_services(scm, 0x30, 3, "Net")] == ["Web"]
    assert [entry.name for entry in calls.enum_services(scm, 0x30, 3, "")] == ["Tcp", "Shop"]
    with pytest.raises(WinError, match="1060"):
        calls.enum_services(scm, 0x30, 3, "No such group")


def test_refusals_keep_their_numbers(calls: Calls) -> None:
    (service,) = create(calls, WEB)
    scm = calls.open_scm(ScmAccess.ALL_ACCESS)
    for number, attempt in (
        (1073, lambda: create(calls, WEB.replace(name="WEB"))),
        (1060, lambda: calls.open_service(scm, "Nope", 1)),
        (123, lambda: calls.open_service(scm, "a/b", 1)),
        (1062, lambda: calls.control_service(service, 1)),
        (87, lambda: calls.control_service(service, 0)),
        (87, lambda: calls.control_service_ex(service, 1, 0)),
        (6, lambda: calls.query_status(scm)),
        (6, lambda: calls.close_handle(ContextHandle(20))),
    ):
        with pytest.raises(WinError) as refused:
            attempt()
        assert refused.value.winerror == number


def test_a_deleted_record_goes_with_the_connection(world: World, calls: Calls) -> None:
    (service,) = create(calls, WEB)
    configuration.delete_service(calls, service)
    other = world.connect()
    scm = other.open_scm(ScmAccess.ENUMERATE_SERVICE)
    assert len(other.enum_services(scm, 0x30, 3)) == 1
    calls.close()
    assert other.enum_services(scm, 0x30, 3) == []


def test_handles_of_another_connection_are_not_ours(world: World, calls: Calls) -> None:
    (service,) = create(calls, WEB)
    with pytest.raises(WinError) as refused:
        world.connect().query_status(service)
    assert refused.value.winerror == 6


def test_ordinary_users_look_and_do_not_touch(world: World, calls: Calls) -> None:
    create(calls, WEB)
    user = world.connect(uid=1234)
    scm = user.open_scm(ScmAccess.CONNECT | ScmAccess.ENUMERATE_SERVICE)
    assert len(user.enum_services(scm, 0x30, 3)) == 1
    service = user.open_service(scm, "Web", ServiceAccess.QUERY_STATUS | ServiceAccess.QUERY_CONFIG)
    assert user.query_status(service).state == ServiceState.STOPPED
    for access in (ServiceAccess.STOP, ServiceAccess.CHANGE_CONFIG, ServiceAccess.DELETE):
        with pytest.raises(WinError) as refused:
            user.open_service(scm, "Web", access)
        assert refused.value.winerror == 5
    for attempt in (
        lambda: user.open_scm(ScmAccess.CREATE_SERVICE),
        lambda: user.start_service(service, ()),
        lambda: set_parameters(user, service, {"A": RegistryValue.of(1)}),
        lambda: read_log(user, service),
    ):
        with pytest.raises(WinError) as refused:
            attempt()
        assert refused.value.winerror == 5
    assert read_events(user, scm).next == 1
    assert manager_status(user) == b"{}"


def test_parameters_logs_and_events(calls: Calls) -> None:
    (service,) = create(calls, WEB)
    values = {"Port": RegistryValue.of(80), "AppEvents\\Start\\Pre": RegistryValue.of("/bin/true")}
    set_parameters(calls, service, {**values, "Gone": None})
    assert query_parameters(calls, service) == values
    log = read_log(calls, service)
    assert (log.start, log.data, log.next) == (3, b"log of 1\n", 20)
    scm = calls.open_scm(ScmAccess.ENUMERATE_SERVICE)
    assert read_events(calls, scm, after=5, source="SCM").lines == b'{"source":"SCM"}\n'
