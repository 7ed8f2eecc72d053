"""Notifications that wait for one way out: how often it may be used, and what to try again when."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque

from scmd.examples.delivery import Deliver, Message

MAX_WAITING = 1000
"""New ones, and as many that could not be delivered; then the oldest is dropped."""
FIRST_PAUSE_S, LAST_PAUSE_S = 1.0, 300.0


class Outbox:
    """What waits for one way, and when that way may be used. Times in seconds."""

    def __init__(self, most: int, seconds: float) -> None:
        self.waiting: deque[Message] = deque(maxlen=MAX_WAITING)
        self._failed: deque[Message] = deque(maxlen=MAX_WAITING)
        self._sent: deque[float] = deque(maxlen=max(most, 1))
        self._seconds = seconds
        self._is_limited = False
        self._pause = 0.0
        self._again_at = 0.0

    def __len__(self) -> int:
        return len(self.waiting) + len(self._failed)

    def next(self, now: float) -> Message | None:
        """What may be sent now: a failure, or after a time of too many all of them in one.

        While there is no new one it is one that could not be delivered, when its pause is over.
        """
        if self.delay(now) != 0.0:
            self._is_limited = bool(self.waiting)
            return None
        self._sent.append(now)
        if not self.waiting:
            return self._failed.popleft()
        if not self._is_limited or len(self.waiting) == 1:
            return self.waiting.popleft()
        found = list(self.waiting)
        self.waiting.clear()
        names = ", ".join(sorted({str(each["service"]) for each in found}))
        text = f"{len(found)} failures of {names}"
        return {"host": found[0]["host"], "text": text, "failures": found}

    def delay(self, now: float) -> float | None:
        """How long until something may be sent; None: there is nothing."""
        if not len(self):
            return None
        allowed = now if self.waiting else self._again_at
        if len(self._sent) == self._sent.maxlen:
            allowed = max(allowed, self._sent[0] + self._seconds)
        return max(0.0, allowed - now)

    def delivered(self) -> None:
        """The way is open: what failed may be tried at once."""
        self._pause = self._again_at = 0.0

    def undelivered(self, message: Message, now: float) -> None:
        """It is tried again when the others that failed have been."""
        self._failed.append(message)
        self._pause = min(max(2 * self._pause, FIRST_PAUSE_S), LAST_PAUSE_S)
        self._again_at = now + self._pause


class Sender:
    """One way: a thread that delivers until it is told to end."""

    def __init__(self, deliver: Deliver, outbox: Outbox, log: logging.Logger) -> None:
        self._deliver, self.outbox, self._log = deliver, outbox, log
        self._changed = threading.Condition()
        self._is_over = False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def add(self, message: Message) -> None:
        with self._changed:
            self.outbox.waiting.append(message)
            self._changed.notify()

    def end(self) -> None:
        with self._changed:
            self._is_over = True
            self._changed.notify()

    def _run(self) -> None:
        while (message := self._next()) is not None:
            try:
                self._deliver(message)
            except OSError as error:
                self._log.error("A notification could not be delivered: %s", error)
                self.outbox.undelivered(message, time.monotonic())
            else:
                self.outbox.delivered()

    def _next(self) -> Message | None:
        with self._changed:
            while not self._is_over:
                now = time.monotonic()
                message = self.outbox.next(now)
                if message is not None:
                    return message
                self._changed.wait(self.outbox.delay(now))
        return None
