"""Service accounts and what they mean on this machine."""

from __future__ import annotations

import os
import pwd

import pytest

from scmd.linux.accounts import PATH, is_known, resolve
from scmd.vocabulary.errors import Error, Refused

ME = pwd.getpwuid(os.geteuid())


@pytest.mark.parametrize(
    "name", ["LocalSystem", "localsystem", ".\\LocalSystem", "NT AUTHORITY\\SYSTEM", ""]
)
def test_local_system_is_who_the_scm_is(name: str) -> None:
    account = resolve(name)
    assert account.uid == os.geteuid()
    assert not account.switch


@pytest.mark.parametrize("form", ["{}", ".\\{}", "%HOST%\\{}"])
def test_a_user_of_this_machine(form: str) -> None:
    host = os.uname().nodename.partition(".")[0]
    account = resolve(form.replace("%HOST%", host).format(ME.pw_name))
    assert (account.name, account.uid) == (ME.pw_name, ME.pw_uid)
    assert ME.pw_gid in account.groups()
    assert account.environment() == {
        "PATH": PATH,
        "HOME": ME.pw_dir,
        "USER": ME.pw_name,
        "LOGNAME": ME.pw_name,
        "SHELL": ME.pw_shell,
        "LANG": "C.UTF-8",
    }


@pytest.mark.parametrize(
    "name", ["no-such-user", "ELSEWHERE\\root", "ELSEWHERE\\LocalSystem", "\0"]
)
def test_an_unknown_account_is_a_logon_failure(name: str) -> None:
    with pytest.raises(Refused) as refused:
        resolve(name)
    assert refused.value.error is Error.SERVICE_LOGON_FAILED


@pytest.mark.root
@pytest.mark.root
@pytest.mark.parametrize(
    "name", ["LocalService", "NT AUTHORITY\\NetworkService", "nt authority\\network service"]
)
def test_the_low_accounts_are_not_root(name: str) -> None:
    account = resolve(name)
    assert account.uid != 0
    assert account.gid != 0
    assert account.switch


def test_who_is_known() -> None:
    assert is_known("LocalService")
    assert is_known(f".\\{ME.pw_name}")
    for name in ("nobody-has-this-name", "FAR\\nobody-has-this-name", "a\0b", "\ud800", "x" * 300):
        assert not is_known(name)
