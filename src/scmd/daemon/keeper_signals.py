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
"""Under `scmd init` these go to the essential services; else they mean nothing, or the end."""


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
        stops = {signal.SIGTERM, signal.SIGINT}
        if not is_init:
            stops.add(signal.SIGQUIT)
            if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
                stops.add(signal.SIGHUP)
        for number in PASSED_ON:  # By default most of them would end us, and nobody the services.
            signal.signal(number, self._pass_on if is_init else _do_nothing)
        for number in stops:
            signal.signal(number, self._request_stop)
        signal.signal(signal.SIGCHLD, _do_nothing)
        for number in signal.valid_signals() - {signal.SIGPIPE, signal.SIGXFSZ}:
            if signal.getsignal(number) is signal.SIG_IGN:
                signal.signal(number, _do_nothing)
        # Now what has come while it was blocked is caught; before, pid 1 would have lost it.
        signal.pthread_sigmask(signal.SIG_SETMASK, ())

    def end(self) -> None:
        """What comes from now on changes nothing, the exit status neither."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)

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
