"""The keeper (`scmd run`): the one process that lives as long as the SCM does.

It starts the manager and the logger and starts them again when they die; it spawns what
the manager orders and waits for it. Everything that must survive the manager is held
here: the listening sockets, each launch's exit until the manager forgets it, each
service's output pipe and control channel, the lock on the state directory. It decides
nothing about services, has one thread, and sleeps unless something happened.

Its life: running; then stopping (the manager was told to shut down, and so is each that
takes the place of one that died); then cleaning (what is left of any launch is killed, the
logger writes its last lines).
A keeper that is itself killed leaves its services behind; the next keeper of the same
state directory kills them before it starts, since nobody knows their state any more.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time

from scmd.daemon import keeper_messages as wire
from scmd.daemon import keeper_setup as setup
from scmd.daemon.keeper_captures import Captures
from scmd.daemon.keeper_child import Child
from scmd.daemon.keeper_greeting import channels, exited, greeting, is_known
from scmd.daemon.keeper_launches import Launches
from scmd.daemon.keeper_listeners import CannotListen, Listeners
from scmd.daemon.keeper_signals import Signals
from scmd.daemon.keeper_socket import Disconnected, FrameSocket
from scmd.linux import cgroups, oom_score, standard_error
from scmd.linux.spawn import Spawner
from scmd.vocabulary.errors import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from os import PathLike

    from scmd.daemon.keeper_child import Heed

MANAGER_DELAYS = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
ONE_REQUEST = 1.0
"""Seconds in which signals to stop are one request: timeout(1) sends two, and so does a Ctrl-C that
whoever started us passes on."""
SHUTDOWN_DEATHS = 5
"""So many managers may die in a shutdown; then nobody is asked any more."""
LOGGER_DELAYS = (0.0, 0.1, 1.0, 5.0, 30.0)
CONFIGURATION_STATUS = 78
"""EX_CONFIG: a manager that exits with it would only do so again."""
CLEANING_LIMIT = 5.0
"""Seconds for killed processes to be gone, and as many for the logger to finish."""
_LAST_READS = 64


def run(
    state: str | PathLike[str],
    runtime: str | PathLike[str],
    *,
    manager: Sequence[str] | None = None,
    logger: Sequence[str] | None = None,
    init: Callable[[str], None] | None = None,
) -> int:
    """Be the keeper of this state directory until told to stop; the process's exit status.

    1: it cannot run here (the reason is on stderr); 78: the manager's configuration is at
    fault; else what the manager ended with. With `init` it is the first process of a container
    (see `init`), and `init(state)` prepares the database. Changes the whole process (signals,
    working directory, limits), so call it from a main thread that has nothing else to do.
    """
    paths = os.path.abspath(os.fspath(state)), os.path.abspath(os.fspath(runtime))
    try:
        keeper = Keeper(*paths, manager or _module("manager"), logger, init)
    except setup.CannotRun as reason:
        say(str(reason))
        return 1
    return keeper.run()


def say(text: str) -> None:
    """One line on stderr, whatever has become of it."""
    print(f"scmd: {text}", file=sys.stderr)


def _module(name: str, *arguments: str) -> list[str]:
    return [sys.executable, "-I", "-m", f"scmd.daemon.{name}", *arguments]


class Keeper:
    """All of the keeper's state; made once, `run` once."""

    def __init__(
        self,
        state: str,
        runtime: str,
        manager: Sequence[str],
        logger: Sequence[str] | None,
        init: Callable[[str], None] | None,
    ) -> None:
        setup.open_standard_descriptors()
        standard_error.keep_going()
        setup.check_proc()
        os.umask(0o022)
        setup.make_directory(state, 0o700, "--state")
        self._lock, self._unclean = setup.take_lock(state)
        logs = os.path.join(state, "logs")
        setup.make_directory(logs, 0o700, "--state")
        self._sockets = setup.OwnSockets(runtime)
        self._listeners = Listeners()
        setup.become_subreaper()
        nofile = setup.raise_descriptor_limit()
        os.chdir("/")
        instance = setup.instance_of(state)
        self._state, self._runtime = state, runtime
        spawner = Spawner(instance, runtime, nofile, oom_score.protect())
        self._launches = Launches(instance, spawner, cgroups.find(instance))
        self._captures = Captures()
        self._manager = Child("manager", manager, MANAGER_DELAYS)
        echo = () if init is None else ("--echo",)
        self._logger = Child("logger", logger or _module("logger", *echo, logs), LOGGER_DELAYS)
        self._is_init = init is not None
        self._stopping = False
        self._asked_at: float | None = None
        """When it was asked to stop."""
        self._waits_for_nobody = False
        """Asked again to stop."""
        self._shutdown_deaths = 0
        self._replacing: list[Child] = []
        """Those whose end was ordered, and is no failure."""
        self._ready = False
        self._manager_version = 0
        """What the present manager has said in Hello; until then it is told nothing."""
        self._exit_status: int | None = None
        self._watchdog = setup.Watchdog()
        if init is not None:
            setup.do_in_child(init, state)
        self._signals = Signals(self._is_init)

    def run(self) -> int:
        if self._unclean and self._launches.kill_leftovers():
            say("killed what an earlier keeper had left")
        self._start(self._logger)
        self._start(self._manager)
        while not self._stopping or self._manager.pid or self._manager.restart_at is not None:
            self._turn()
        self._clean()
        self._signals.end()
        return 0 if self._exit_status is None else self._exit_status

    # One turn of the loop -----------------------------------------------------------------

    def _turn(self, limit: float | None = None) -> None:
        """Wait until something happens, at most `limit` seconds, and deal with it."""
        deadlines = [self._launches.sweep_at, self._watchdog.due]
        for child in (self._manager, self._logger):
            deadlines += [child.restart_at, child.kill_at]
        delays = [deadline - time.monotonic() for deadline in deadlines if deadline is not None]
        delays += [] if limit is None else [limit]
        poll = select.poll()
        poll.register(self._signals.wakeup, select.POLLIN)
        for child in (self._manager, self._logger):
            child.register(poll)
        for handle in self._launches.handles:
            poll.register(handle, select.POLLIN)
        # Rounded up: waking before the deadline would mean a second, useless turn.
        happened = dict(poll.poll(int(max(0.0, min(delays)) * 1000) + 1 if delays else None))
        if self._signals.wakeup in happened:
            self._signals.drain()
            self._reap()
            self._heed_stop_requests()
            for number in self._signals.take_passed_on():
                self._launches.pass_on(number)
        for record in self._launches.ended_elsewhere(happened):
            self._tell_manager(exited(record))
        self._converse(self._manager, happened, self._obey)
        self._converse(self._logger, happened, self._heed_logger)
        self._do_what_is_due(time.monotonic())

    def _converse(self, child: Child, happened: dict[int, int], heed: Heed) -> None:
        problem = child.converse(happened, heed, time.monotonic())
        if problem:
            say(f"the {child.name} is {problem}")

    def _do_what_is_due(self, now: float) -> None:
        self._watchdog.turn(now)
        for child in (self._logger, self._manager):
            child.kill_if_due(now)
            if child.restart_at is not None and now >= child.restart_at:
                self._start(child)
        self._launches.sweep(now, self._own_pids())

    def _own_pids(self) -> list[int]:
        return [child.pid for child in (self._manager, self._logger) if child.pid is not None]

    # Signals and deaths -------------------------------------------------------------------

    def _heed_stop_requests(self) -> None:
        """The first one is passed to the manager; after a second one nobody is waited for."""
        if not self._signals.take_stop_request():
            return
        now = time.monotonic()
        if self._asked_at is not None and now < self._asked_at + ONE_REQUEST:
            return
        if not self._stopping:
            self._asked_at = now
            awaits_manager = self._manager.restart_at is not None
            self._begin_stopping()
            # Where nobody is there any more to tell the services, the next one will be told.
            self._tell_manager(wire.Shutdown())
            if awaits_manager:
                self._manager.restart_at = now
            return
        self._begin_stopping()
        self._waits_for_nobody = True
        if self._manager.pid is not None:
            say("not waiting for services any longer")
            os.kill(self._manager.pid, signal.SIGKILL)

    def _begin_stopping(self) -> None:
        if not self._stopping:
            self._stopping = True
            setup.notify_systemd("STOPPING=1", os.environ.get("NOTIFY_SOCKET"))
        self._manager.restart_at = None

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self._manager.pid:
                self._manager_ended(status)
            elif pid == self._logger.pid:
                self._logger_ended(status)
            else:
                record = self._launches.reaped(pid, status)
                if record is not None:
                    self._tell_manager(exited(record))

    def _manager_ended(self, status: int) -> None:
        # What it said before it ended still counts, a ShutdownDone above all.
        self._manager.pid = None
        for _ in range(_LAST_READS):
            if self._manager.socket is not None:
                happened = {self._manager.socket.fileno(): select.POLLIN}
                self._converse(self._manager, happened, self._obey)
        self._manager_version = 0
        how = setup.describe(status)
        misconfigured = os.WIFEXITED(status) and os.WEXITSTATUS(status) == CONFIGURATION_STATUS
        delay = self._restart_delay(self._manager)
        if self._exit_status is not None:
            self._begin_stopping()
        elif misconfigured and not self._ready:
            self._exit_status = CONFIGURATION_STATUS
            self._begin_stopping()
        elif self._stopping:
            self._go_on_stopping(how, 0.0)
        elif delay is not None:
            say(f"the manager ended: {how}; services go on; a new one in {delay:g} s")

    def _go_on_stopping(self, how: str, delay: float) -> None:
        """A shutdown's manager has died: another takes it up, after so many seconds, or nobody."""
        self._shutdown_deaths += 1
        if not self._waits_for_nobody and self._shutdown_deaths <= SHUTDOWN_DEATHS:
            say(f"the manager ended: {how}; a new one goes on with the shutdown")
            self._manager.restart_at = time.monotonic() + delay
        else:
            say(f"the manager ended before its services did: {how}")
            self._exit_status = 1
            self._manager.restart_at = None

    def _logger_ended(self, status: int) -> None:
        if status:
            self._captures.were_lost()
        delay = self._restart_delay(self._logger)
        if delay is not None:
            say(f"the logger ended: {setup.describe(status)}; a new one in {delay:g} s")

    def _restart_delay(self, child: Child) -> float | None:
        """Seconds until it is started again; None for one that is replaced, at once."""
        delay = child.ended(time.monotonic())
        if child not in self._replacing:
            return delay
        self._replacing.remove(child)
        child.restart_at = time.monotonic()
        return None

    def _tell_manager(self, message: wire.Message) -> None:
        if self._manager.socket is not None and is_known(message, self._manager_version):
            self._manager.socket.send(message)

    def _start(self, child: Child) -> None:
        try:
            child.start()
        except OSError as failed:
            delay = child.ended(time.monotonic())
            if child is self._manager and self._stopping:
                self._go_on_stopping(f"it cannot be started: {failed}", min(delay, 1.0))
            else:
                say(f"cannot start the {child.name}: {failed}; again in {delay:g} s")
            return
        if child is self._logger and child.socket is not None:
            child.socket.send(wire.Hello(version=wire.VERSION))
            self._captures.pass_all(child.socket)

    # What the manager and the logger say ---------------------------------------------------

    def _obey(self, message: wire.Message, manager: FrameSocket) -> None:
        launches = self._launches
        if isinstance(message, wire.Launch):
            self._launch(message, manager)
        elif isinstance(message, wire.Signal):
            launches.signal(message.number, message.signal, message.tree)
        elif isinstance(message, wire.Kill):
            self._kill(message.number)
        elif isinstance(message, wire.Follow):
            number, process_id = message.number, message.process_id
            problem = launches.follow(number, process_id)
            manager.send(wire.Followed(number=number, process_id=process_id, problem=problem))
        elif isinstance(message, wire.Forget):
            launches.forget(message.number, message.keep_tree)
        elif isinstance(message, wire.Hello):
            self._manager_version = message.version
            self._welcome(manager)
        elif isinstance(message, wire.Listen):
            self._listen(message, manager)
        elif isinstance(message, wire.Unlisten):
            self._listeners.close(message.name)
        elif isinstance(message, wire.Ready):
            self._manager.ready(time.monotonic())
            self._announce_ready()
        elif isinstance(message, wire.Replace):
            self._replace()
        elif isinstance(message, wire.ShutdownDone):
            self._exit_status = message.exit_code
            self._begin_stopping()
        else:
            raise Disconnected(f"malformed: {type(message).__name__} from the manager")

    def _kill(self, number: int) -> None:
        """Its exit is told again when that was not the end: a daemon has left it behind."""
        record = self._launches.kill(number)
        if record is not None:
            self._tell_manager(exited(record))

    def _replace(self) -> None:
        """New ones from what is installed now; the logger first writes what it has read."""
        say("manager and logger are replaced; services go on")
        self._replacing = [self._manager, self._logger]
        self._logger.dismiss(time.monotonic())

    def _launch(self, launch: wire.Launch, manager: FrameSocket) -> None:
        try:
            record, output = self._launches.spawn(launch)
        except Refused as refused:
            error, detail = int(refused.error), refused.detail
            manager.send(wire.LaunchFailed(number=launch.number, error=error, detail=detail))
            return
        self._captures.begin(launch, output, self._logger.socket)
        started = wire.Launched(number=record.number, process_id=record.pid, without=record.without)
        manager.send(started, *channels(record))

    def _listen(self, asked: wire.Listen, manager: FrameSocket) -> None:
        try:
            listener = self._listeners.open(asked.name)
        except CannotListen as reason:
            manager.send(wire.ListenFailed(name=asked.name, detail=str(reason)))
            return
        manager.send(wire.Listening(name=asked.name), listener)

    def _welcome(self, manager: FrameSocket) -> None:
        try:
            self._sockets.restore()
        except setup.CannotRun as reason:
            say(str(reason))
        whole = greeting(
            *(self._state, self._runtime, self._is_init, self._sockets),
            *(self._launches, self._captures, self._listeners),
        )
        for message, descriptors in whole:
            # Nothing of it ends before the manager, who does not know it yet, says so.
            if is_known(message, self._manager_version):
                manager.send(message, *descriptors, lent=True)
        if self._stopping:
            manager.send(wire.Shutdown())

    def _announce_ready(self) -> None:
        if self._ready:
            say(f"ready again (manager {self._manager.pid})")
            return
        self._ready = True
        say(f"ready (state {self._state}, runtime {self._runtime}, pid {os.getpid()})")
        setup.notify_systemd("READY=1", os.environ.get("NOTIFY_SOCKET"))

    def _heed_logger(self, message: wire.Message, _: FrameSocket) -> None:
        if isinstance(message, wire.Ready):
            self._logger.ready(time.monotonic())
        elif isinstance(message, wire.LineSeen):
            if self._launches.note_line(message.number):
                self._tell_manager(message)
        elif isinstance(message, wire.OutputEnded):
            if self._captures.end(message.number):
                self._tell_manager(message)
        else:
            raise Disconnected(f"malformed: {type(message).__name__} from the logger")

    # The end ------------------------------------------------------------------------------

    def _clean(self) -> None:
        """Nothing that was ever launched lives on, and its last words are written."""
        self._sockets.close()
        self._listeners.close_all()
        limit = time.monotonic() + CLEANING_LIMIT
        self._launches.kill_everything()
        self._do_what_is_due(time.monotonic())
        while self._launches.doomed and time.monotonic() < limit:
            self._turn(limit - time.monotonic())
        while self._logger.socket is not None and self._logger.socket.unsent:
            if time.monotonic() >= limit:
                break
            self._turn(limit - time.monotonic())
        # It ends when its connection does, after writing what is in the pipes by now.
        self._logger.finish(CLEANING_LIMIT)
        self._launches.close()
        setup.release_lock(self._lock, clean=not self._launches.doomed)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1], sys.argv[2]))
