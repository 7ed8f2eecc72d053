"""A bench for the core: the real SCM, a disk that obeys, and short names for messages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from scmd.core import notifications
from scmd.core.memory import Memory
from scmd.core.messages import (
    AssociationId,
    Call,
    Caller,
    CallId,
    HandleId,
    LaunchId,
    ServiceId,
    Settings,
    StoredService,
)
from scmd.core.messages.commands import (
    Command,
    ControlService,
    CreateService,
    ExplainService,
    OpenScm,
    OpenService,
    QueryStatus,
    SetParameters,
    StartService,
)
from scmd.core.messages.effects import (
    Effect,
    LaunchProcess,
    LogEvent,
    RemoveRecord,
    Reply,
    SaveControl,
    SaveRecord,
    SendControl,
    SendStart,
    WriteJournal,
)
from scmd.core.messages.events import (
    ControlAnswered,
    DispatcherConnected,
    Event,
    ProcessStarted,
    RecordSaved,
    StartAnswered,
    StatusReported,
)
from scmd.core.scm import Scm
from scmd.core.why import Explanation
from scmd.security.token import Token, unix_token
from scmd.vocabulary.configuration import ServiceConfig
from scmd.vocabulary.registry import RegistryValue
from scmd.vocabulary.status import ServiceStatus

ROOT = unix_token(0, [0], administrator=True)
GUEST = unix_token(1000, [1000], administrator=False)
ALL = 0xF01FF
ACCEPT_ALL = 0x1F
PID = 4711

T = TypeVar("T")


class Bench:
    """`saving` False keeps saves waiting in `pending_saves` until `save` or a test's own event."""

    def __init__(
        self,
        stored: Iterable[StoredService] = (),
        settings: Settings | None = None,
        first: Event | None = None,
        now: int = 0,
    ) -> None:
        """`first` comes before everything else; its effects are the last ones then."""
        self.scm = Scm(stored, settings or Settings())
        self.now = now
        self.saving = True
        self.calls = 0
        self.effects: list[Effect] = []
        """What the last message caused, saves that were carried out at once included."""
        self.journal: list[Memory] = []
        self.replies: dict[int, Reply] = {}
        self.pending_saves: list[SaveRecord | RemoveRecord | SaveControl] = []
        caused = [] if first is None else self.tell(first)
        self.handle = self.open_scm()
        self.effects = caused or self.effects

    # Messages ----------------------------------------------------------------------------

    def tell(self, message: Command | Event) -> list[Effect]:
        self.effects = []
        self._take(self.scm.handle(message, self.now))
        return self.effects

    def _take(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, WriteJournal):
                assert effect is effects[0], "the journal is behind the world"
                self.journal += effect.entries
                continue
            self.effects.append(effect)
            if isinstance(effect, Reply):
                assert effect.call not in self.replies, "answered twice"
                self.replies[effect.call] = effect
            if isinstance(effect, SaveRecord | RemoveRecord | SaveControl):
                if self.saving:
                    self._take(self.scm.handle(RecordSaved(effect.save), self.now))
                else:
                    self.pending_saves.append(effect)

    def pass_time(self, delay: int) -> list[Effect]:
        """Let time pass, with every deadline at its own instant."""
        self.effects = []
        end = self.now + delay
        while (due := self.scm.next_deadline()) is not None and due <= end:
            self.now = max(self.now, due)
            self._take(self.scm.expire(self.now))
        self.now = end
        return self.effects

    def found(self, kind: type[T]) -> list[T]:
        """The effects of that kind among the last ones."""
        return [effect for effect in self.effects if isinstance(effect, kind)]

    def one(self, kind: type[T]) -> T:
        [effect] = self.found(kind)
        return effect

    def events(self) -> list[int]:
        return [effect.event_id for effect in self.found(LogEvent)]

    # Calls -------------------------------------------------------------------------------

    def call(self, token: Token = ROOT, association: int = 1) -> Call:
        self.calls += 1
        caller = Caller(token, "somebody", "a test")
        return Call(CallId(self.calls), AssociationId(association), caller)

    def ask(self, command: Command) -> Reply:
        """The answer, which must come at once."""
        self.tell(command)
        return self.replies[command.call.id]

    def error(self, command: Command) -> int:
        return self.ask(command).error

    def answered(self, command: Command) -> bool:
        return command.call.id in self.replies

    def result(self, command: Command) -> Any:
        reply = self.ask(command)
        assert reply.error == 0, f"error {reply.error}"
        return reply.result

    def open_scm(self, token: Token = ROOT, association: int = 1) -> HandleId:
        handle: HandleId = self.result(OpenScm(self.call(token, association), None, 0x02000000))
        return handle

    def open(self, name: str, access: int = ALL) -> HandleId:
        handle: HandleId = self.result(OpenService(self.call(), self.handle, name, access))
        return handle

    def create(self, name: str = "A", access: int = ALL, **fields: Any) -> HandleId:
        fields.setdefault("image_path", f"/bin/{name}")
        config = ServiceConfig(name=name, **fields)
        result = self.result(CreateService(self.call(), self.handle, config, access))
        handle: HandleId = result[0]
        return handle

    def create_hosted(self, name: str = "A", **values: Any) -> HandleId:
        """A service hosted by srvany; `/` in a keyword stands for `\\`."""
        depend = values.pop("dependencies", ())
        account = values.pop("account", "LocalSystem")
        handle = self.create(name, image_path="srvany", dependencies=depend, account=account)
        values.setdefault("Application", "/bin/program")
        given = {key.replace("/", "\\"): RegistryValue.of(value) for key, value in values.items()}
        self.result(SetParameters(self.call(), handle, given))
        return handle

    def start(self, service: HandleId, *arguments: str) -> StartService:
        command = StartService(self.call(), service, arguments)
        self.tell(command)
        return command

    def control(self, service: HandleId, code: int) -> ControlService:
        command = ControlService(self.call(), service, code)
        self.tell(command)
        return command

    def status(self, service: HandleId) -> ServiceStatus:
        handle = self.scm.state.handles[service]
        assert handle.record is not None
        return handle.record.status

    def queried(self, service: HandleId) -> ServiceStatus:
        status: ServiceStatus = self.result(QueryStatus(self.call(), service))
        return status

    def codes(self, service: HandleId) -> tuple[int, int, int]:
        """State, Win32 exit code, service-specific exit code."""
        status = self.status(service)
        return status.state, status.win32_exit_code, status.service_specific_exit_code

    def findings(self, service: HandleId) -> list[str]:
        """The codes of what `why` has to say."""
        explanation: Explanation = self.result(ExplainService(self.call(), service))
        return [str(finding.code) for finding in explanation.findings]

    def id(self, service: HandleId) -> ServiceId:
        record = self.scm.state.handles[service].record
        assert record is not None
        return record.id

    def say(self, launch: LaunchId, *lines: str) -> None:
        """By sd_notify."""
        self.tell(notifications.parse(launch, "\n".join(lines).encode()))

    # A well-behaved process ------------------------------------------------------------------

    def launched(self) -> LaunchId:
        return self.one(LaunchProcess).launch

    def connect(self, launch: LaunchId, *table: str) -> None:
        """The process starts and calls the dispatcher."""
        self.tell(ProcessStarted(launch, PID))
        self.tell(DispatcherConnected(launch, table or ("A", "B", "C")))

    def answer_start(self) -> SendStart:
        """The process answers the start request that was just sent."""
        request = self.one(SendStart)
        self.tell(StartAnswered(request.launch, request.service, 0))
        return request

    def report(
        self,
        launch: LaunchId,
        service: HandleId,
        state: int,
        accepted: int = ACCEPT_ALL,
        **more: int,
    ) -> None:
        status = ServiceStatus(state=state, controls_accepted=accepted, **more)
        self.tell(StatusReported(launch, self.id(service), status))

    def running(self, service: HandleId, state: int = 4, accepted: int = ACCEPT_ALL) -> LaunchId:
        """Start the service in a process of its own and bring it into the state."""
        command = self.start(service)
        launch = self.launched()
        self.connect(launch)
        self.answer_start()
        assert self.replies[command.call.id].error == 0
        self.report(launch, service, state, accepted)
        return launch

    def answer_control(self, error: int = 0) -> SendControl:
        request = self.one(SendControl)
        self.tell(ControlAnswered(request.launch, request.control, error))
        return request
