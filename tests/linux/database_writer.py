"""Processes that save records and say which saves were reported; to be killed.

For each line `N` on standard input a process is forked. It writes its pid, then saves
number N, N + 1... several at a time, and writes the number of each save reported durable;
record number N % 20 + 1 gets the description `N`. After its death `end` is written.
"""

from __future__ import annotations

import itertools
import os
import sys
import threading
from pathlib import Path

from scmd.core.messages import SaveId, ServiceId
from scmd.core.messages.effects import SaveRecord
from scmd.linux.database import Database
from scmd.vocabulary.configuration import ServiceConfig
from scmd.vocabulary.errors import Error
from scmd.vocabulary.registry import RegistryValue

RECORDS = 20


def save_of(number: int) -> SaveRecord:
    record = number % RECORDS + 1
    return SaveRecord(
        save=SaveId(number),
        service=ServiceId(record),
        config=ServiceConfig(name=f"S{record}", description=str(number)),
        parameters={"Sub\\Number": RegistryValue.of(number)},
    )


def main(path: Path, first: int) -> None:
    database = Database.open(path)
    room = threading.Semaphore(RECORDS)

    def done(save: SaveId, error: Error) -> None:
        os.write(1, b"%d\n" % save if error is Error.SUCCESS else b"failed %d\n" % error)
        room.release()

    for number in itertools.count(first):
        room.acquire()
        database.submit(save_of(number), done)


def serve(path: Path) -> None:
    for line in sys.stdin:
        writer = os.fork()
        if not writer:
            os.write(1, b"%d\n" % os.getpid())
            main(path, int(line))
        os.waitpid(writer, 0)
        os.write(1, b"end\n")


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
