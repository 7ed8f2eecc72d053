"""Places and settings of remote end points, and who their callers are."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scmd.daemon.remote_callers import RemoteCallers, anonymous
from scmd.daemon.remote_places import WrongPlace, checked, host_and_port
from scmd.linux.remote_users import RemoteUsers
from scmd.rpc.security.provider import Identity
from scmd.security import sid as sids
from scmd.storage.remote_settings import RemoteSettings, changes_to, settings_of
from scmd.transport.pipe_auth import PipePeer


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        (RemoteSettings(tcp="0.0.0.0:49200"), RemoteSettings(tcp="0.0.0.0:49200")),
        (RemoteSettings(tcp="[0:0::1]:0135"), RemoteSettings(tcp="[::1]:135")),
        (
            RemoteSettings(tcp="10.0.0.7:1", epm="10.0.0.7"),
            RemoteSettings(tcp="10.0.0.7:1", epm="10.0.0.7:135"),
        ),
        (
            RemoteSettings(tcp="10.0.0.7:1", epm="::"),
            RemoteSettings(tcp="10.0.0.7:1", epm="[::]:135"),
        ),
        (
            RemoteSettings(tcp="[fe80::7%lo]:1", epm="[::]"),
            RemoteSettings(tcp="[fe80::7%lo]:1", epm="[::]:135"),
        ),
        (RemoteSettings(smbd="/run//samba/x/"), RemoteSettings(smbd="/run/samba/x")),
    ],
)
def test_places_are_made_canonical(given: RemoteSettings, canonical: RemoteSettings) -> None:
    assert checked(given) == canonical
    if canonical.tcp:
        assert host_and_port(canonical.tcp)[1] in (49200, 135, 1)


@pytest.mark.parametrize(
    "settings",
    [
        *(RemoteSettings(tcp=place) for place in ("x", "web:1", "1.2.3.4", "1.2.3.4:0", ":1")),
        *(
            RemoteSettings(tcp=place)
            for place in ("1.2.3.4:65536", "1.2.3.4:0000065536", "1.2.3.4:１", "1.2.3.4:-1")
        ),
        RemoteSettings(epm="1.2.3.4"),
        RemoteSettings(tcp="1.2.3.4:135", epm="1.2.3.4"),
        RemoteSettings(smbd="/" + "x" * 90),
        RemoteSettings(tcp="1.2.3.4:1", level="connect"),
        RemoteSettings(tcp="1.2.3.4:1", keytab="keys"),
    ],
)
def test_other_places_are_refused(settings: RemoteSettings) -> None:
    with pytest.raises(WrongPlace):
        checked(settings)


texts = st.text(st.characters(exclude_characters="\0", codec="utf-8"))


@given(st.builds(RemoteSettings, tcp=texts, smbd=texts, administrators=texts, keytab=texts))
def test_settings_are_stored_as_they_are(settings: RemoteSettings) -> None:
    changes = changes_to(settings)
    stored = {name: value for name, value in changes.items() if value is not None}
    assert settings_of(stored) == settings
    assert settings_of({}) == RemoteSettings()


@pytest.fixture
def users(tmp_path: Path) -> RemoteUsers:
    return RemoteUsers(tmp_path / "users")


def ntlm(user: str) -> Identity:
    return Identity(user=user, domain="LAB", mechanism="NTLM")


def test_only_those_who_were_added_may_come(users: RemoteUsers) -> None:
    callers = RemoteCallers(users)
    assert callers.caller_of(ntlm("root"), "10.0.0.7:1") is None
    users.put("root", bytes(16), administrator=False)
    root = callers.caller_of(ntlm("ROOT"), "10.0.0.7:1")
    assert root is not None
    assert (root.name, root.origin) == ("LAB\\ROOT", "10.0.0.7:1")
    assert root.token.user == sids.unix_user_sid(0)
    assert {sids.ADMINISTRATORS, sids.NETWORK} <= root.token.groups
    assert not {sids.INTERACTIVE, sids.LOCAL} & root.token.groups


def test_a_user_that_unix_does_not_know_has_a_sid_of_his_own(users: RemoteUsers) -> None:
    made = users.put("nobody-knows-me", bytes(16), administrator=False)
    callers = RemoteCallers(users)
    caller = callers.caller_of(ntlm("nobody-knows-me"), "x")
    assert caller is not None
    assert caller.token.user == made.sid
    assert sids.ADMINISTRATORS not in caller.token.groups
    users.put("nobody-knows-me", bytes(16), administrator=True)
    caller = callers.caller_of(ntlm("nobody-knows-me"), "x")
    assert caller is not None
    assert sids.ADMINISTRATORS in caller.token.groups


def test_members_of_a_group_administer(users: RemoteUsers) -> None:
    users.put("daemon", bytes(16), administrator=False)
    callers = RemoteCallers(users)
    for group, is_administrator in (("", False), ("daemon", True), ("no-such-group", False)):
        callers.administrators = group
        caller = callers.caller_of(ntlm("daemon"), "x")
        assert caller is not None
        assert (sids.ADMINISTRATORS in caller.token.groups) is is_administrator


def peer(*groups: str, uid: int | None = 1, is_guest: bool = False) -> PipePeer:
    own = ("S-1-5-21-1-2-3-1001", "S-1-22-2041152804-0", *groups)
    return PipePeer(7, "daemon", "LAB", own, uid, (1,), "10.0.0.7", 5, is_guest, b"key")


def test_smbds_word_is_taken_but_for_who_sits_here(users: RemoteUsers) -> None:
    callers = RemoteCallers(users)
    caller = callers.pipe_caller(peer("S-1-22-1-1", sids.LOCAL, sids.INTERACTIVE))
    assert caller is not None
    assert caller.token.user == "S-1-5-21-1-2-3-1001"
    expected = {"S-1-22-1-1", sids.EVERYONE, sids.AUTHENTICATED_USERS, sids.NETWORK}
    assert caller.token.groups == expected
    root = callers.pipe_caller(peer(uid=0))
    assert root is not None
    assert sids.ADMINISTRATORS in root.token.groups
    known = callers.pipe_caller(peer(sids.ADMINISTRATORS, uid=None))
    assert known is not None
    assert "SeSecurityPrivilege" in known.token.privileges


def test_guests_and_nobody_are_refused(users: RemoteUsers) -> None:
    callers = RemoteCallers(users)
    assert callers.pipe_caller(peer(is_guest=True)) is None
    assert callers.pipe_caller(peer(sids.ANONYMOUS)) is None
    assert callers.pipe_caller(peer("S-1-5-32-546")) is None
    token = anonymous("x").token
    assert not {sids.AUTHENTICATED_USERS, sids.LOCAL} & token.groups
