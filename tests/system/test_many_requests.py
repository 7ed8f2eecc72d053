"""Many requests at once: each change is told on its request, once, however many others there are.

A tenth of what the SCM is made for, unless SCMD_TEST_SERVICES says how many services: 10,000 with
as many requests outstanding, on a hundred connections. A tenth of the services change their
state again and again, each as soon as its last change was told and its next request is made.
"""

from __future__ import annotations

import os
import threading
from contextlib import ExitStack

import pytest

from scmd.vocabulary.service import ServiceState
from tests.system.crowd import Crowd, name_of
from tests.system.machine import Machine

SERVICES = int(os.environ.get("SCMD_TEST_SERVICES", "1000"))
CHANGING = SERVICES // 10
CHANGES = 10
"""Of each service that changes, after it has started."""
PATIENCE_S = 50 + SERVICES / 20


class Driver:
    """What was told of each service, which changes again when it was told of."""

    def __init__(self, crowd: Crowd) -> None:
        self.told: list[list[int]] = [[] for _ in range(SERVICES)]
        self.is_done = threading.Event()
        self._crowd = crowd
        self._left = CHANGING
        self._lock = threading.Lock()

    def hear(self, index: int, state: int) -> None:
        """In a watcher's thread, with the next request on its way."""
        told = self.told[index]
        told.append(state)
        if len(told) <= CHANGES:
            self._crowd.change(index)
            return
        with self._lock:
            self._left -= 1
            if not self._left:
                self.is_done.set()


@pytest.mark.timeout(2 * PATIENCE_S)
def test_each_change_is_told_once(bare: Machine) -> None:
    with ExitStack() as stack:
        crowd = stack.enter_context(Crowd(bare, SERVICES, CHANGING))
        stack.enter_context(bare.as_environment())
        driver = Driver(crowd)
        watchers = crowd.watch(driver.hear)
        for watcher in watchers:
            stack.callback(watcher.close)
            watcher.settle()
        assert crowd.requests() == SERVICES
        crowd.start()
        assert driver.is_done.wait(PATIENCE_S)
        for watcher in watchers:
            watcher.settle()
        # As many as at first: none is lost, and none is kept that is over.
        assert crowd.requests() == SERVICES
    running, paused = int(ServiceState.RUNNING), int(ServiceState.PAUSED)
    expected = [running, *[paused, running] * (CHANGES // 2)]
    assert driver.told == [expected] * CHANGING + [[]] * (SERVICES - CHANGING)
    bare.await_state(name_of(CHANGING - 1), "STOPPED")
