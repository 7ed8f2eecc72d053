"""Tuners of the simulated world: they change the SCM's own settings, and ask for them.

A change is made whole or not at all: by the disk, by what is answered, and by what counts. One that
is refused for one of its values has changed none, nor has one that the disk did not take. A new
manager begins with what was saved.
"""

from __future__ import annotations

from collections.abc import Mapping

from scmd.core.messages import HandleId, Settings
from scmd.core.messages.commands import Command, OpenScm, QuerySettings, SetSettings
from scmd.core.messages.effects import Reply
from scmd.testing.simulated_visitors import Visitors
from scmd.vocabulary.errors import Error
from scmd.vocabulary.registry import RegistryValue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.testing.simulation import World

Texts = tuple[str, ...]
Values = Mapping[str, RegistryValue | None]
REBOOT, ORDER, COUNT = "RebootCommand", "ServiceGroupOrder\\List", "VirtualAccountCount"
TAGS = "GroupOrderList\\First"
PRESHUTDOWN, PIPE, KILL = "PreshutdownOrder", "ServicesPipeTimeout", "WaitToKillServiceTimeout"
CHOICES: Mapping[str, tuple[str | int | bytes | Texts | None, ...]] = {
    REBOOT: ("/bin/hook-recover reboot", "/bin/hook-recover again", None),
    ORDER: (("First", "Second"), ("Other", "First"), None),
    COUNT: (2_000, 4_000, None),
    TAGS: (b"\1\0\0\0\7\0\0\0", None),
    PRESHUTDOWN: (("C", "B"), ("B", "D", "A"), None),
    PIPE: (2_000, 90_000, None),
    KILL: (1_000, 60_000, None),
}
WRONG: tuple[tuple[str, str | int | bytes], ...] = (
    (REBOOT, "hook-recover"),
    (COUNT, 0),
    (TAGS, b"\2\0\0\0"),
    ("NoSuchSetting", 1),
)
_DEFAULT = Settings()
"""What counts when nothing is set."""


class Tuners(Visitors):
    """The tuners of one world; in most worlds there are none."""

    NUMBER, SALT, SHARE = 5, 0x7124E5, 0.25

    def __init__(self, world: World, seed: int) -> None:
        super().__init__(world, seed)
        self._scm: HandleId | None = None
        self._known = [{name: world.control.get(name) for name in CHOICES}]
        """What is set; several after a manager's death, until it is seen which."""

    def _act(self) -> None:
        if any(isinstance(command, OpenScm | SetSettings) for command in self._asked.values()):
            return
        if self._scm is None:
            self._ask(OpenScm(self._call(), None, 0xF003F))
        elif self.random.random() < 0.3:
            self._ask(SetSettings(self._call(), self._scm, self._draw()))
        else:
            self._ask(QuerySettings(self._call(), self._scm))

    def _draw(self) -> dict[str, RegistryValue | None]:
        names = self.random.sample(list(CHOICES), self.random.choice((1, 1, 2, 3)))
        drawn = {name: self.random.choice(CHOICES[name]) for name in names}
        if self.random.random() < 0.15:
            name, value = self.random.choice(WRONG)
            drawn[name] = value
        return {name: None if v is None else RegistryValue.of(v) for name, v in drawn.items()}

    def _heard(self, command: Command, reply: Reply) -> None:
        match command:
            case OpenScm():
                assert isinstance(reply.result, int)
                self._scm = HandleId(reply.result)
            case SetSettings(values=values):
                self._set(values, reply)
            case QuerySettings():
                assert isinstance(reply.result, Settings)
                self._told(reply.result)

    def _set(self, values: Values, reply: Reply) -> None:
        wrong = [(name, values[name]) for name, _ in WRONG if name in values]
        wrong = [(n, v) for n, v in wrong if v is not None and (n, v.data) in WRONG]
        if wrong:
            assert reply.error == Error.INVALID_PARAMETER, f"set: {wrong}"
            self.seen.add("refused")
        elif reply.error:
            assert reply.error == Error.DISK_FULL, f"not set: {reply.error}"
            self.seen.add("not saved")
        else:
            self._known = [{**known, **values} for known in self._known]
            self.seen.add("set")

    def _told(self, settings: Settings) -> None:
        """What is stored, and what counts."""
        stored = {name: settings.stored.get(name) for name in CHOICES}
        right = [known for known in self._known if known == stored]
        assert right, f"set is {stored}, expected was {self._known}"
        self._known = right[:1]
        order, command = stored[ORDER], stored[REBOOT]
        count, tags = stored[COUNT], stored[TAGS]
        first, pipe, kill = stored[PRESHUTDOWN], stored[PIPE], stored[KILL]
        expected = (
            order.data if order is not None else (),
            command.data if command is not None else "",
            count.data if count is not None else len(_DEFAULT.own_ids),
            {"FIRST": (7,)} if tags is not None else {},
            first.data if first is not None else (),
            pipe.data if pipe is not None else _DEFAULT.pipe_timeout,
            kill.data if kill is not None else _DEFAULT.kill_timeout,
        )
        found = (
            settings.group_order,
            settings.reboot_command,
            len(settings.own_ids),
            settings.tag_order,
            settings.preshutdown_order,
            settings.pipe_timeout,
            settings.kill_timeout,
        )
        assert found == expected, f"what counts is {found}, set was {expected}"
        self.seen.add("told")

    def cut_off(self) -> None:
        """What was on its way may be on the disk."""
        for command in self._asked.values():
            if isinstance(command, SetSettings):
                self._known += [{**known, **command.values} for known in self._known]
                self.seen.add("not known")
        super().cut_off()
        self._scm = None
