"""Signals that come before the keeper can heed them."""

from __future__ import annotations

import subprocess
import sys

import pytest

BLOCKED = """
import os, select, signal
from scmd.daemon.keeper_signals import Signals
signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))
os.kill(os.getpid(), signal.{name})
signals = Signals(is_init=True)
select.select([signals.wakeup], [], [])
print(signals.take_stop_request(), signal.pthread_sigmask(signal.SIG_BLOCK, ()))
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_what_came_while_it_was_blocked_is_heeded(name: str) -> None:
    program = [sys.executable, "-c", BLOCKED.format(name=name)]
    done = subprocess.run(program, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout) == (0, "True set()\n"), done
