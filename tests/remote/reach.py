"""A machine that others can reach: TCP, endpoint mapper, users, all on loopback."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from tests.free_ports import free_port
from tests.system.machine import Machine

ADMINISTRATOR = "administrator"
"""Whom Unix does not know."""
PLAIN = "plain"
PASSWORD = "Passw0rd of the test"
LEVELS = CONNECT, PACKET, INTEGRITY, PRIVACY = ("2", "4", "5", "6")
"""The authentication levels that RPC has."""


class Reach:
    """Where the machine is reached, and by whom."""

    def __init__(self, machine: Machine, address: str = "127.0.0.1") -> None:
        self.machine = machine
        self.address = address
        self.port = free_port(address)
        self.mapper = free_port(address)

    def open(self, *settings: str) -> Reach:
        """Two users, a TCP port, a mapper."""
        machine = self.machine
        for user, *options in ((ADMINISTRATOR, "--administrator"), (PLAIN,)):
            machine.scmd("remote", "adduser", user, *options, input=f"{PASSWORD}\n")
        tcp = ("--tcp", f"{self.address}:{self.port}")
        machine.scmd("remote", "enable", *tcp, "--epm", f"{self.address}:{self.mapper}", *settings)
        return self

    @property
    def host(self) -> str:
        return f"//{self.address}:{self.port}"

    @property
    def credentials(self) -> tuple[str, str]:
        """The options of our client."""
        return "-U", f"{ADMINISTRATOR}%{PASSWORD}"

    def status(self) -> dict[str, object]:
        document: dict[str, object] = json.loads(self.machine.scmd("remote", "status", "--json"))
        return document


def impacket_says(
    binding: str, user: str, password: str, levels: Iterable[str], *realm: str
) -> list[str]:
    """What `impacket_security.py` prints, for each of the levels."""
    program = Path(__file__).with_name("impacket_security.py")
    arguments = (binding, user, password, ",".join(levels), *realm)
    done = subprocess.run(
        [sys.executable, program, *arguments], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()
