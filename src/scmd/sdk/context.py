"""What a service function is given as `svc`: one start of one service, seen from inside.

The Handler only queues (any thread may run it, and it reports nothing); the service's own
thread alone acts and reports, inside the calls it makes on `svc`. So no report can overtake
another: what the SCM reads is always a story in order.

- `wait` works through the queue. A pause is PAUSE_PENDING, the hook, PAUSED; then everything
  waits for a continue or a stop. A pause when paused, or a continue when running, does nothing.
- A stop is looked for ahead of its turn, by every call on `svc`, and acknowledged there with
  STOP_PENDING. Pauses and continues that are still queued are forgotten; the service's own
  controls that came before the stop still run, in `wait`.
- After the stop nothing is queued any more.
"""

from __future__ import annotations

import threading
import time
from collections import deque

from scmd.sdk.event_logging import service_logger
from scmd.sdk.parameters import Parameters
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import Control, ControlsAccepted, ServiceState, ServiceType
from scmd.vocabulary.status import ServiceStatus

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    import logging
    from collections.abc import Callable, Mapping
    from typing import Any, NoReturn

    from scmd.sdk.backend import Backend

    Hook = Callable[[], object]

STOPS = (Control.STOP, Control.SHUTDOWN, Control.PRESHUTDOWN)
SHUTDOWN_HINT_S = 20.0
"""WaitToKillServiceTimeout: what a machine that shuts down gives its services by default."""
LONGEST_SLEEP_S = 86_400.0
"""Longer ones do not fit the platform's clocks; waits go round once a day."""


class ServiceExit(Exception):
    """Ends a service: STOPPED with ERROR_SERVICE_SPECIFIC_ERROR and this code; 0 is success.

    ValueError for a code that has more than 32 bits.
    """

    def __init__(self, specific_code: int) -> None:
        if not -(2**31) <= specific_code < 2**32:
            raise ValueError(f"{specific_code} is no 32-bit exit code")
        super().__init__(specific_code)
        self.specific_code = specific_code


class Hints:
    """Seconds a service promises to need for each pending state, until it says otherwise."""

    def __init__(self, start: float = 30.0, stop: float = 20.0, pause: float = 10.0) -> None:
        self.start = start
        self.stop = stop
        self.pause = pause


class _Job:
    """Something to run on the service thread, and the report to make when it has run."""

    def __init__(self, hook: Hook, then: ServiceState | None = None) -> None:
        self.hook = hook
        self.then = then


class ServiceContext:
    """One start of a service. Except for `log`, all members are for the service's thread."""

    def __init__(
        self,
        backend: Backend,
        arguments: list[str],
        *,
        type: ServiceType,
        accepts: ControlsAccepted,
        hooks: Mapping[int, Callable[[ServiceContext], object]],
        hints: Hints,
    ) -> None:
        self.name = arguments[0]
        self.args = tuple(arguments[1:])
        """What the starter passed, without the service name."""
        self._backend = backend
        self._type = type
        self._accepts = accepts
        self._hooks = hooks
        self._hints = hints
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._queue: deque[tuple[int, Hook | None]] = deque()
        self._stop_code = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_event: asyncio.Event | None = None
        self._state = ServiceState.START_PENDING
        self._check_point = 1
        self._promised = 0.0
        self._deadline = 0.0
        self._handle = backend.register(self.name, self._queue_control)
        self.log: logging.Logger = service_logger(self.name, self._report_event)
        self.parameters = Parameters(self.name, self._queue_hook, backend.read_parameters)
        """The service's Parameters: a read-only mapping that is always up to date."""
        backend.on_parameters_changed(self._handle, self.parameters.invalidate)
        self._report(ServiceState.START_PENDING, hints.start)

    # The Handler's side -----------------------------------------------------------------------

    def _queue_control(self, control: int, event_type: int, data: bytes) -> int:
        if control == Control.INTERROGATE:
            return Error.SUCCESS
        known = control in STOPS or control in (Control.PAUSE, Control.CONTINUE)
        if not known and control not in self._hooks:
            return Error.CALL_NOT_IMPLEMENTED
        with self._lock:
            if not self._stop_code:
                if control in STOPS:
                    self._stop_code = control
                self._queue.append((control, None))
                self._wake()
        return Error.SUCCESS

    def _queue_hook(self, hook: Hook) -> None:
        with self._lock:
            self._queue.append((0, hook))
            self._wake()

    def _wake(self) -> None:
        self._changed.notify_all()
        if self._loop is not None and self._loop_event is not None:
            try:
                self._loop.call_soon_threadsafe(self._loop_event.set)
            except RuntimeError:
                # The loop has closed: the service is past its last wait.
                return

    # The service's side -----------------------------------------------------------------------

    def ready(self) -> None:
        """Report RUNNING: started, and controls are welcome. Does nothing the second time."""
        if not self.stopping and self._state == ServiceState.START_PENDING:
            self._report(ServiceState.RUNNING)

    @property
    def stopping(self) -> bool:
        """Whether the service should stop; asking acknowledges the stop."""
        if not self._stop_code:
            return False
        if self._state not in (ServiceState.STOP_PENDING, ServiceState.STOPPED):
            hint = self._hints.stop
            if self._stop_code != Control.STOP:
                hint = min(hint, SHUTDOWN_HINT_S)
            self._report(ServiceState.STOP_PENDING, hint)
        return True

    def wait(self, seconds: float | None = None) -> bool:
        """True when the service should stop, False when the seconds are over.

        Handles pause, continue and the service's own controls meanwhile; while paused it
        does not return. Without seconds, only a stop ends it. Reports RUNNING if `ready`
        has not been called.
        """
        self.ready()
        end = None if seconds is None else time.monotonic() + seconds
        while True:
            while (job := self._next_job()) is not None:
                self._finish(job, job.hook())
            if self.stopping:
                return True
            left = self._time_left(end)
            if left is not None and left <= 0:
                return False
            with self._lock:
                if not self._queue:
                    self._changed.wait(None if left is None else min(left, LONGEST_SLEEP_S))

    async def wait_async(self, seconds: float | None = None) -> bool:
        """`wait` for coroutines; hooks may be coroutine functions too."""
        import asyncio

        self.ready()
        end = None if seconds is None else time.monotonic() + seconds
        event = self._attach_loop(asyncio.get_running_loop(), asyncio.Event)
        while True:
            event.clear()
            while (job := self._next_job()) is not None:
                result = job.hook()
                self._finish(job, await _awaited(result))
            if self.stopping:
                return True
            left = self._time_left(end)
            if left is not None and left <= 0:
                return False
            if self._queue:
                continue
            try:
                async with asyncio.timeout(left):
                    await event.wait()
            except TimeoutError:
                continue

    def _attach_loop(
        self, loop: asyncio.AbstractEventLoop, make_event: Callable[[], asyncio.Event]
    ) -> asyncio.Event:
        with self._lock:
            if self._loop is not loop or self._loop_event is None:
                self._loop = loop
                self._loop_event = make_event()
            return self._loop_event

    def _time_left(self, end: float | None) -> float | None:
        if end is None or self._state == ServiceState.PAUSED:
            return None
        return end - time.monotonic()

    def progress(self, step: str = "", hint: float | None = None) -> None:
        """While something is pending: one more check point, and `hint` seconds to the next.

        `step` is for people and goes to the log at level DEBUG. Without a hint the promise
        before is repeated. Does nothing in a state that is not pending.
        """
        pending = self.stopping or self.deadline is not None
        if step:
            self.log.debug("%s", step)
        if pending:
            self._check_point += 1
            self._report(self._state, self._promised if hint is None else hint)

    @property
    def deadline(self) -> float | None:
        """The instant (`time.monotonic`) by which the next report is promised; None: no promise.

        While the service is starting, stopping, pausing or continuing.
        """
        if self.stopping or self._state not in (ServiceState.RUNNING, ServiceState.PAUSED):
            return self._deadline
        return None

    @property
    def time_left(self) -> float:
        """Seconds to the deadline, at least 0; infinite without one."""
        deadline = self.deadline
        return float("inf") if deadline is None else max(0.0, deadline - time.monotonic())

    @property
    def state(self) -> ServiceState:
        """The state reported last."""
        return self._state

    def fail(self, code: int) -> NoReturn:
        """Stop with ERROR_SERVICE_SPECIFIC_ERROR and this code: raises ServiceExit."""
        raise ServiceExit(code)

    # What the service's thread does with the queue -------------------------------------------

    def _next_job(self) -> _Job | None:
        """The next thing to run, having reported what has to be reported before."""
        stopping = self.stopping
        while True:
            with self._lock:
                if not self._queue:
                    return None
                control, hook = self._queue.popleft()
            if hook is not None:
                return _Job(self._tolerant(hook))
            job = self._job_of(control, stopping=stopping)
            if job is not None:
                return job

    def _job_of(self, control: int, *, stopping: bool) -> _Job | None:
        hook = self._hooks.get(control)
        if control in STOPS:
            return None
        if control not in (Control.PAUSE, Control.CONTINUE):
            return None if hook is None else _Job(self._tolerant(lambda: hook(self)))
        pause = control == Control.PAUSE
        needed = ServiceState.RUNNING if pause else ServiceState.PAUSED
        if stopping or self._state != needed:
            return None
        pending = ServiceState.PAUSE_PENDING if pause else ServiceState.CONTINUE_PENDING
        self._report(pending, self._hints.pause)
        reached = ServiceState.PAUSED if pause else ServiceState.RUNNING
        return _Job(_nothing if hook is None else lambda: hook(self), reached)

    def _tolerant(self, hook: Hook) -> Hook:
        """The hook of a service's own control: its failure is logged, the service goes on."""

        def run() -> object:
            try:
                result = hook()
            except Exception:
                self.log.exception("a control's handler failed")
                return None
            return self._tolerate(result) if _is_awaitable(result) else result

        return run

    async def _tolerate(self, result: object) -> object:
        try:
            return await _awaited(result)
        except Exception:
            self.log.exception("a control's handler failed")
            return None

    def _finish(self, job: _Job, result: object) -> None:
        if _is_awaitable(result):
            raise TypeError("a coroutine as a hook needs `await svc.wait_async()`")
        if job.then is not None and not self.stopping:
            self._report(job.then)

    # Reports ----------------------------------------------------------------------------------

    def _report(self, state: ServiceState, hint: float = 0.0) -> None:
        pending = state not in (ServiceState.RUNNING, ServiceState.PAUSED)
        if state != self._state:
            self._check_point = 1 if pending else 0
        self._state = state
        self._promised = hint
        self._deadline = time.monotonic() + hint
        accepts_nothing = state in (ServiceState.START_PENDING, ServiceState.STOP_PENDING)
        status = ServiceStatus(
            type=self._type,
            state=state,
            controls_accepted=0 if accepts_nothing else self._accepts,
            check_point=self._check_point,
            wait_hint=max(0, round(hint * 1000)),
        )
        self._backend.set_status(self._handle, status)

    def report_stopped(self, win32_exit_code: int = 0, specific_code: int = 0) -> None:
        """The last report; nothing may follow it."""
        with self._lock:
            self._stop_code = self._stop_code or Control.STOP
            self._queue.clear()
        self._state = ServiceState.STOPPED
        status = ServiceStatus(
            type=self._type,
            win32_exit_code=win32_exit_code,
            service_specific_exit_code=specific_code,
        )
        self._backend.set_status(self._handle, status)

    def _report_event(self, type: int, event_id: int, category: int, text: str) -> None:
        self._backend.report_event(self._handle, type, event_id, category, (text,))


def _nothing() -> None:
    return None


def _is_awaitable(result: object) -> bool:
    return hasattr(result, "__await__")


async def _awaited(result: Any) -> object:
    return await result if _is_awaitable(result) else result
