"""The smallest service on the Win32 functions: main, service_main, service_control.

It follows a well-known tutorial that builds this service on Windows step by step, without the
tutorial's three mistakes: there the stop event is created signalled, so that the service stops at
once; the result of the last SetServiceStatus is tested the wrong way round (here a failed call
raises); and START_PENDING with a wait hint is never reported, so that nobody can tell a slow start
from a hang.

    scmd sc create MyAwesomeService binPath= "/usr/bin/python3 /path/of/tutorial_winsvc.py"
    scmd sc start MyAwesomeService
"""

from __future__ import annotations

import logging
import sys
import threading
from dataclasses import dataclass, field

from scmd import winsvc

SERVICE_NAME = "MyAwesomeService"
START_HINT_MS = 3000
STOP_HINT_MS = 3000

log = logging.getLogger(SERVICE_NAME)


@dataclass
class ServiceData:
    """What service_main and service_control share; the context of the registration."""

    status: winsvc.ServiceStatus = field(
        default_factory=lambda: winsvc.ServiceStatus(
            type=winsvc.SERVICE_WIN32_OWN_PROCESS, state=winsvc.SERVICE_START_PENDING
        )
    )
    handle: int = 0
    # Not signalled from the start: this is what the service waits for.
    stop_event: threading.Event = field(default_factory=threading.Event)

    def report(self, state: int, accepts: int = 0, wait_hint: int = 0) -> None:
        """Tells the SCM; a pending state promises the next report within `wait_hint` ms."""
        self.status = self.status.replace(
            state=state,
            controls_accepted=accepts,
            check_point=1 if wait_hint else 0,
            wait_hint=wait_hint,
        )
        winsvc.SetServiceStatus(self.handle, self.status)


def main() -> int:
    """Connects to the SCM; returns when all services of the table have stopped."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    try:
        winsvc.StartServiceCtrlDispatcher([(SERVICE_NAME, service_main)])
    except winsvc.error as error:
        if error.winerror != winsvc.ERROR_FAILED_SERVICE_CONTROLLER_CONNECT:
            raise
        print(f"{sys.argv[0]} is a service: install it, then start it", file=sys.stderr)
        return 1
    return 0


def service_main(argv: list[str]) -> None:
    """Runs on a thread of its own, once the SCM was asked to start the service."""
    data = ServiceData()
    data.handle = winsvc.RegisterServiceCtrlHandlerEx(SERVICE_NAME, service_control, data)
    data.report(winsvc.SERVICE_START_PENDING, wait_hint=START_HINT_MS)
    log.info("starting with %s", argv[1:])
    # Whatever takes time would be done here.
    data.report(
        winsvc.SERVICE_RUNNING, accepts=winsvc.SERVICE_ACCEPT_STOP | winsvc.SERVICE_ACCEPT_SHUTDOWN
    )
    data.stop_event.wait()
    log.info("stopped")
    data.report(winsvc.SERVICE_STOPPED)


def service_control(code: int, event_type: int, event_data: bytes, context: object) -> int:
    """Runs on the dispatcher's thread, which is main's, for each control."""
    assert isinstance(context, ServiceData)
    match code:
        case winsvc.SERVICE_CONTROL_STOP | winsvc.SERVICE_CONTROL_SHUTDOWN:
            if not context.stop_event.is_set():
                # Before the event: service_main's STOPPED must not be overtaken.
                context.report(winsvc.SERVICE_STOP_PENDING, wait_hint=STOP_HINT_MS)
                context.stop_event.set()
            return winsvc.NO_ERROR
        case winsvc.SERVICE_CONTROL_INTERROGATE:
            return winsvc.NO_ERROR
        case _:
            return winsvc.ERROR_CALL_NOT_IMPLEMENTED


if __name__ == "__main__":
    sys.exit(main())
