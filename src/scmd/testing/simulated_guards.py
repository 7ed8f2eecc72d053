"""Guards of the simulated world: they say who may do what, and see that it counts.

An administrator changes the descriptors of services and of the SCM; somebody whom they are about
opens both, lists services and uses the handles. A change counts for those who ask when it has been
answered and for nobody before, on the disk all of it is or nothing, and a new manager goes by
what is there. What a handle was granted stays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

from scmd.core.messages import CONTEXT_MISMATCH, Call, Caller, HandleId, ServiceId
from scmd.core.messages.commands import (
    CloseHandle,
    Command,
    EnumServices,
    OpenScm,
    OpenService,
    QueryStatus,
    ServiceEntry,
)
from scmd.core.messages.effects import Reply
from scmd.core.messages.events import AssociationEnded
from scmd.core.object_security import SetSecurity
from scmd.security.sddl import descriptor_from_sddl
from scmd.security.token import unix_token
from scmd.testing.simulated_clients import ADMINISTRATOR, NAMES
from scmd.testing.simulated_visitors import Visitors
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import SecurityInformation, StandardAccess

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.testing.simulation import World

SUBJECT = Caller(unix_token(2000, [2000], administrator=False), "subject", "simulation")
SCM = ServiceId(0)
_WRITE_DAC = int(StandardAccess.WRITE_DAC)
_WHO = "S-1-22-1-2000"
_SERVICE = "(A;;CCLCSWRPWPDTLOCRRC;;;SY)(A;;CCDCLCSWRPWPDTLOCRSDRCWDWO;;;BA)"
_SCM = "(A;;CC;;;AU)(A;;CCLCRPWPRC;;;SY)(A;;KA;;;BA)"
_READERS = "(A;;CCLCSWLOCRRC;;;IU)"
_LISTERS = "(A;;CCLCRPRC;;;IU)"
QUERY_CONFIG, QUERY_STATUS, START, STOP = 0x1, 0x4, 0x10, 0x20
CONNECT, CREATE, ENUMERATE, LOCK = 0x1, 0x2, 0x4, 0x8

# The descriptors that are given, with the rights that they leave to the subject. "": nobody has
# given one, and the documented default counts.
SERVICE_RIGHTS: Mapping[str, int] = {
    "": QUERY_CONFIG | QUERY_STATUS,
    f"D:{_SERVICE}{_READERS}(A;;RPWP;;;{_WHO})": QUERY_CONFIG | QUERY_STATUS | START | STOP,
    f"D:(D;;LC;;;{_WHO}){_SERVICE}{_READERS}": QUERY_CONFIG,
    f"D:(D;;WP;;;{_WHO}){_SERVICE}(A;;LCRPWP;;;WD)": QUERY_STATUS | START,
    f"D:{_SERVICE}": 0,
}
SCM_RIGHTS: Mapping[str, int] = {
    "": CONNECT | ENUMERATE,
    f"D:{_SCM}{_LISTERS}(A;;DCSW;;;{_WHO})": CONNECT | CREATE | ENUMERATE | LOCK,
    f"D:(D;;LC;;;{_WHO}){_SCM}{_LISTERS}": CONNECT,
}
_DACL = int(SecurityInformation.DACL)


@cache
def _bytes_of(sddl: str) -> bytes:
    return descriptor_from_sddl(sddl).to_bytes()


class Guards(Visitors):
    """The guards of one world, and their subject; in most worlds there are none."""

    NUMBER, SALT, SHARE = 4, 0x60A2D, 0.25

    def __init__(self, world: World, seed: int) -> None:
        super().__init__(world, seed)
        self._may: dict[ServiceId, list[str]] = {}
        """The descriptor of each; several after a manager's death, until it is seen which."""
        self._change: tuple[ServiceId, str] | None = None
        """The one that is on its way."""
        self._theirs = self._new_association()
        """The subject's association."""
        self._lists: HandleId | None = None
        """Its handle to the SCM, which it may use to open services, and to list them."""
        self._granted: dict[HandleId, int] = {}
        """What it was granted of services."""
        self._scm: HandleId | None = None

    # What they do ----------------------------------------------------------------------------

    def _act(self) -> None:
        if self._scm is None or self._lists is None:
            if not self._asked:
                self._ask(OpenScm(self._call(), None, 0xF003F))
                self._ask(OpenScm(self._subject(), None, CONNECT))
            return
        roll = self.random.random()
        if roll < 0.25 and self._change is None:
            self._guard(self._scm)
        elif roll < 0.55:
            name, access = self.random.choice(NAMES), self._draw((0x1, 0x4, 0x10, 0x20))
            self._ask(OpenService(self._subject(), self._lists, name, access))
        elif roll < 0.7:
            self._ask(OpenScm(self._subject(), None, self._draw((0x1, 0x2, 0x4, 0x8))))
        elif self._granted:
            handle = self.random.choice(list(self._granted))
            if roll < 0.9:
                self._ask(QueryStatus(self._subject(), handle))
            else:
                del self._granted[handle]
                self._ask(CloseHandle(self._subject(), handle))

    def _draw(self, rights: tuple[int, ...]) -> int:
        return self.random.choice(rights) | self.random.choice((0, 0, *rights))

    def _guard(self, scm: HandleId) -> None:
        """Change who may do what with the SCM, or with a service that is opened for that."""
        if any(isinstance(c, OpenService) and self._is_own(c) for c in self._asked.values()):
            return
        if self.random.random() < 0.2:
            self._set(scm, SCM, SCM_RIGHTS)
        else:
            name = self.random.choice(NAMES)
            self._ask(OpenService(self._call(), scm, name, _WRITE_DAC))

    def _set(self, handle: HandleId, about: ServiceId, rights: Mapping[str, int]) -> None:
        sddl = self.random.choice(list(rights)[1:])
        self._change = about, sddl
        self._ask(SetSecurity(self._call(), handle, _DACL, _bytes_of(sddl)))

    def _subject(self) -> Call:
        call = self._call(SUBJECT)
        return Call(call.id, self._theirs, call.caller)

    def _is_own(self, command: Command) -> bool:
        return command.call.caller is ADMINISTRATOR

    # What they hear --------------------------------------------------------------------------

    def _heard(self, command: Command, reply: Reply) -> None:
        match command:
            case SetSecurity():
                self._changed(command, reply)
            case OpenScm() if self._is_own(command):
                assert isinstance(reply.result, int)
                self._scm = HandleId(reply.result)
            case OpenScm(desired_access=access):
                self._opened_scm(access, reply)
            case OpenService(name=name) if self._is_own(command):
                if isinstance(reply.result, int):
                    handle = HandleId(reply.result)
                    self._soon(lambda: self._go_on(name, handle))
            case OpenService():
                self._opened(command, reply)
            case QueryStatus(service=handle):
                expected = 0 if self._granted[handle] & QUERY_STATUS else int(Error.ACCESS_DENIED)
                assert reply.error == expected, f"a handle is good for {reply.error}"
                self.seen.add("used")
            case EnumServices():
                self._listed(reply)

    def _go_on(self, name: str, handle: HandleId) -> None:
        """It has been opened for a change."""
        self._set(handle, self._id_of(name), SERVICE_RIGHTS)
        self._ask(CloseHandle(self._call(), handle))

    def _id_of(self, name: str) -> ServiceId:
        return next(id for id, s in self.world.disk.items() if s.config.name == name)

    def _changed(self, command: SetSecurity, reply: Reply) -> None:
        assert self._change is not None
        about, sddl = self._change
        self._change = None
        if reply.error == 0:
            self._may[about] = [sddl]
        self.seen.add("changed" if reply.error == 0 else f"not changed: {reply.error}")

    def _opened_scm(self, access: int, reply: Reply) -> None:
        self._judge(SCM, SCM_RIGHTS, access | CONNECT, reply.error == 0)
        if reply.error:
            assert reply.error == Error.ACCESS_DENIED, f"the SCM was not opened: {reply.error}"
            return
        assert isinstance(reply.result, int)
        handle, scm = HandleId(reply.result), self._lists
        self._lists = handle
        if access & ENUMERATE:
            self._soon(lambda: self._ask(EnumServices(self._subject(), handle, 0x3B, 3)))
        if scm is not None:
            self._soon(lambda: self._ask(CloseHandle(self._subject(), scm)))

    def _soon(self, action: Callable[[], None]) -> None:
        """Unless this manager dies before."""
        association = self._association
        self.world.later(0, lambda: action() if self._association == association else None)

    def _opened(self, command: OpenService, reply: Reply) -> None:
        if reply.error not in (0, Error.ACCESS_DENIED):
            # Its handle to the SCM may have been closed while it waited for a removal.
            gone = (Error.SERVICE_DOES_NOT_EXIST, CONTEXT_MISMATCH)
            assert reply.error in gone, f"not opened: {reply.error}"
            return
        access = command.desired_access
        self._judge(self._id_of(command.name), SERVICE_RIGHTS, access, reply.error == 0)
        if reply.error == 0:
            assert isinstance(reply.result, int)
            self._granted[HandleId(reply.result)] = access
        self.seen.add("opened" if reply.error == 0 else "denied")

    def _listed(self, reply: Reply) -> None:
        """It sees those whose status it may query."""
        assert isinstance(reply.result, tuple)
        shown = {entry.id for entry in reply.result if isinstance(entry, ServiceEntry)}
        for id in self.world.disk:
            self._judge(id, SERVICE_RIGHTS, QUERY_STATUS, id in shown)
        self.seen.add("listed")

    def _judge(
        self, about: ServiceId, rights: Mapping[str, int], access: int, granted: bool
    ) -> None:
        """Whether it was rightly granted, or rightly not; which descriptor counts is known then."""
        known = self._may.get(about, [""])
        right = [sddl for sddl in known if (access & ~rights[sddl] == 0) == granted]
        verb = "granted" if granted else "denied"
        assert right, f"{access:#x} of {about or 'the SCM'} was {verb} by {known}"
        self._may[about] = right

    def may_query(self, about: ServiceId) -> set[bool]:
        """Whether the subject may query its status now; both, if a change is on its way."""
        known = [*self._may.get(about, [""])]
        if self._change is not None and self._change[0] == about:
            known.append(self._change[1])
        return {bool(SERVICE_RIGHTS[sddl] & QUERY_STATUS) for sddl in known}

    # Deaths ----------------------------------------------------------------------------------

    def cut_off(self) -> None:
        """What was on its way may be on the disk."""
        super().cut_off()
        if self._change is not None:
            about, sddl = self._change
            self._may[about] = [*self._may.get(about, [""]), sddl]
            self._change = None
            self.seen.add("not known")
        self._theirs = self._new_association()
        self._scm = self._lists = None
        self._granted.clear()

    def leave(self) -> None:
        if self.are_there:
            self.world.tell(AssociationEnded(self._theirs))
        super().leave()
