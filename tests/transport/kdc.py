"""A Kerberos realm of a test's own: a KDC on loopback, principals, a keytab, ticket caches."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.free_ports import free_port

REALM = "SCMD.TEST"
OTHER_REALM = "OTHER.TEST"
"""One that REALM trusts: its users get tickets for REALM's services."""
SERVICE = "host/scmd.test"
PASSWORD = "ann's password"
PROGRAM_PATH = os.environ.get("PATH", os.defpath) + ":/usr/sbin"


class Realm:
    """`variables` lead the Kerberos library of a process to this realm."""

    def __init__(self, folder: Path, variables: dict[str, str]) -> None:
        self.folder = folder
        self.variables = variables
        self.keytab = str(folder / "keytab")

    def run(self, *command: str, answer: str = "") -> None:
        done = subprocess.run(
            command,
            input=answer,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **self.variables, "PATH": PROGRAM_PATH},
        )
        assert done.returncode == 0, (command, done.stdout)

    def admit(self, service: str) -> None:
        """One more service, whose key goes into the keytab."""
        for query in (f"addprinc -randkey {service}", f"ktadd -k {self.keytab} {service}"):
            self.run("kadmin.local", "-r", REALM, "-q", query)

    def ticket(self, user: str, *services: str) -> str:
        """A cache with a ticket of this principal, and those for services."""
        cache = f"FILE:{self.folder}/cache-{user}"
        self.run("kinit", "-c", cache, user, answer=PASSWORD + "\n")
        for service in services:
            self.run("kvno", "-c", cache, service)
        return cache


@contextmanager
def realm(folder: Path) -> Iterator[Realm]:
    """A realm with the users ann, bob and root and the service host/scmd.test, and OTHER_REALM."""
    port = free_port()
    both = (REALM, OTHER_REALM)
    places = "".join(f" {name} = {{\n  kdc = 127.0.0.1:{port}\n }}\n" for name in both)
    (folder / "krb5.conf").write_text(
        f"[libdefaults]\n default_realm = {REALM}\n dns_lookup_kdc = false\n"
        " dns_canonicalize_hostname = false\n rdns = false\n udp_preference_limit = 1\n"
        f"[realms]\n{places}"
        f"[domain_realm]\n scmd.test = {REALM}\n"
    )
    (folder / "kdc.conf").write_text(
        f"[kdcdefaults]\n kdc_listen = 127.0.0.1:{port}\n kdc_tcp_listen = 127.0.0.1:{port}\n"
        "[realms]\n"
        + "".join(_database(folder, name) for name in both)
        + f"[logging]\n kdc = FILE:{folder}/kdc.log\n"
    )
    variables = {
        "KRB5_CONFIG": str(folder / "krb5.conf"),
        "KRB5_KDC_PROFILE": str(folder / "kdc.conf"),
        "KRB5RCACHEDIR": str(folder),
        "KRB5CCNAME": f"FILE:{folder}/none",
    }
    made = Realm(folder, variables)
    trust = f"krbtgt/{REALM}@{OTHER_REALM}"
    for name, users in ((REALM, ("ann", "bob", "root", trust)), (OTHER_REALM, ("ann", trust))):
        made.run("kdb5_util", "create", "-s", "-r", name, "-P", "master")
        for user in users:
            made.run("kadmin.local", "-r", name, "-q", f'addprinc -pw "{PASSWORD}" {user}')
    made.admit(SERVICE)
    with subprocess.Popen(
        ["krb5kdc", "-n", "-r", REALM, "-r", OTHER_REALM],
        env={**os.environ, **variables, "PATH": PROGRAM_PATH},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as kdc:
        try:
            _wait_for(kdc)
            yield made
        finally:
            kdc.terminate()


def _database(folder: Path, name: str) -> str:
    """The section of one realm. A smbd that is in no domain takes no ticket with a PAC."""
    return (
        f" {name} = {{\n  database_name = {folder}/principal-{name}\n"
        f"  key_stash_file = {folder}/stash-{name}\n  acl_file = {folder}/acl\n"
        "  disable_pac = true\n }\n"
    )


def _wait_for(kdc: subprocess.Popen[str]) -> None:
    assert kdc.stdout is not None
    for line in kdc.stdout:
        if "starting" in line or "commencing" in line:
            return
    raise AssertionError("the KDC has ended")
