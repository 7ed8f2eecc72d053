"""Who we say we are to another machine: a user with a password, or a Kerberos ticket.

`-U user[%password]`, a credentials file as Samba's tools read them, and nothing else: asking a
person for a password is the tools' business.
"""

from __future__ import annotations

import os
import stat

from scmd.vocabulary.value import Value


class CredentialsError(ValueError):
    """A credentials file that cannot be used; the text says why."""


class Credentials(Value):
    """`user` may be `DOMAIN\\name` or `name@REALM`; "" is who the Kerberos ticket is for.

    Without a password Kerberos is the only way.
    """

    user: str = ""
    password: str | None = None

    def __repr__(self) -> str:
        return f"<credentials of {self.user or 'the Kerberos ticket'}>"

    @property
    def domain_and_name(self) -> tuple[str, str]:
        """The two parts of the user for NTLM; no domain is "", any the server likes."""
        domain, backslash, name = self.user.partition("\\")
        if backslash:
            return domain, name
        name, _, realm = self.user.partition("@")
        return realm, name


def from_option(text: str) -> Credentials:
    """`user` or `user%password`; the first `%` divides. CredentialsError: no user."""
    user, percent, password = text.partition("%")
    if not user:
        raise CredentialsError("who calls has a name: USER or USER%PASSWORD")
    return Credentials(user=user.replace("/", "\\"), password=password if percent else None)


def from_file(path: str) -> Credentials:
    """Lines `username = x`, `password = y` and `domain = z`; closed to others, or it is refused."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise CredentialsError(f"{path} can be read by others: chmod 600 {path}")
            lines = file.read(65_536).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text in UTF-8"
        raise CredentialsError(f"{path} cannot be read: {reason}") from error
    values = {}
    for line in lines:
        name, equals, value = line.partition("=")
        if equals and not line.lstrip().startswith("#"):
            values[name.strip().lower()] = value.strip()
    user = values.get("username", "")
    if not user:
        raise CredentialsError(f"{path} has no line `username = NAME`")
    domain = values.get("domain", "")
    if domain and "\\" not in user and "@" not in user:
        user = f"{domain}\\{user}"
    return Credentials(user=user, password=values.get("password"))
