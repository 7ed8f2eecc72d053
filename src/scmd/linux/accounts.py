"""Service accounts on Linux: which user a process runs as, and the environment it starts with.

LocalSystem is root, or the SCM's own user when that is not root. LocalService and
NetworkService are the users `scmd-localservice` and `scmd-networkservice` where the
administrator has made them, else `nobody`. A virtual account, `NT SERVICE\\name`, has a uid of
the service's own that no directory knows. Every other name is looked up with NSS: as it
stands (winbind and sssd know `DOMAIN\\user`), and without the domain when that is `.` or
this machine.
"""

from __future__ import annotations

import os
import pwd

from scmd.vocabulary.errors import Error, Refused
from scmd.vocabulary.value import Value

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

LOCAL_SYSTEM = frozenset({"localsystem", "system"})
LOW_USERS = {
    "localservice": ("scmd-localservice", "nobody"),
    "networkservice": ("scmd-networkservice", "nobody"),
}
VIRTUAL_DOMAIN = "nt service\\"
NO_SHELL = "/usr/sbin/nologin"
_OWN_DOMAINS = frozenset({".", "nt authority", "builtin"})


class Account(Value):
    """Who a process runs as. `switch` is False when that is who we are."""

    name: str
    uid: int
    gid: int
    home: str
    shell: str
    switch: bool
    virtual: bool = False

    def groups(self) -> list[int]:
        """The supplementary groups, the primary one included."""
        if self.virtual:
            return [self.gid]
        return os.getgrouplist(self.name, self.gid)

    def environment(self) -> dict[str, str]:
        """What a process of this account has before anything is added for the service."""
        return {
            "PATH": PATH,
            "HOME": self.home,
            "USER": self.name,
            "LOGNAME": self.name,
            "SHELL": self.shell,
            "LANG": "C.UTF-8",
        }


def resolve(account: str, uid: int = 0) -> Account:
    """The account of this name; raises `Refused`: 1069 if it is unknown or not ours to take.

    With a `uid` it is a virtual account.
    """
    if uid:
        return _virtual(account, uid)
    entry = _entry(account)
    own = os.geteuid()
    if own not in (0, entry.pw_uid):
        raise Refused(
            Error.SERVICE_LOGON_FAILED,
            f"account {account!r}: an SCM that is not root runs everything as its own user",
        )
    return Account(
        name=entry.pw_name,
        uid=entry.pw_uid,
        gid=entry.pw_gid,
        home=entry.pw_dir or "/",
        shell=entry.pw_shell or "/bin/sh",
        switch=entry.pw_uid != own,
    )


def _virtual(account: str, uid: int) -> Account:
    """It owns nothing yet, so home is the root; programs would not expect a domain's name."""
    if os.geteuid() != 0:
        raise Refused(
            Error.SERVICE_LOGON_FAILED, f"account {account!r}: only root has virtual accounts"
        )
    name = account.rpartition("\\")[2]
    return Account(name=name, uid=uid, gid=uid, home="/", shell=NO_SHELL, switch=True, virtual=True)


def is_known(account: str) -> bool:
    """Whether somebody has this name, so that a service could run as it.

    Virtual accounts are there as soon as a service has them.
    """
    if account.lower().startswith(VIRTUAL_DOMAIN):
        return True
    try:
        _entry(account)
    except Refused:
        return False
    return True


def _entry(account: str) -> pwd.struct_passwd:
    domain, separator, user = account.rpartition("\\")
    key = user.replace(" ", "").lower()
    ours = not separator or domain.lower() in _OWN_DOMAINS or _is_this_machine(domain)
    if ours and (key in LOCAL_SYSTEM or not account):
        return _by_uid(os.geteuid())
    names: tuple[str, ...] = (account, user) if ours else (account,)
    if ours and key in LOW_USERS:
        names = LOW_USERS[key]
    for name in names:
        try:
            return pwd.getpwnam(name)
        except (KeyError, ValueError):
            continue
    raise Refused(Error.SERVICE_LOGON_FAILED, f"there is no user for account {account!r}")


def _by_uid(uid: int) -> pwd.struct_passwd:
    try:
        return pwd.getpwuid(uid)
    except KeyError:  # A container's arbitrary uid has no entry.
        return pwd.struct_passwd((str(uid), "x", uid, os.getegid(), "", "/", "/bin/sh"))


def _is_this_machine(domain: str) -> bool:
    return domain.lower() == os.uname().nodename.partition(".")[0].lower()
