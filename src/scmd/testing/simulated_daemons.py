"""Programs of the simulated world that leave their first process behind, and the keeper's part.

One goes on in another process, which its pid file names or it does itself. Until the keeper
follows that one, the first one's exit is all that is told.
"""

from __future__ import annotations

from scmd.core.messages.effects import FollowProcess
from scmd.core.messages.events import ProcessExited, ProcessFollowed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.testing.simulated_processes import SimulatedProcess


class Background:
    """What a process goes on in."""

    def __init__(self, process: SimulatedProcess) -> None:
        self.process = process
        self.pid = 0
        """The process that it goes on in; 0: the first one still."""
        self.unfollowed = False
        """The first one has exited, and the keeper follows no other."""
        self.asking = 0
        """Answers of the keeper that are on their way: until then no exit is judged."""

    def begin(self) -> int:
        """Another process takes over, the first one is still there."""
        self.pid = self.process.world.new_process_id()
        return self.pid

    def leave(self) -> None:
        """The first process exits, as is right for a daemon."""
        process = self.process
        if process.alive and not self.unfollowed and process.pid != self.pid:
            self.unfollowed = True
            process.exit = ProcessExited(process.launch, 0, None)
            process.world.tell(process.exit)

    def asked(self, wanted: FollowProcess) -> None:
        """The keeper is asked to follow it, and answers the manager that asked."""
        world = self.process.world
        deaths = world.manager.deaths
        self.asking += 1

        def answer() -> None:
            self.asking -= 1
            process = self.process
            mine = self.pid and wanted.process_id in (0, self.pid)
            found = self.pid if process.alive and mine else 0
            if found:
                process.pid, process.exit, self.unfollowed = found, None, False
            if world.manager.deaths == deaths:
                problem = "" if found else "it is not there"
                world.tell(ProcessFollowed(process.launch, found, problem))

        world.later(world.random.choice((0, 0, 1, 50)), answer)
