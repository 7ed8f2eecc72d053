"""Ctrl-C while the SCM, or a person, is waited for: it ends the waiting, no more."""

from __future__ import annotations

import os
import sys

from scmd.tools import target

_REPEAT_MS = 500


class Asking:
    """Around a request about the service `name`, and the wait for what becomes of it.

    Ctrl-C goes on to whoever ends the command (`main.INTERRUPTED`), after a line that says where
    to look.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        """Nothing to do before."""

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, KeyboardInterrupt):
            sys.stdout.flush()
            sys.stderr.write(interrupted_line(self._name))


class Endless:
    """Around a wait that nothing else ends: Ctrl-C does even when it comes just before it.

    CPython sleeps over a signal that comes between its last look and the system call. A thread
    hears of each one, and sends it again when that has not led out of here. For the main thread.
    """

    def __enter__(self) -> None:
        import signal
        from _thread import get_ident, start_new_thread

        heard, self._wakeup = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._before = signal.set_wakeup_fd(self._wakeup, warn_on_full_buffer=False)
        start_new_thread(_repeat_interrupts, (heard, get_ident()))

    def __exit__(self, *_: object) -> None:
        import signal

        signal.set_wakeup_fd(self._before)
        os.close(self._wakeup)


def typed_line() -> str:
    """The next line of standard input; empty at its end."""
    with Endless():
        return sys.stdin.readline()


def typed_unseen(prompt: str) -> str:
    """What a person types at the terminal; EOFError at its end."""
    from getpass import getpass

    with Endless():
        return getpass(prompt)


def _repeat_interrupts(heard: int, waiting: int) -> None:
    """Until the pipe's other end is closed."""
    from select import POLLIN, poll
    from signal import SIGINT, pthread_kill

    poller = poll()
    poller.register(heard, POLLIN)
    patience = None
    while True:
        if not poller.poll(patience):
            pthread_kill(waiting, SIGINT)
        elif not (numbers := os.read(heard, 64)):
            os.close(heard)
            return
        elif SIGINT in numbers:
            patience = _REPEAT_MS


def interrupted_line(name: str) -> str:
    """A line of its own, also after dots or a line of progress."""
    from shlex import join

    from scmd.vocabulary.names import escaped

    host = target.host()
    command = join(["sc", *([host] if host else []), "query", name])
    return (
        f"\n{escaped(name)} is no longer waited for. The request goes on in the SCM; "
        f"to look: {escaped(command)}\n"
    )
