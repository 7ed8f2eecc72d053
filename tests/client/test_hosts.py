"""HOST and credentials as people write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from scmd.client.calls import open_calls
from scmd.client.credentials import (
    Credentials,
    CredentialsError,
    from_file,
    from_option,
)
from scmd.client.hosts import Host, HostError, parse_host
from scmd.vocabulary.winerror import WinError


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("//web", Host(name="web")),
        ("\\\\web.example", Host(name="web.example")),
        ("//web:49200", Host(name="web", port=49200)),
        ("//10.0.0.7:1", Host(name="10.0.0.7", port=1)),
        ("//10.0.0.7:65535", Host(name="10.0.0.7", port=65535)),
        ("//fe80::1", Host(name="fe80::1")),
        ("//[fe80::1]", Host(name="fe80::1")),
        ("//[fe80::1]:135", Host(name="fe80::1", port=135)),
        ("ssh://web", Host(name="web", is_ssh=True)),
        ("ssh://web/", Host(name="web", is_ssh=True)),
        ("ssh://ann@web:2222", Host(name="web", port=2222, user="ann", is_ssh=True)),
    ],
)
def test_a_host_is_understood(text: str, host: Host) -> None:
    assert parse_host(text) == host
    assert parse_host(str(host)) == host


@pytest.mark.parametrize(
    "text",
    [
        *("", "web", "//", "\\\\", "ssh://", "http://web", "//web/share", "//a b", "//web:"),
        *("//web:0", "//web:65536", "//web:x", "//[fe80::1", "//[fe80::1]x", "//web:１"),
        *("//-oProxyCommand=x", "ssh://-oProxyCommand=x", "ssh://-x@web", "ssh://@web"),
        *("ssh://a@b@web", "//web\x07", "//we\u200bb"),
    ],
)
def test_what_is_no_host_is_refused(text: str) -> None:
    with pytest.raises(HostError):
        parse_host(text)


def test_a_wrong_host_is_an_invalid_parameter() -> None:
    with pytest.raises(WinError) as caught:
        open_calls("//web/share")
    assert caught.value.winerror == 87
    with pytest.raises(WinError, match="keys") as caught:
        open_calls("ssh://web", credentials=Credentials(user="ann", password="secret"))
    assert caught.value.winerror == 87


def test_a_user_whom_no_text_names_is_an_invalid_parameter() -> None:
    with pytest.raises(WinError, match="no user's name") as caught:
        open_calls("//127.88.77.66:1", credentials=Credentials(user="\udcff", password="p"))
    assert caught.value.winerror == 87


def test_credentials_of_an_option() -> None:
    assert from_option("ann") == Credentials(user="ann")
    assert from_option("ann%") == Credentials(user="ann", password="")
    with pytest.raises(CredentialsError):
        from_option("%password")
    given = from_option("LAB/ann%a%b")
    assert given == Credentials(user="LAB\\ann", password="a%b")
    assert given.domain_and_name == ("LAB", "ann")
    assert "a%b" not in repr(given) + str(given)
    assert Credentials(user="ann@LAB.EXAMPLE").domain_and_name == ("LAB.EXAMPLE", "ann")


def test_credentials_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    file.write_text("# mine\nusername = ann\npassword = a = b\ndomain = LAB\n")
    file.chmod(0o644)
    with pytest.raises(CredentialsError, match="chmod 600"):
        from_file(str(file))
    file.chmod(0o600)
    assert from_file(str(file)) == Credentials(user="LAB\\ann", password="a = b")
    file.write_text("username = ann\n #username = bob\npassword\n[password]\ndomain = LAB")
    assert from_file(str(file)) == Credentials(user="LAB\\ann")
    file.write_text("\ufeffusername = ann\r\npassword = b\r\n", encoding="utf-8")
    assert from_file(str(file)) == Credentials(user="ann", password="b")
    file.write_text("password = x\n")
    with pytest.raises(CredentialsError, match="username"):
        from_file(str(file))
    with pytest.raises(CredentialsError, match="cannot be read"):
        from_file(str(tmp_path / "missing"))
    file.write_bytes(b"username = \xff\n")
    with pytest.raises(CredentialsError, match="no text in UTF-8"):
        from_file(str(file))
