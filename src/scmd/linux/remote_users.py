"""Who may come from other machines: names and NT hashes, in a file of mode 0600.

An NT hash is as good as the password it was made of, so it is nowhere else: not in a `repr`, not
in a log. The file is replaced as a whole, and durable before anybody is told.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from scmd.linux import durable
from scmd.security.sid import SidError, canonical_sid
from scmd.vocabulary.names import name_key

NAME = "remote-users.json"
VERSION = 1
FIRST_RID = 1000
MAX_USERS = 10_000
MAX_NAME = 256


class _Unusable(Exception):
    """The file cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class RemoteUser:
    """One who may come. Without a hash, by Kerberos only."""

    name: str
    sid: str
    """Who he is where no Unix user has the name; never given to another."""
    administrator: bool
    nt_hash: bytes | None = field(repr=False)


class RemoteUsers:
    """The users by name; names compare as Windows does.

    A file that cannot be used is left as it is: nobody may come then, and nothing is changed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._domain = ""
        self._next = FIRST_RID
        self._users: dict[str, RemoteUser] = {}
        self.problem = ""
        """Why the file cannot be used."""
        try:
            self._read()
        except _Unusable as reason:
            self.problem = str(reason)

    def __iter__(self) -> Iterator[RemoteUser]:
        return iter(sorted(self._users.values(), key=lambda user: name_key(user.name)))

    def __len__(self) -> int:
        return len(self._users)

    def get(self, name: str) -> RemoteUser | None:
        return self._users.get(name_key(name))

    def put(self, name: str, nt_hash: bytes | None, *, administrator: bool) -> RemoteUser:
        """Add a user or change one. OSError: it is not saved, and nothing has changed."""
        known = self.get(name)
        if known is None and len(self._users) >= MAX_USERS:
            raise OSError("there are too many remote users")
        if known is None:
            user = RemoteUser(name, f"{self._own_domain()}-{self._next}", administrator, nt_hash)
        else:
            user = replace(known, administrator=administrator, nt_hash=nt_hash)
        users = {**self._users, name_key(name): user}
        following = self._next + (known is None)
        self._save(users, following)
        self._users, self._next = users, following
        return user

    def remove(self, name: str) -> bool:
        """Whether there was one. OSError as for `put`."""
        users = dict(self._users)
        if users.pop(name_key(name), None) is None:
            return False
        self._save(users, self._next)
        self._users = users
        return True

    def _own_domain(self) -> str:
        if not self._domain:
            parts = [secrets.randbits(32) for _ in range(3)]
            self._domain = "S-1-5-21-" + "-".join(map(str, parts))
        return self._domain

    def _read(self) -> None:
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return
        except OSError as error:
            raise _Unusable(f"{self._path}: {error.strerror}") from error
        with open(descriptor, "rb") as file:
            found = os.fstat(file.fileno())
            if found.st_mode & 0o077 or found.st_uid != os.geteuid():
                raise _Unusable(f"{self._path} must be ours and closed to others (0600)")
            data = file.read()
        try:
            document = json.loads(data)
            version = document["version"]
            if version != VERSION:
                raise _Unusable(f"{self._path} has the format {version}, not {VERSION}")
            users = [_user(entry) for entry in document["users"]]
            self._domain = str(document["domain"])
            self._next = int(document["next"])
        except (ValueError, KeyError, TypeError, SidError) as error:
            raise _Unusable(f"{self._path} is damaged") from error
        self._users = {name_key(user.name): user for user in users}

    def _save(self, users: dict[str, RemoteUser], following: int) -> None:
        if self.problem:
            raise OSError(self.problem)
        document = {
            "version": VERSION,
            "domain": self._domain,
            "next": following,
            "users": [_entry(user) for user in users.values()],
        }
        durable.replace(self._path, json.dumps(document, indent=1).encode() + b"\n")


def _user(entry: dict[str, object]) -> RemoteUser:
    nt_hash = entry["nt_hash"]
    raw = None if nt_hash is None else bytes.fromhex(str(nt_hash))
    if raw is not None and len(raw) != 16:
        raise ValueError("an NT hash has 16 bytes")
    return RemoteUser(
        str(entry["name"]),
        canonical_sid(str(entry["sid"])),
        entry["administrator"] is True,
        raw,
    )


def _entry(user: RemoteUser) -> dict[str, object]:
    return {
        "name": user.name,
        "sid": user.sid,
        "administrator": user.administrator,
        "nt_hash": None if user.nt_hash is None else user.nt_hash.hex(),
    }
