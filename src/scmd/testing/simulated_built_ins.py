"""Built-in services of the simulated world, and those who meddle with them.

Once the automatic starts have begun they are there, each once, and stay: nobody starts, stops,
kills or deletes one, and nothing is launched for them. They run in the manager of the day,
LanmanServer as long as smbd hands the SCM's pipe over to this one.
"""

from __future__ import annotations

from collections.abc import Mapping

from scmd.core.built_in import SmbFrontChanged
from scmd.core.messages import HandleId
from scmd.core.messages.commands import (
    CloseHandle,
    Command,
    ControlService,
    DeleteService,
    KillService,
    OpenScm,
    OpenService,
    QueryStatus,
    StartService,
)
from scmd.core.messages.effects import (
    Effect,
    LaunchProcess,
    Reply,
    SaveRecord,
    SendStart,
    ServiceDeleted,
    StatusChanged,
)
from scmd.core.records import BUILT_IN_IMAGE
from scmd.testing.simulated_visitors import Visitors
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import Control, ServiceState
from scmd.vocabulary.status import ServiceStatus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.testing.simulation import World

SERVER, DRIVER = "LanmanServer", "Tcpip"
NAMES = ("EventLog", "RpcSs", DRIVER, SERVER)
_MEDDLING: Mapping[type[Command], tuple[int, ...]] = {
    StartService: (Error.SERVICE_ALREADY_RUNNING, Error.SERVICE_DISABLED),
    ControlService: (Error.INVALID_SERVICE_CONTROL, Error.SERVICE_NOT_ACTIVE),
    KillService: (Error.INVALID_SERVICE_CONTROL, Error.SERVICE_NOT_ACTIVE),
    DeleteService: (Error.ACCESS_DENIED,),
}
"""What is asked of them, and how it is refused, if not because of a shutdown."""


class BuiltIns(Visitors):
    """Those who meddle in one world; in most worlds there are no built-in services."""

    NUMBER, SALT, SHARE = 6, 0xB111, 0.2

    def __init__(self, world: World, seed: int) -> None:
        super().__init__(world, seed)
        self._scm: HandleId | None = None
        self._services: dict[HandleId, str] = {}
        self._fronted = False
        """By what this manager has been told."""

    def _act(self) -> None:
        if self._scm is None:
            if not self._asked:
                self._ask(OpenScm(self._call(), None, 0xF003F))
        elif self.random.random() < 0.1:
            self._fronted = not self._fronted
            self.world.tell(SmbFrontChanged(self._fronted))
            self.seen.add("fronted")
        elif not self._services or self.random.random() < 0.2:
            name = self.random.choice(NAMES)
            self._ask(OpenService(self._call(), self._scm, name, 0xF01FF))
        else:
            self._meddle(self.random.choice(list(self._services)))

    def _meddle(self, service: HandleId) -> None:
        call, roll = self._call(), self.random.random()
        if roll < 0.4:
            self._ask(QueryStatus(call, service))
        elif roll < 0.55:
            self._ask(StartService(call, service))
        elif roll < 0.7:
            codes = Control.STOP, Control.PAUSE, Control.CONTINUE, Control.PARAMCHANGE
            self._ask(ControlService(call, service, self.random.choice(codes)))
        elif roll < 0.8:
            self._ask(KillService(call, service))
        elif roll < 0.9:
            self._ask(DeleteService(call, service))
        else:
            del self._services[service]
            self._ask(CloseHandle(call, service))

    def _heard(self, command: Command, reply: Reply) -> None:
        match command:
            case OpenScm():
                assert isinstance(reply.result, int)
                self._scm = HandleId(reply.result)
            case OpenService(name=name) if reply.error == 0:
                assert isinstance(reply.result, int)
                self._services[HandleId(reply.result)] = name
            case OpenService():
                assert reply.error == Error.SERVICE_DOES_NOT_EXIST, f"not there: {reply.error}"
            case QueryStatus(service=service):
                assert isinstance(reply.result, ServiceStatus)
                self._told(self._services[service], reply.result)
            case _ if type(command) in _MEDDLING:
                refused = (*_MEDDLING[type(command)], Error.SHUTDOWN_IN_PROGRESS)
                assert reply.error in refused, f"{command} was answered {reply.error}"
                self.seen.add(type(command).__name__)

    def _told(self, name: str, status: ServiceStatus) -> None:
        runs = name != SERVER or self._fronted
        assert status.state == (ServiceState.RUNNING if runs else ServiceState.STOPPED), name
        pid = self.world.manager_pid if runs and name != DRIVER else 0
        assert status.process_id == pid, f"{name} runs in {status.process_id}, not {pid}"
        self.seen.add(f"{name} {'runs' if runs else 'does not run'}")

    def effect(self, effect: Effect) -> None:
        """Nothing happens to them but that they are made and described."""
        match effect:
            case LaunchProcess(spec=spec):
                self._check(spec.name)
            case SendStart(service=service):
                self._check(self.world.disk[service].config.name)
            case StatusChanged(name=name) | ServiceDeleted(name=name):
                self._check(name)
            case SaveRecord(config=config, deleted=deleted) if deleted:
                self._check(config.name)

    def _check(self, name: str) -> None:
        assert name not in NAMES, f"{name} is the SCM's own"

    def finish(self) -> None:
        """They are there, unless the disk did not take them; without the setting they are not."""
        images = [(s.config.name, s.config.image_path) for s in self.world.disk.values()]
        found = [name for name, image in images if image == BUILT_IN_IMAGE]
        wanted = set(NAMES) if self.are_there and self.world.auto_started else set()
        assert len(found) == len(set(found)), f"there are {found}"
        missing = wanted - set(found)
        assert set(found) <= wanted, f"there are {found}"
        assert not missing or self.world.saves_failed, f"there is no {missing}"

    def cut_off(self) -> None:
        super().cut_off()
        self._scm, self._fronted = None, False
        self._services.clear()
