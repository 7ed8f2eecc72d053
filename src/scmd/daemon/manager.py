"""The manager: the SCM's database, state machine and RPC server, put together.

A child of the keeper, which it greets at the socket named by its only argument. It may be
killed at any time. Exit status 78 (EX_CONFIG) says that a restart would not help.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import secrets
import signal
import socket
import sys
import threading
from contextlib import ExitStack, closing

from msgspec.structs import replace

from scmd.control_pipe import packets
from scmd.core import messages
from scmd.core.built_in import SmbFrontChanged
from scmd.core.memory import Memory
from scmd.core.messages import effects, events
from scmd.core.scm import Scm
from scmd.daemon.callers import LocalCallers, Performer
from scmd.daemon.channels import Channels
from scmd.daemon.chronicle import Chronicle
from scmd.daemon.host import Host
from scmd.daemon.keeper_link import KeeperLink, KeeperLost, KeeperState
from scmd.daemon.keeper_setup import NOTIFY_NAME, CannotRun, instance_of, make_runtime
from scmd.daemon.notify_listener import NotifyListener, Tags
from scmd.daemon.remote import Remote
from scmd.daemon.shell import Notice, Shell
from scmd.daemon.socket_watch import SocketWatch
from scmd.linux import clock, launch_numbers, remote_users, runtime_journal, standard_error
from scmd.linux.database import Database, DatabaseError
from scmd.linux.event_log import EventLog
from scmd.linux.remote_users import RemoteUsers
from scmd.linux.spool import Spool
from scmd.linux.threads import with_threads
from scmd.server.conversation import Conversations
from scmd.server.handles import NONCE_SIZE
from scmd.server.session import Sessions
from scmd.storage.event_record import EventError
from scmd.transport.local_server import LocalServer
from scmd.transport.places import SOCKET_NAME

EX_SOFTWARE = 70
EX_CONFIG = 78
log = logging.getLogger("scmd.manager")


class Manager:
    """One SCM instance, from the keeper's welcome to the end of shutdown."""

    def __init__(
        self, keeper: KeeperLink, state: KeeperState, database: Database, event_log: EventLog
    ) -> None:
        self._events = event_log
        self._keeper = keeper
        self._finished = asyncio.get_running_loop().create_future()
        settings = database.settings(
            first_launch=launch_numbers.reserve(state.state / "launches"),
            single_user=os.geteuid() != 0,
            environment=_service_environment(state),
        )
        settings = replace(
            settings,
            epoch=int.from_bytes(os.urandom(7)),
            ends_with_essential=state.is_init,
            process_id=os.getpid(),
            notify_socket=str(state.notify.getsockname()),
            zone=clock.zone,
        )
        stored = database.load()
        for problem in database.problems:
            log.error("record ignored: %s", problem)
        self._has_all_records = not database.problems
        self._is_adopting = False
        self._launches = state.launches
        self._clock: clock.ClockWatch | None = None
        self._sockets: SocketWatch | None = None
        self._runtime = state.runtime
        self._names = {service.id: service.config.name for service in stored}
        self._scm = Scm(stored, settings)
        tags = Tags(instance_of(str(state.state)), state.keeper_pid)
        self._channels = Channels(self._on_event, self._on_report)
        self._notify = NotifyListener(
            state.notify, self._on_event, tags, is_starting=self._scm.is_starting
        )
        owner = runtime_journal.owner_of(state.boot_id, state.keeper_pid)
        path = state.runtime / runtime_journal.NAME
        self._adopted = _adopted(state, runtime_journal.read(path, owner))
        self._journal = runtime_journal.RuntimeJournal(path, owner, self._scm.memory)
        self._shell = Shell(
            self._scm,
            keeper,
            self._channels,
            database,
            self._journal,
            on_reply=lambda reply: self._conversations.answer(reply),
            on_notice=self._on_notice,
            on_failure=self._fail,
        )
        self._chronicle = Chronicle(state.state, _spool(state, "history"))
        users = RemoteUsers(state.state / remote_users.NAME)
        if users.problem:
            log.error("nobody can come from other machines by TCP: %s", users.problem)
        self._remote = Remote(
            keeper,
            state,
            database,
            users,
            event_log.append_audit,
            lambda is_there: self._shell.submit(SmbFrontChanged(is_there)),
        )
        self._host = Host(
            state.state,
            state.runtime,
            state.keeper_pid,
            state.program,
            event_log,
            self._chronicle,
            self._counts,
            lambda reply: self._conversations.answer(reply),
            self._on_replace,
            self._remote,
        )
        sessions = Sessions(secrets.token_bytes(NONCE_SIZE))
        self._conversations = Conversations(
            sessions,
            Performer(self._shell.submit, self._host.serve),
            asyncio.get_running_loop().call_soon,
        )
        callers = LocalCallers(self._conversations.open, self._scm.service_with)
        self._server = LocalServer(callers.accept)

    async def run(self, listener: socket.socket) -> int:
        """Serve until shut down; the exit status."""
        if self._has_all_records:
            await self._host.remove_strays(self._names)
            await asyncio.to_thread(self._chronicle.retain, tuple(self._names))
        self._adopt()
        self._keeper.start(
            self._on_event, self._channels.open, self._on_keeper_lost, self._chronicle.output_ended
        )
        self._notify.start()
        self._watch_clock()
        self._shell.submit(events.AutoStart())
        # The built-in services are there before anybody can look for them.
        await self._shell.saved()
        self._server.start(listener)
        await self._remote.begin(self._conversations)
        self._watch_sockets()
        self._keeper.ready()
        gc.freeze()
        gc.enable()
        status: int = await self._finished
        self._server.close()
        self._remote.close()
        if self._sockets is not None:
            self._sockets.close()
        if self._clock is not None:
            asyncio.get_running_loop().remove_reader(self._clock)
            self._clock.close()
        await self._chronicle.close()
        await self._keeper.drain()
        # From here on nothing is heard: it is for the next manager.
        self._keeper.close()
        self._notify.close()
        self._journal.close()
        return status

    def _adopt(self) -> None:
        """Take over what an earlier manager has left: nothing, for the first one."""
        self._is_adopting = True
        for launch in self._launches:
            if launch.channel is not None:
                self._channels.open(launch.launch, launch.channel)
                self._channels.identify(launch.launch, launch.process_id)
            self._notify.know(launch.launch, launch.process_id)
        self._shell.submit(self._adopted)
        self._is_adopting = False

    def _fail(self, failed: BaseException) -> None:
        """By a bug; or by what a manager of another version has written down, once."""
        if self._is_adopting:
            self._journal.set_aside()
        _die(failed)

    def _watch_clock(self) -> None:
        """Say what time it is, now and whenever somebody has set the clock."""
        try:
            self._clock = clock.ClockWatch()
        except OSError as error:
            log.warning("nobody will be told when the clock is set: %s", error)
        else:
            asyncio.get_running_loop().add_reader(self._clock, self._clock_set)
        self._shell.submit(events.ClockRead(clock.wall()))

    def _clock_set(self) -> None:
        assert self._clock is not None
        self._clock.again()
        self._shell.submit(events.ClockRead(clock.wall()))

    def _watch_sockets(self) -> None:
        """Without them nobody could reach this manager, not to have it replaced either."""
        names = SOCKET_NAME, NOTIFY_NAME
        try:
            self._sockets = SocketWatch(self._runtime, names, self._on_sockets_gone)
        except OSError as error:
            log.warning("nobody will notice when sockets are removed: %s", error)

    def _on_sockets_gone(self) -> None:
        log.warning("somebody has removed sockets from %s: they are made again", self._runtime)
        try:
            make_runtime(str(self._runtime))
        except CannotRun as reason:
            log.error("%s", reason)
        else:
            self._journal.begin_anew()
            self._on_replace()

    def shut_down(self) -> None:
        self._shell.submit(events.Shutdown())

    def _counts(self) -> dict[str, int]:
        now = int(asyncio.get_running_loop().time() * 1000)
        return {**self._scm.counts(now), "connections": len(self._conversations)}

    def _on_event(self, event: events.Event) -> None:
        if isinstance(event, events.ProcessStarted):
            self._channels.identify(event.launch, event.process_id)
            self._notify.know(event.launch, event.process_id)
        elif isinstance(event, events.ProcessFollowed):
            if not event.problem:
                self._notify.know(event.launch, event.process_id)
        elif isinstance(event, events.LaunchFailed):
            self._notify.forget(event.launch)
        elif isinstance(event, events.ProcessExited):
            # What it has said before it ended comes first: who goes on without it, perhaps.
            self._notify.listen()
            self._notify.forget(event.launch)
            self._chronicle.exited(event)
        self._shell.submit(event)

    def _on_report(self, launch: messages.LaunchId, report: packets.Event) -> None:
        """An entry of a service's own; only for a service that this launch hosts."""
        service = messages.ServiceId(report.service)
        if not self._scm.hosts(launch, service):
            log.warning("launch %d: dropped an event for service %d", launch, service)
            return
        self._events.append(
            self._names[service],
            report.event_id,
            report.type,
            report.strings,
            category=report.category,
        )

    def _on_notice(self, notice: Notice) -> None:
        match notice:
            case effects.StatusChanged():
                self._chronicle.noted(notice)
            case effects.LogEvent():
                self._events.append_scm(notice.event_id, notice.strings)
            case effects.Audited():
                self._audit(notice)
            case effects.ServiceCreated():
                self._names[notice.service] = notice.name
            case effects.ServiceDeleted():
                self._names.pop(notice.service, None)
                self._host.service_deleted(notice.service)
                self._chronicle.deleted(notice.service)
            case effects.ShutdownCompleted():
                self._keeper.shutdown_done(notice.exit_status)
                self._finish(0)
            case effects.ServiceFailed():
                self._chronicle.failed(notice)

    def _audit(self, entry: effects.Audited) -> None:
        caller = entry.caller
        self._events.append_audit(
            caller.name, caller.origin, entry.action, entry.target, entry.error
        )

    def _on_replace(self) -> None:
        """Make room for a manager of the version that is installed now."""
        self._keeper.replace()
        self._finish(0)

    def _on_keeper_lost(self, lost: KeeperLost) -> None:
        log.critical("the keeper is gone: %s", lost)
        self._finish(1)

    def _finish(self, status: int) -> None:
        if not self._finished.done():
            self._finished.set_result(status)


def die_with_threads() -> None:
    """A thread that ends in an exception, the one that writes the database above all, is missed."""
    threading.excepthook = lambda ended: _die(ended.exc_value)


def _die(failed: BaseException | None) -> None:
    """Make room for a new manager, which goes on from the journal; as a kill would."""
    log.critical("a bug; a new manager takes over", exc_info=failed)
    os._exit(EX_SOFTWARE)


def _service_environment(state: KeeperState) -> dict[str, str]:
    """What a service needs to find this SCM."""
    return {"SCMD_RUNTIME": str(state.runtime)}


def _spool(state: KeeperState, name: str) -> Spool:
    """Where lines are while they wait for the disk, for the manager after this one."""
    return Spool(state.runtime / f"{name}.waiting", instance_of(str(state.state)))


def _adopted(state: KeeperState, entries: tuple[Memory, ...] | None) -> events.Adopted:
    if entries is None and state.launches:
        log.error("no journal of the manager before: what runs is taken for what it seems to be")
    held = [
        events.HeldLaunch(
            launch.launch,
            launch.service,
            launch.process_id,
            launch.channel is not None,
            launch.hook,
            launch.ended,
        )
        for launch in state.launches
    ]
    return events.Adopted(entries or (), tuple(held))


async def _run(descriptor: int) -> int:
    # What is made until it serves stays; to look through it again and again would take as long.
    gc.disable()
    keeper, state = await KeeperLink.connect(descriptor)
    with ExitStack() as opened:
        try:
            path = state.state / "registry.db"
            database = Database.open(path, create=not state.launches)
            opened.enter_context(closing(database))
            events = EventLog(state.state / "events", spool=_spool(state, "events"))
            opened.enter_context(closing(events))
            manager = Manager(keeper, state, database, events)
        except (DatabaseError, EventError, launch_numbers.LaunchNumbersError) as error:
            print(f"scmd: {error}", file=sys.stderr)
            return EX_CONFIG
        except OSError as error:
            print(f"scmd: {error.filename} cannot be used: {error.strerror}", file=sys.stderr)
            return EX_CONFIG
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, manager.shut_down)
        return await manager.run(state.listener)


def main() -> int:
    """`python -m scmd.daemon.manager DESCRIPTOR`: run by the keeper only."""
    standard_error.keep_going()
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="scmd: %(levelname)s: %(message)s"
    )
    die_with_threads()
    if len(sys.argv) != 2 or not sys.argv[1].isdecimal():
        print("the manager is started by `scmd run`", file=sys.stderr)
        return 2
    try:
        return asyncio.run(_run(int(sys.argv[1])))
    except KeeperLost as lost:
        log.critical("no keeper: %s", lost)
        return 1


if __name__ == "__main__":
    sys.exit(with_threads(main))
