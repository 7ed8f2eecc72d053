"""Clients that act at the same time, one call at a time, in an order that dice make.

Each client is a thread that stops before each of its calls until it is its turn; between two of
them any number of the others' can come.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Any

import pytest

from scmd.client.connection import Connection


class Turns:
    """Calls of other threads than those of `run` are not held up."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, dice: random.Random) -> None:
        self._dice = dice
        self._changed = threading.Condition()
        self._client = threading.local()
        self._acting = 0
        self._waiting: set[int] = set()
        self._turn = -1
        self._failed: list[BaseException] = []
        exchange = Connection.exchange

        def exchange_in_turn(connection: Connection, *arguments: Any) -> Any:
            self._await_turn()
            return exchange(connection, *arguments)

        monkeypatch.setattr(Connection, "exchange", exchange_in_turn)

    def run(self, *clients: Callable[[], object]) -> None:
        """Until all of them have ended; raises what the first of them raised."""
        self._acting = len(clients)
        threads = [
            threading.Thread(target=self._act, args=(number, client))
            for number, client in enumerate(clients)
        ]
        for thread in threads:
            thread.start()
        with self._changed:
            while True:
                self._changed.wait_for(lambda: not self._acting)
                if not self._waiting:
                    break
                self._turn = self._dice.choice(sorted(self._waiting))
                self._waiting.remove(self._turn)
                self._acting = 1
                self._changed.notify_all()
        for thread in threads:
            thread.join()
        if self._failed:
            raise self._failed[0]

    def _act(self, number: int, client: Callable[[], object]) -> None:
        self._client.number = number
        try:
            client()
        except BaseException as failed:
            self._failed.append(failed)
        with self._changed:
            self._acting -= 1
            self._changed.notify_all()

    def _await_turn(self) -> None:
        number = getattr(self._client, "number", None)
        if number is None:
            return
        with self._changed:
            self._waiting.add(number)
            self._acting -= 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._turn == number)
            self._turn = -1
