"""Operators of the simulated world: they make services whole, and use what programs can do.

Theirs are a template whose instances' programs get their number and their limits, one of them
perhaps a program that speaks the control protocol, and services that reload by a signal, by a
command, or by their own word. Each is made by PrepareService and CreateService: they hold the SCM
to saving with the record what was prepared for it, once, and to showing of a service what was
saved.
"""

from __future__ import annotations

from collections.abc import Mapping

from scmd.core.messages import HandleId
from scmd.core.messages.commands import (
    ChangeConfig,
    CloseHandle,
    Command,
    Config2Value,
    ControlService,
    CreateService,
    DeleteService,
    FailureActionsChange,
    OpenScm,
    OpenService,
    PrepareService,
    QueryConfig,
    QueryParameters,
    SetParameters,
    StartService,
)
from scmd.core.messages.effects import Effect, Reply, SaveRecord
from scmd.testing.simulated_visitors import Visitors
from scmd.vocabulary.configuration import FailureAction, ServiceConfig
from scmd.vocabulary.registry import RegistryValue
from scmd.vocabulary.service import ActionType, ConfigLevel, Control

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.testing.simulation import World

Values = Mapping[str, str | int]
PROGRAM: Values = {"Application": "/bin/program"}
MADE: Mapping[str, Values] = {
    "T": {**PROGRAM, "AppParameters": "--number %i", "AppInstances": 2, "AppLimit\\NOFILE": 256},
    "T@1": {},
    "T@2": {"AppLimit\\NOFILE": 4096, "AppLimit\\CPUQuota": "150%"},
    "T@3": {"AppOneShot": "stop"},
    "Signal": {**PROGRAM, "AppReloadSignal": "HUP", "AppLimit\\MemoryMax": "64M"},
    "Command": {**PROGRAM, "AppReloadCommand": "/bin/hook-reload"},
    "Notify": {**PROGRAM, "AppReady": "notify-reload"},
}
LIMITS: tuple[Mapping[str, str | int | None], ...] = (
    {"AppLimit\\NOFILE": 64, "AppLimit\\TasksMax": 9},
    {"AppLimit\\NOFILE": None, "AppLimit\\MemoryMax": "1G"},
    {"AppLimit\\MemoryMax": None, "AppLimit\\TasksMax": None, "AppLimit\\CORE": 0},
)
RESTART = FailureActionsChange(60, None, None, (FailureAction(type=ActionType.RESTART, delay=300),))
ALL = 0xF01FF


class Operators(Visitors):
    """The operators of one world; in most worlds there are none."""

    NUMBER, SALT, SHARE = 3, 0x0935, 0.25

    def __init__(self, world: World, seed: int) -> None:
        super().__init__(world, seed)
        self._scm: HandleId | None = None
        self._services: dict[str, HandleId] = {}
        self._prepared: tuple[dict[str, RegistryValue], str] = {}, ""
        """Parameters and description of the next service that is created."""

    # What they do ----------------------------------------------------------------------------

    def _act(self) -> None:
        if self._scm is None:
            if not self._asked:
                self._ask(OpenScm(self._call(), None, 0xF003F))
            return
        there = {stored.config.name for stored in self.world.disk.values()}
        missing = [name for name in MADE if name not in there]
        if missing and self.random.random() < 0.5:
            if not any(isinstance(c, PrepareService | CreateService) for c in self._asked.values()):
                self._make(self._scm, self.random.choice(missing[:2]))
        elif self._services and self.random.random() < 0.8:
            self._use(self.random.choice(list(self._services)))
        else:
            name = self.random.choice(list(MADE))
            if name not in self._services:
                self._ask(OpenService(self._call(), self._scm, name, ALL))

    def _make(self, scm: HandleId, name: str) -> None:
        roll = self.random.random()
        if roll < 0.6 and not self._prepared[0]:
            values = {key: RegistryValue.of(value) for key, value in MADE[name].items()}
            changes: tuple[tuple[ConfigLevel, Config2Value], ...] = (
                (ConfigLevel.DESCRIPTION, f"{name} {self.random.randrange(100)}"),
                (ConfigLevel.FAILURE_ACTIONS, RESTART),
                (ConfigLevel.FAILURE_ACTIONS_FLAG, True),
            )
            self._ask(PrepareService(self._call(), scm, "srvany", values, changes))
        else:
            start_type = self.random.choice((2, 3, 3))
            image = "/bin/own" if name == "T@2" and roll > 0.8 else "srvany"
            config = ServiceConfig(name=name, image_path=image, start_type=start_type)
            self._ask(CreateService(self._call(), scm, config, ALL))

    def _use(self, name: str) -> None:
        call, handle, roll = self._call(), self._services[name], self.random.random()
        if roll < 0.35:
            self._ask(StartService(call, handle))
        elif roll < 0.6:
            self._ask(ControlService(call, handle, Control.PARAMCHANGE))
        elif roll < 0.7:
            self._ask(ControlService(call, handle, Control.STOP))
        elif roll < 0.8:
            self._ask(SetParameters(call, handle, self._values(name)))
        elif roll < 0.92:
            self._ask(self.random.choice((QueryConfig, QueryParameters))(call, handle))
        elif roll < 0.94:
            self._ask(DeleteService(call, handle))
        elif roll < 0.96:
            self._ask(ChangeConfig(call, handle, start_type=self.random.choice((2, 3, 3, 4))))
        else:
            del self._services[name]
            self._ask(CloseHandle(call, handle))

    def _values(self, name: str) -> dict[str, RegistryValue | None]:
        """What is put right, or changed."""
        values: dict[str, str | int | None] = dict(MADE[name])
        if name == "T":
            values["AppInstances"] = self.random.choice((0, 1, 2, 2, 3))
        if self.random.random() < 0.5:
            values |= self.random.choice(LIMITS)
        return {
            key: None if value is None else RegistryValue.of(value) for key, value in values.items()
        }

    # What they hear --------------------------------------------------------------------------

    def _heard(self, command: Command, reply: Reply) -> None:
        if reply.error:
            return
        match command:
            case OpenScm():
                assert isinstance(reply.result, int)
                self._scm = HandleId(reply.result)
            case PrepareService(values=values, changes=changes):
                self._prepared = dict(values), str(changes[0][1])
            case CreateService(config=config):
                assert isinstance(reply.result, tuple)
                self._services[config.name] = reply.result[0]
            case OpenService(name=name):
                assert isinstance(reply.result, int)
                self._services[name] = HandleId(reply.result)
            case QueryParameters(service=handle):
                self._shown(handle, reply.result)
            case QueryConfig(service=handle):
                self._shown(handle, reply.result)

    def _shown(self, handle: HandleId, told: object) -> None:
        """What is shown of a service has been saved."""
        name = next(name for name, other in self._services.items() if other == handle)
        stored = next(s for s in self.world.disk.values() if s.config.name == name)
        expected = stored.config if isinstance(told, ServiceConfig) else stored.parameters
        assert told == expected, f"shown of {name}: {told}, saved was {expected}"
        self.seen.add("shown")

    def effect(self, effect: Effect) -> None:
        """A new record has what was prepared for it, and nothing is left for another one."""
        if not self.are_there or not isinstance(effect, SaveRecord):
            return
        if effect.service in self.world.disk or effect.config.name not in MADE:
            return
        (values, description), self._prepared = self._prepared, ({}, "")
        name, found = effect.config.name, effect.parameters
        assert found == values, f"{name} is made with {found}, prepared was {values}"
        assert effect.config.description == description, f"{name} was described as {description}"
        assert effect.config.failure_actions_flag == bool(description)
        self.seen.add("made whole" if values else "made bare")

    # Deaths ----------------------------------------------------------------------------------

    def cut_off(self) -> None:
        super().cut_off()
        self._scm = None
        self._services.clear()
        self._prepared = {}, ""
