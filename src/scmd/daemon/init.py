"""`scmd init`: the keeper as the first process of a container, and the program in it.

The keeper reaps whatever becomes an orphan, takes SIGTERM and SIGINT as the order to shut
down, and passes other signals on to the essential services; the SCM ends when one of them
does, with its exit status (`core/essential.py`). A given program becomes the service
`SERVICE`, which is essential, starts by itself, and is hosted like any other program.

Here is only the record: it is written before the manager loads the database, in a process of
its own, so that the keeper stays small.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from scmd.daemon import keeper

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from scmd.core.messages import StoredService
    from scmd.linux.database import Database
    from scmd.vocabulary.registry import RegistryValue

SERVICE = "main"
"""What the program is called as a service."""

_GIVEN = ("APPLICATION", "APPPARAMETERS", "APPDIRECTORY", "APPENVIRONMENT", "APPESSENTIAL")
"""What the command line decides; other parameters of an earlier life are kept."""


def run(state: str, runtime: str, program: Mapping[str, RegistryValue] | None) -> int:
    """Be init until the essential service ends or a signal asks for it; the exit status.

    `program` are the Parameters of `SERVICE`; None: the database says what is essential.
    """
    return keeper.run(state, runtime, init=partial(_prepare, program=program))


def _prepare(state: str, program: Mapping[str, RegistryValue] | None) -> None:
    """Write the record of `SERVICE`; raises what the database raises, with what to do."""
    if program is None:
        return
    from scmd.linux.database import Database

    database = Database.open(Path(state) / "registry.db")
    try:
        _save(database, program)
    finally:
        database.close()


def _save(database: Database, program: Mapping[str, RegistryValue]) -> None:
    from scmd.core.messages import SaveId, ServiceId
    from scmd.core.messages.effects import SaveRecord
    from scmd.vocabulary.configuration import ServiceConfig
    from scmd.vocabulary.errors import Error, Refused, error_text
    from scmd.vocabulary.names import name_key
    from scmd.vocabulary.service import StartType

    found: StoredService | None = next(
        (old for old in database.load() if name_key(old.config.name) == name_key(SERVICE)), None
    )
    config = ServiceConfig(name=SERVICE, display_name=SERVICE) if found is None else found.config
    old = {} if found is None else found.parameters
    kept = {name: value for name, value in old.items() if name.upper() not in _GIVEN}
    change = SaveRecord(
        SaveId(1),
        ServiceId(database.first_free_number()) if found is None else found.id,
        config.replace(image_path="srvany", start_type=StartType.AUTO_START),
        {**kept, **program},
    )
    outcome: list[Error] = []
    database.submit(change, lambda _, error: outcome.append(error))
    database.close()
    if outcome != [Error.SUCCESS]:
        raise Refused(outcome[0], f"the service {SERVICE} was not saved: {error_text(outcome[0])}")
