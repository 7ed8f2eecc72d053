"""net start, stop, pause, continue: NET.EXE's service part, its messages and exit codes.

Services are named by key name or display name. Results go to standard output, errors to standard
error; the exit status is 0 or 2, and 1 for wrong usage.
"""

from __future__ import annotations

import sys
import time

from scmd.client.statuses import Statuses
from scmd.client.waiting import Progress
from scmd.tools import target
from scmd.tools.interruption import Asking, typed_line
from scmd.tools.net_messages import (
    CONTROL_ERRORS,
    MORE_HELP,
    NERR_TEXTS,
    USAGE,
    help_message,
    system_error,
)
from scmd.vocabulary.errors import Error
from scmd.vocabulary.names import escaped
from scmd.vocabulary.service import (
    PENDING_STATES,
    Control,
    ScmAccess,
    ServiceAccess,
    ServiceState,
    ServiceType,
    StateMask,
)
from scmd.vocabulary.winerror import WinError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.client.calls import Calls
    from scmd.ndr.values import ContextHandle
    from scmd.vocabulary.status import ServiceStatus

SUCCEEDED = 0
WRONG_USAGE = 1
FAILED = 2
_DOT_S = 2.5
_YES = ("/y", "/yes")
_NO = ("/n", "/no")
_HELP = ("--help", "-h", "/?", "help")


class NetError(Exception):
    """A command failed; the text is what NET.EXE prints to standard error."""


def nerr(number: int, *inserts: object) -> NetError:
    """One of NET's own errors, with the hint where more help is."""
    return NetError(f"{NERR_TEXTS[number].format(*inserts)}\n\n{MORE_HELP.format(number)}\n")


def run(arguments: list[str]) -> int:
    """Carry out `net [HOST] VERB [NAME] [/y]`; the exit status."""
    try:
        arguments = target.choose(arguments)
    except target.TargetError as error:
        sys.stderr.write(f"scmd: {error}\n")
        return WRONG_USAGE
    words = [word for word in arguments if word.lower() not in _YES + _NO]
    answer = next((word.lower() in _YES for word in arguments if word.lower() in _YES + _NO), None)
    verb = words[0].lower() if words else ""
    known = verb in ("start", "stop", "pause", "continue", "helpmsg")
    asked = verb in _HELP or words[1:] in (["/?"], ["--help"])
    if asked or not known or len(words) > 2 or (len(words) == 1 and verb != "start"):
        (sys.stdout if asked else sys.stderr).write(USAGE)
        return SUCCEEDED if asked else WRONG_USAGE
    if verb == "helpmsg":
        return _help_message(words[1])
    try:
        with target.open_calls() as calls:
            if len(words) == 1:
                list_started(calls)
            else:
                Net(calls, words[1]).perform(verb, answer)
    except NetError as error:
        return _fail(str(error))
    except WinError as error:
        return _fail(system_error(error.winerror), getattr(error, "detail", ""))
    return SUCCEEDED


def _help_message(number: str) -> int:
    from scmd.vocabulary.numbers import decimal

    wanted = decimal(number)
    text = None if wanted is None else help_message(wanted)
    if text is None:
        return _fail(f"{number} is not a valid Windows network message number.\n")
    sys.stdout.write(f"\n{text}\n\n")
    return SUCCEEDED


def _fail(text: str, detail: str = "") -> int:
    sys.stdout.flush()
    sys.stderr.write(text + "\n")
    if detail:
        sys.stderr.write(f"scmd: {detail}\n")
    return FAILED


def list_started(calls: Calls) -> None:
    """`net start` alone: the display names of what runs, in alphabetical order."""
    scm = calls.open_scm(ScmAccess.CONNECT | ScmAccess.ENUMERATE_SERVICE)
    entries = calls.enum_services(scm, ServiceType.WIN32, StateMask.ACTIVE)
    names = sorted((escaped(entry.display_name) for entry in entries), key=str.casefold)
    sys.stdout.write("These Windows services are started:\n\n")
    sys.stdout.write("".join(f"   {name}\n" for name in names))
    sys.stdout.write("\nThe command completed successfully.\n\n")


class Net:
    """One service that `net` acts on: found by either name, spoken of by its display name."""

    def __init__(self, calls: Calls, name: str) -> None:
        self._calls = calls
        self._scm = calls.open_scm()
        self.name = self._key_name(name)
        self.display_name = escaped(calls.display_name(self._scm, self.name))

    def _key_name(self, name: str) -> str:
        for find in (self._as_key, self._as_display):
            try:
                return find(name)
            except WinError as error:
                if error.winerror not in (Error.SERVICE_DOES_NOT_EXIST, Error.INVALID_NAME):
                    raise
        raise nerr(2185)

    def _as_key(self, name: str) -> str:
        self._calls.display_name(self._scm, name)
        return name

    def _as_display(self, name: str) -> str:
        return self._calls.key_name(self._scm, name)

    def perform(self, verb: str, answer: bool | None) -> None:
        """One of the four verbs; `answer` is /y or /n to the question about dependents."""
        if verb == "start":
            self.start()
        elif verb == "stop":
            self.stop(answer)
        elif verb == "pause":
            with Asking(self.name):
                self._quick(Control.PAUSE, ServiceState.PAUSED, "paused", "failed to pause")
        else:
            with Asking(self.name):
                self._quick(Control.CONTINUE, ServiceState.RUNNING, "continued", "failed to resume")

    def start(self) -> None:
        handle = self._open(ServiceAccess.START | ServiceAccess.QUERY_STATUS)
        with Asking(self.name):
            try:
                self._calls.start_service(handle, [])
            except WinError as error:
                if error.winerror == Error.SERVICE_ALREADY_RUNNING:
                    raise self._already(handle) from error
                raise
            status = self._wait(handle, "starting")
        if status.state != ServiceState.RUNNING and not self._has_done_its_work(status):
            raise self._ended(status, "could not be started")
        self._say("was started successfully.")

    def _has_done_its_work(self, status: ServiceStatus) -> bool:
        from scmd.client.one_shots import has_done_its_work

        return has_done_its_work(self._calls, self._scm, self.name, status)

    def _already(self, handle: ContextHandle) -> NetError:
        if self._calls.query_status(handle).state in PENDING_STATES:
            return nerr(3533)
        return nerr(2182)

    def stop(self, answer: bool | None = None) -> None:
        """Stop it, and after a yes its dependents first, each with its own lines."""
        access = (
            ServiceAccess.STOP | ServiceAccess.QUERY_STATUS | ServiceAccess.ENUMERATE_DEPENDENTS
        )
        handle = self._open(access)
        state = self._calls.query_status(handle).state
        if state == ServiceState.STOPPED:
            raise nerr(3521, self.display_name)
        dependents = self._calls.enum_dependents(handle, StateMask.ACTIVE)
        if dependents:
            self._ask([escaped(entry.display_name) for entry in dependents], answer)
        for entry in dependents:
            dependent = Net(self._calls, entry.name)
            with Asking(dependent.name):
                dependent._stop_alone(dependent._open(access))
        with Asking(self.name):
            self._stop_alone(handle)

    def _ask(self, names: list[str], answer: bool | None) -> None:
        me = f"the {self.display_name} service"
        sys.stdout.write(
            f"The following services are dependent on {me}.\n"
            f"Stopping {me} will also stop these services.\n\n"
            + "".join(f"   {name}\n" for name in names)
            + "\n"
        )
        if answer is None:
            sys.stdout.write("Do you want to continue this operation? (Y/N) [N]: ")
            sys.stdout.flush()
            reply = typed_line()
            if not reply:
                raise NetError("No valid response was provided.\n")
            answer = reply.strip().lower() in ("y", "yes")
            sys.stdout.write("\n")
        if not answer:
            raise NetError("")

    def _stop_alone(self, handle: ContextHandle) -> None:
        try:
            leaving = self._calls.control_service(handle, Control.STOP).state
        except WinError as error:
            if error.winerror == Error.SERVICE_NOT_ACTIVE:
                return
            raise self._refused(error, handle) from error
        status = self._wait(handle, "stopping", leaving, ServiceState.STOPPED)
        if status.state != ServiceState.STOPPED:
            raise NetError(f"The {self.display_name} service could not be stopped.\n")
        self._say("was stopped successfully.")

    def _quick(self, code: Control, wanted: ServiceState, done: str, failed: str) -> None:
        handle = self._open(ServiceAccess.PAUSE_CONTINUE | ServiceAccess.QUERY_STATUS)
        try:
            leaving = self._calls.control_service(handle, code).state
        except WinError as error:
            if error.winerror == Error.SERVICE_NOT_ACTIVE:
                raise nerr(3521, self.display_name) from error
            raise self._refused(error, handle) from error
        if self._wait(handle, "", leaving, wanted).state != wanted:
            raise NetError(f"The {self.display_name} service {failed}.\n")
        self._say(f"was {done} successfully.")

    def _refused(self, error: WinError, handle: ContextHandle) -> Exception:
        """NET's own error for a control that was refused, or the system's."""
        if error.winerror == Error.SERVICE_CANNOT_ACCEPT_CTRL:
            pending = self._calls.query_status(handle).state in PENDING_STATES
            return nerr(3533 if pending else 2189)
        number = CONTROL_ERRORS.get(error.winerror)
        return nerr(number) if number else error

    def _ended(self, status: ServiceStatus, what: str) -> NetError:
        text = f"The {self.display_name} service {what}.\n\n"
        if status.win32_exit_code == Error.SERVICE_SPECIFIC_ERROR:
            return NetError(text + str(nerr(3547, status.service_specific_exit_code)))
        if status.win32_exit_code == 0:
            return NetError(text + str(nerr(3534)))
        return NetError(text + system_error(status.win32_exit_code))

    def _open(self, access: int) -> ContextHandle:
        return self._calls.open_service(self._scm, self.name, access)

    def _say(self, what: str) -> None:
        sys.stdout.write(f"The {self.display_name} service {what}\n\n")

    def _wait(
        self,
        handle: ContextHandle,
        doing: str,
        leaving: int | None = None,
        wanted: int | None = None,
    ) -> ServiceStatus:
        """Wait until the service rests or hangs; `doing` is announced, with a dot now and then."""
        if doing:
            sys.stdout.write(f"The {self.display_name} service is {doing}.")
            sys.stdout.flush()
        status = self._calls.query_status(handle)
        dot = time.monotonic()
        progress = Progress(status, dot, leaving, wanted)
        with Statuses(self._calls, handle, self.name) as statuses:
            while progress.is_under_way and not progress.is_hung(time.monotonic()):
                status = statuses.next(progress)
                now = time.monotonic()
                progress.update(status, now)
                if doing and status.state in PENDING_STATES and now - dot >= _DOT_S:
                    dot = now
                    self._dot(status, progress, now)
        if doing:
            sys.stdout.write("\n")
        return status

    def _dot(self, status: ServiceStatus, progress: Progress, now: float) -> None:
        sys.stdout.write(".")
        if sys.stdout.isatty():
            left = progress.remaining(now)
            sys.stdout.write(f" [check point {status.check_point}, {left:.0f} s left] ")
        sys.stdout.flush()
