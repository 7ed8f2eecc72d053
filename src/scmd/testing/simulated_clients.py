"""Clients of the simulated world: they ask for anything, in any order, and come and go."""

from __future__ import annotations

from collections.abc import Callable

from scmd.core.messages import CONTEXT_MISMATCH, AssociationId, Call, Caller, CallId, HandleId
from scmd.core.messages.commands import (
    ChangeConfig,
    ChangeConfig2,
    CheckScmHandle,
    CloseHandle,
    Command,
    ControlService,
    CreateService,
    DeleteService,
    EnumDependents,
    EnumServices,
    ExplainService,
    FailureActionsChange,
    GetDisplayName,
    GetKeyName,
    IdentifyService,
    KillService,
    OpenScm,
    OpenService,
    QueryConfig,
    QueryParameters,
    QueryStatus,
    SetParameters,
    StartService,
)
from scmd.core.messages.effects import Reply
from scmd.core.messages.events import AssociationEnded
from scmd.security.token import unix_token
from scmd.vocabulary.configuration import FailureAction, ServiceConfig
from scmd.vocabulary.registry import RegistryValue
from scmd.vocabulary.service import ActionType, ConfigLevel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.testing.simulation import World

NAMES = ("A", "B", "C", "D", "E", "F", "G", "H", "H@1", "H@2")
ADMINISTRATOR = Caller(unix_token(0, [0], administrator=True), "root", "simulation")
GUEST = Caller(unix_token(1000, [1000], administrator=False), "guest", "simulation")
ALL_SERVICE = 0xF01FF
ASSOCIATIONS = 4
SCHEDULES = ("* * * * *", "* * * * *", "*/2 * * * *", "every 10s", "every 5m", "30 2 * * *")
ONE_SHOTS = ("stop", "stop", "stay")


class Clients:
    """A few associations, the handles they hold, and the calls they wait for."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.random = world.random
        self.calls = 0
        self.next_association = 1
        self.associations: list[AssociationId] = []
        self.scm_handles: dict[AssociationId, HandleId] = {}
        self.service_handles: list[tuple[AssociationId, HandleId]] = []
        self.dead_handles: list[tuple[AssociationId, HandleId]] = []
        self.outstanding: dict[CallId, Command] = {}

    def owns(self, call: CallId) -> bool:
        """The others of the world ask under high numbers."""
        return call <= self.calls

    def open_all(self) -> None:
        """Connect the first associations and create the first services."""
        for _ in range(ASSOCIATIONS):
            self._connect()
        for name in NAMES:
            if self.associations[0] in self.scm_handles:
                self._ask(self._create(self.associations[0], name))

    def _connect(self) -> None:
        association = AssociationId(self.next_association)
        self.next_association += 1
        self.associations.append(association)
        self._ask(OpenScm(self._call(association), None, 0xF003F))

    def _call(self, association: AssociationId) -> Call:
        self.calls += 1
        caller = GUEST if self.world.chance(0.03) else ADMINISTRATOR
        return Call(CallId(self.calls), association, caller)

    def cut_off(self) -> None:
        """The manager has died: connections, handles and calls end with it."""
        self.associations.clear()
        self.scm_handles.clear()
        self.service_handles.clear()
        self.outstanding.clear()

    def reconnect(self) -> None:
        """A new manager listens."""
        for _ in range(ASSOCIATIONS - len(self.associations)):
            self._connect()

    def _ask(self, command: Command) -> None:
        if self.world.down or command.call.association not in self.associations:
            return
        self.outstanding[command.call.id] = command
        self.world.tell(command)

    def answered(self, reply: Reply) -> None:
        """Take an answer, and the handles in it."""
        command = self.outstanding.pop(reply.call)
        association = command.call.association
        if reply.error == 0:
            self._learn(command, association, reply.result)
        used = getattr(command, "service", None)
        if (association, used) in self.dead_handles:
            assert reply.error == CONTEXT_MISMATCH, f"a dead handle was good for {command}"

    def _learn(self, command: Command, association: AssociationId, result: object) -> None:
        match command:
            case OpenScm():
                assert isinstance(result, int)
                self.scm_handles[association] = HandleId(result)
            case OpenService():
                assert isinstance(result, int)
                self.service_handles.append((association, HandleId(result)))
            case CreateService():
                assert isinstance(result, tuple)
                self.service_handles.append((association, result[0]))
                if self.random.random() < 0.9:
                    self._protect(association, result[0])
                if self.random.random() < 0.9:
                    values = {"Application": RegistryValue.of("/bin/program")}
                    if self.world.settings.ends_with_essential and self.random.random() < 0.2:
                        values["AppEssential"] = RegistryValue.of(1)
                    if self.random.random() < 0.15:
                        ways = ("notify", "tcp:1", "command:/bin/hook-probe", "log:up")
                        values["AppReady"] = RegistryValue.of(self.random.choice(ways))
                    if command.config.name == "H":
                        values["AppInstances"] = RegistryValue.of(self.random.choice((0, 2)))
                    if self.random.random() < 0.15:
                        values["AppOneShot"] = RegistryValue.of(self.random.choice(ONE_SHOTS))
                    if self.random.random() < 0.25:
                        values["AppSchedule"] = RegistryValue.of(self.random.choice(SCHEDULES))
                        values["AppScheduleMissed"] = RegistryValue.of(
                            self.random.choice(("skip", "skip", "once"))
                        )
                    if self.random.random() < 0.1:
                        values["AppPidFile"] = RegistryValue.of("/run/program.pid")
                    call = self._call(association)
                    self.world.later(0, lambda: self._ask(SetParameters(call, result[0], values)))

    def _protect(self, association: AssociationId, service: HandleId) -> None:
        level, call = ConfigLevel.FAILURE_ACTIONS, self._call(association)
        change = ChangeConfig2(call, service, level, self._actions())
        self.world.later(0, lambda: self._ask(change))
        if self.random.random() < 0.5:
            call = self._call(association)
            flag = ChangeConfig2(call, service, ConfigLevel.FAILURE_ACTIONS_FLAG, True)
            self.world.later(0, lambda: self._ask(flag))

    # Asking ------------------------------------------------------------------------------

    def act(self) -> None:
        """One thing that a client may do."""
        if self.world.down:
            return
        roll = self.random.random()
        association = self.random.choice(self.associations)
        if roll < 0.02:
            self._disconnect(association)
            return
        scm = self.scm_handles.get(association)
        if scm is None:
            self._ask(OpenScm(self._call(association), None, 0xF003F))
        elif roll < 0.25 or not self.service_handles:
            self._ask(self._on_scm(association, scm))
        else:
            self._ask(self._on_service(*self.random.choice(self.service_handles)))

    def _disconnect(self, association: AssociationId) -> None:
        self.associations.remove(association)
        self.scm_handles.pop(association, None)
        self.service_handles = [h for h in self.service_handles if h[0] != association]
        self.world.tell(AssociationEnded(association))
        self._connect()

    def _on_scm(self, association: AssociationId, scm: HandleId) -> Command:
        call, name = self._call(association), self.random.choice(NAMES)
        access = self.random.choice((ALL_SERVICE, 0x02000000, 4, 0))
        states = self.random.choice((0, 1, 2, 3))
        if self.random.random() < 0.2:
            return self._create(association, name, call)
        commands: tuple[Callable[[], Command], ...] = (
            lambda: OpenService(call, scm, name, access),
            lambda: OpenService(call, scm, name, ALL_SERVICE),
            lambda: OpenService(call, scm, name, ALL_SERVICE),
            lambda: EnumServices(call, scm, 0x30, states),
            lambda: GetDisplayName(call, scm, name),
            lambda: GetKeyName(call, scm, f"Display {name}"),
            lambda: CheckScmHandle(call, scm, 1),
        )
        return self.random.choice(commands)()

    def _create(
        self, association: AssociationId, name: str, call: Call | None = None
    ) -> CreateService:
        scm = self.scm_handles[association]
        return CreateService(call or self._call(association), scm, self._config(name), ALL_SERVICE)

    def _config(self, name: str) -> ServiceConfig:
        choice = self.random.choice
        image = choice(("srvany", "/opt/SrvAny.exe", "/bin/own", "/bin/shared", "/bin/shared"))
        return ServiceConfig(
            name=name,
            display_name=choice(("", f"Display {name}", "Display A")),
            type=0x20 if image == "/bin/shared" else 0x10,
            start_type=choice((2, 2, 2, 3, 3, 3, 3, 3, 3, 4)),
            image_path=image,
            load_order_group=choice(("", "", "", "First", "Other")),
            dependencies=self._dependencies(),
        )

    def _dependencies(self) -> tuple[str, ...]:
        if self.random.random() < 0.6:
            return ()
        targets = (*NAMES, *NAMES, "+First", "+Other")
        count = self.random.choice((1, 1, 1, 2))
        return tuple(dict.fromkeys(self.random.choice(targets) for _ in range(count)))

    def _on_service(self, association: AssociationId, handle: HandleId) -> Command:
        call, choice = self._call(association), self.random.choice
        roll = self.random.random()
        if roll < 0.45:
            return StartService(call, handle, choice(((), ("x",))))
        if roll < 0.7:
            code = choice((1, 1, 1, 2, 3, 4, 6, 128, 5, 0, 999))
            return ControlService(call, handle, code)
        if roll < 0.75:
            return QueryStatus(call, handle)
        if roll < 0.81:
            return self._close(association, handle, call)
        if roll < 0.83:
            return DeleteService(call, handle)
        if roll < 0.9:
            return SetParameters(call, handle, self._parameters())
        if roll < 0.96:
            return self._change(call, handle)
        queries: tuple[Callable[[], Command], ...] = (
            lambda: QueryConfig(call, handle),
            lambda: QueryParameters(call, handle),
            lambda: EnumDependents(call, handle, 3),
            lambda: IdentifyService(call, handle, 4),
            lambda: ExplainService(call, handle),
            lambda: KillService(call, handle),
        )
        return choice(queries)()

    def _close(self, association: AssociationId, handle: HandleId, call: Call) -> Command:
        self.service_handles.remove((association, handle))
        return CloseHandle(call, handle)

    def _change(self, call: Call, handle: HandleId) -> Command:
        choice, level = self.random.choice, ConfigLevel
        start_type, needed = choice((2, 2, 3, 3, 3, 4, 9)), self._dependencies()
        shown, text = choice(("", "Display A", "Shown")), choice(("", "text"))
        delayed, actions, others = choice((True, False)), self._actions(), self._actions()
        changes: tuple[Callable[[], Command], ...] = (
            lambda: ChangeConfig(call, handle),
            lambda: ChangeConfig(call, handle, start_type=start_type),
            lambda: ChangeConfig(call, handle, dependencies=needed),
            lambda: ChangeConfig(call, handle, display_name=shown),
            lambda: ChangeConfig2(call, handle, level.DESCRIPTION, text),
            lambda: ChangeConfig2(call, handle, level.FAILURE_ACTIONS_FLAG, True),
            lambda: ChangeConfig2(call, handle, level.DELAYED_AUTO_START_INFO, delayed),
            lambda: ChangeConfig2(call, handle, level.FAILURE_ACTIONS, actions),
            lambda: ChangeConfig2(call, handle, level.FAILURE_ACTIONS, others),
        )
        return choice(changes)()

    def _actions(self) -> FailureActionsChange:
        choice = self.random.choice
        types = (*[ActionType.RESTART] * 5, *ActionType)
        actions = tuple(
            FailureAction(type=choice(types), delay=choice((0, 0, 1, 300, 5_000, 60_000)))
            for _ in range(choice((0, 1, 1, 1, 2, 3)))
        )
        command = choice((None, "", "/bin/hook-recover %1%"))
        return FailureActionsChange(choice((0, 1, 60, 0xFFFFFFFF)), None, command, actions)

    def _parameters(self) -> dict[str, RegistryValue | None]:
        of, choice = RegistryValue.of, self.random.choice
        ways = ("notify", "notify-reload", "tcp:1", "command:/bin/hook-probe", "log:up")
        extra: tuple[tuple[str, str | int | None], ...] = (
            ("AppStopTime", choice((0, 100, 40_000))),
            ("AppSettleTime", choice((0, 500, 10_000))),
            ("AppKillProcessTree", choice((0, 1))),
            ("AppEvents\\Start\\Pre", "/bin/hook-pre"),
            ("AppEvents\\Stop\\Pre", "/bin/hook-stop"),
            ("AppEvents\\Start\\Post", "/bin/late-hook"),
            ("AppEvents\\Exit\\Post", "/bin/late-hook"),
            ("AppStopSignal", "nonsense"),
            ("AppThrottle", choice((0, 500, 5_000))),
            ("AppReady", choice(ways)),
            ("AppReadyTime", choice((100, 5_000))),
            ("AppHealth", choice(("", "tcp:1", "command:/bin/hook-probe"))),
            ("AppWatchdogTime", choice((0, 1_000))),
            ("AppRestartDelay", choice((0, 2_000))),
            ("AppReloadSignal", "HUP"),
            ("AppPidFile", "/run/program.pid"),
            ("AppSchedule", choice((*SCHEDULES, ""))),
            ("AppScheduleMissed", choice(("skip", "once"))),
            ("AppInstances", choice((0, 2))),
            ("AppOneShot", choice(("stop", "stay", "no"))),
            ("AppRunTime", choice((0, 2_000, 90_000))),
            ("AppReloadCommand", "/bin/hook-reload"),
            ("Application", None),
        )
        chosen = dict((("Application", "/bin/program"), choice(extra), choice(extra)))
        return {name: None if value is None else of(value) for name, value in chosen.items()}

    # Leaving -----------------------------------------------------------------------------

    def close_some(self) -> None:
        """Every other association goes before the shutdown."""
        for association in list(self.associations)[::2]:
            self._leave(association)

    def close_all(self) -> None:
        for association in list(self.associations):
            self._leave(association)

    def _leave(self, association: AssociationId) -> None:
        self.associations.remove(association)
        self.world.tell(AssociationEnded(association))
