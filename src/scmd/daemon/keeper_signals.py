"""The keeper's signals: each wakes its loop, which asks here what has come."""

from __future__ import annotations

import os
import signal

PASSED_ON = signal.valid_signals() - {
    # An end that is asked for; what cannot be caught or is the kernel's business with us.
    *(signal.SIGTERM, signal.SIGINT, signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD),
    *(signal.SIGPIPE, signal.SIGXFSZ, signal.SIGXCPU, signal.SIGTSTP, signal.SIGTTIN),
    *(signal.SIGTTOU, signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL),
    *(signal.SIGTRAP, signal.SIGABRT, signal.SIGSYS),
}
"""Under `scmd init`: the signals that go to the essential services."""


class Signals:
    """Catches from now on; made once, by the main thread.

    An ignored signal would stay ignored in every service, so none is left ignored.
    """

    def __init__(self, is_init: bool) -> None:
        self._is_asked = False
        self._passed_on: list[int] = []
        self.wakeup, wakeup_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        """To be polled for reading, then drained."""
        signal.set_wakeup_fd(wakeup_write, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._request_stop)
        hangup_counts = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
        signal.signal(signal.SIGHUP, self._request_stop if hangup_counts else _do_nothing)
        signal.signal(signal.SIGCHLD, _do_nothing)
        for number in PASSED_ON if is_init else ():
            signal.signal(number, self._pass_on)
        for number in signal.valid_signals() - {signal.SIGPIPE, signal.SIGXFSZ}:
            if signal.getsignal(number) is signal.SIG_IGN:
                signal.signal(number, _do_nothing)
        # Now what has come while it was blocked is caught; before, pid 1 would have lost it.
        signal.pthread_sigmask(signal.SIG_SETMASK, ())

    def drain(self) -> None:
        try:
            while os.read(self.wakeup, 4096):
                pass
        except BlockingIOError:
            return

    def take_stop_request(self) -> bool:
        """Whether it was asked to stop since the last time."""
        asked, self._is_asked = self._is_asked, False
        return asked

    def take_passed_on(self) -> list[int]:
        """The signals for the essential services since the last time."""
        numbers, self._passed_on = self._passed_on, []
        return numbers

    def _request_stop(self, *_: object) -> None:
        self._is_asked = True

    def _pass_on(self, number: int, *_: object) -> None:
        self._passed_on.append(number)


def _do_nothing(*_: object) -> None:
    """A handler, so that the signal wakes the loop and is not ignored in children."""
