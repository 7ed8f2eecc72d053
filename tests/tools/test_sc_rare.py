"""sc's seldom used commands: the lock, descriptors, the boot, levels 8 to 12."""

from __future__ import annotations

import json

import pytest

from scmd.client.scm import Scm
from tests.client.world import World
from tests.tools.conftest import Run

HEAD = "[SC] QueryServiceConfig2 SUCCESS\n\nSERVICE_NAME: Web\n"
DACL = (
    "D:(A;;CCLCSWRPWPDTLOCRRC;;;SY)(A;;CCDCLCSWRPWPDTLOCRSDRCWDWO;;;BA)"
    "(A;;CCLCSWLOCRRC;;;IU)(A;;CCLCSWLOCRRC;;;SU)"
)
SACL = "S:(AU;FA;CCDCLCSWRPWPDTLOCRSDRCWDWO;;;WD)"


def said(run: Run, *arguments: str) -> str:
    outcome = run("sc", *arguments)
    assert (outcome.status, outcome.err) == (0, ""), outcome.out
    return outcome.out


def changed(run: Run, *arguments: str) -> None:
    assert said(run, *arguments) == "[SC] ChangeServiceConfig2 SUCCESS\n"


# Levels 9 to 12 -------------------------------------------------------------------------------

LEVELS = [
    ("preferrednode", "3", "qpreferrednode", "PREFERRED_NODE:  3\n", {"preferred_node": 3}),
    ("preferrednode", "-1", "qpreferrednode", "PREFERRED_NODE:  NONE\n", {"preferred_node": None}),
    *(
        (
            "managedaccount",
            word,
            "qmanagedaccount",
            f"ACCOUNT MANAGED : {word.upper()}\n",
            {"is_managed_account": word == "true"},
        )
        for word in ("true", "false")
    ),
    ("runlevel", "2", "qrunlevel", "LOWEST_RUNLEVEL:  2\n", {"lowest_run_level": 2}),
]


@pytest.mark.parametrize(("verb", "value", "query", "text", "members"), LEVELS)
def test_a_level_is_changed_and_shown(
    web: World, run: Run, verb: str, value: str, query: str, text: str, members: dict[str, object]
) -> None:
    changed(run, verb, "Web", value)
    assert said(run, query, "Web") == HEAD + text
    assert said(run, query.upper(), "Web", "1024") == HEAD + text
    assert json.loads(said(run, query, "Web", "--json")) == {"service_name": "Web", **members}


def test_protection_and_user_services(web: World, scm: Scm, run: Run) -> None:
    text = "[SC] QueryServiceConfig2 SUCCESS\nSERVICE Web PROTECTION LEVEL: NONE.\n"
    assert said(run, "qprotection", "Web") == text
    found = json.loads(said(run, "qprotection", "Web", "--json"))
    assert found == {"service_name": "Web", "launch_protected": "NONE"}
    assert said(run, "quserservice", "Web") == HEAD + "USER_SERVICE:  NONE\n"
    found = json.loads(said(run, "quserservice", "Web", "--json"))
    assert found == {"service_name": "Web", "user_service": "NONE"}


# Triggers -------------------------------------------------------------------------------------

GUID = "0850302a-b344-4fda-9be9-90576b8d46f0"
TRIGGERS = [
    (
        f"start/device/{GUID}/USB\\Root/USB",
        (
            "        START SERVICE\n"
            f"          DEVICE INTERFACE ARRIVAL     : {GUID} [INTERFACE CLASS GUID]\n"
            "            DATA                       : USB\\Root\n"
            "            DATA                       : USB\n"
        ),
    ),
    (
        "start/networkon",
        (
            "        START SERVICE\n"
            "          IP ADDRESS AVAILABILITY      : 4f27f2de-14e2-430b-a549-7cd48cbc8245"
            " [FIRST IP ADDRESS AVAILABLE]\n"
        ),
    ),
    (
        "stop/networkoff",
        (
            "        STOP SERVICE\n"
            "          IP ADDRESS AVAILABILITY      : cc4ba62a-162e-4648-847a-b6bdf993e335"
            " [LAST IP ADDRESS AVAILABLE]\n"
        ),
    ),
    (
        "start/domainjoin",
        (
            "        START SERVICE\n"
            "          DOMAIN JOINED STATUS         : 1ce20aba-9851-4421-9430-1ddeb766e809"
            " [DOMAIN JOINED]\n"
        ),
    ),
    (
        "stop/domainleave",
        (
            "        STOP SERVICE\n"
            "          DOMAIN JOINED STATUS         : ddaf516e-58c2-4866-9574-c3b615d42ea1"
            " [NOT DOMAIN JOINED]\n"
        ),
    ),
    (
        "start/portopen/445;TCP;System;",
        (
            "        START SERVICE\n"
            "          FIREWALL PORT EVENT          : b7569e07-8421-4ee0-ad10-86915afdad09"
            " [PORT OPEN]\n"
            "            DATA                       : 445;TCP;System\n"
        ),
    ),
    (
        "stop/portclose/445;TCP",
        (
            "        STOP SERVICE\n"
            "          FIREWALL PORT EVENT          : a144ed38-8e12-4de4-9d96-e64740b1a524"
            " [PORT CLOSED]\n"
            "            DATA                       : 445;TCP\n"
        ),
    ),
    (
        "start/machinepolicy",
        (
            "        START SERVICE\n"
            "          GROUP POLICY                 : 659fcae6-5bdb-4da9-b1ff-ca2a178d46e0"
            " [MACHINE POLICY PRESENT]\n"
        ),
    ),
    (
        "start/userpolicy",
        (
            "        START SERVICE\n"
            "          GROUP POLICY                 : 54fb46c8-f089-464c-b1fd-59d1b62c3b50"
            " [USER POLICY PRESENT]\n"
        ),
    ),
    (
        f"start/rpcinterface/{GUID}",
        (
            "        START SERVICE\n"
            "          NETWORK EVENT                : bc90d167-9470-4139-a9ba-be0bbbf5b74d"
            " [RPC INTERFACE EVENT]\n"
            f"            DATA                       : {GUID}\n"
        ),
    ),
    (
        "start/namedpipe/spool/x",
        (
            "        START SERVICE\n"
            "          NETWORK EVENT                : 1f81d131-3fac-4537-9e0c-7e7b0c2f4b55"
            " [NAMED PIPE EVENT]\n"
            "            DATA                       : spool/x\n"
        ),
    ),
    *(
        (
            f"stop/{word}/{GUID}/{data}",
            (
                "        STOP SERVICE\n"
                f"          CUSTOM                       : {GUID} [ETW PROVIDER UUID]\n"
                f"            DATA                       : {shown}\n"
            ),
        )
        for word, data, shown in (
            ("custom", "0aFF", "0aff"),
            ("strcustom", "text", "text"),
            ("lvlcustom", "5", "0x5"),
            ("kwanycustom", "0x8000000000000001", "0x8000000000000001"),
            ("kwallcustom", "16", "0x10"),
        )
    ),
]


@pytest.mark.parametrize(("form", "block"), TRIGGERS)
def test_each_form_of_a_trigger(web: World, run: Run, form: str, block: str) -> None:
    changed(run, "triggerinfo", "Web", form)
    assert said(run, "qtriggerinfo", "Web") == HEAD + "\n" + block


def test_triggers_replace_each_other_and_go(web: World, run: Run) -> None:
    changed(run, "triggerinfo", "Web", "start/networkon", "STOP/NetworkOff")
    out = said(run, "qtriggerinfo", "Web")
    assert out.count("START SERVICE") == out.count("STOP SERVICE") == 1
    found = json.loads(said(run, "qtriggerinfo", "Web", "--json"))
    assert [trigger["action"] for trigger in found["triggers"]] == ["start", "stop"]
    changed(run, "triggerinfo", "Web", "delete")
    text = "The service Web has not registered for any start or stop triggers.\n"
    assert said(run, "qtriggerinfo", "Web") == HEAD + text


@pytest.mark.parametrize(
    "form",
    [
        "begin/networkon",
        "start/networkoff",
        "start/networkon/more",
        "start/nothing",
        "stop/device/" + GUID,
        "start/device/no-guid",
        "start/device",
        "start/portopen",
        f"start/custom/{GUID}/xyz",
        f"start/lvlcustom/{GUID}/256",
        f"start/kwanycustom/{GUID}/many",
    ],
)
def test_what_is_no_trigger_is_wrong_usage(web: World, run: Run, form: str) -> None:
    outcome = run("sc", "triggerinfo", "Web", form)
    assert outcome.status == 2
    assert outcome.out.startswith("ERROR:  ")


# Security descriptors -------------------------------------------------------------------------


def test_sdshow_prints_the_text_after_a_blank_line(web: World, run: Run) -> None:
    assert said(run, "sdshow", "Web") == f"\n{DACL}{SACL}\n"
    found = json.loads(said(run, "sdshow", "Web", "--json"))
    assert found == {"service_name": "Web", "sddl": DACL + SACL}
    rights = said(run, "sdshow", "Web", "showrights")
    assert "        allow S-1-5-4: QUERY_CONFIG, QUERY_STATUS, ENUMERATE_DEPENDENTS," in rights
    assert said(run, "sdshow", "SCManager").startswith("\nD:(A;;CC;;;AU)")
    assert "CREATE_SERVICE" in said(run, "sdshow", "scmanager", "showrights")


@pytest.mark.parametrize("name", ["Web", "scmanager"])
def test_sdset_replaces_what_the_text_has(web: World, run: Run, name: str) -> None:
    before = said(run, "sdshow", name)
    new = "D:(D;;DT;;;IU)(A;;CCDCLCSWRPWPDTLOCRSDRCWDWO;;;BA)"
    assert said(run, "sdset", name, new) == "[SC] SetServiceObjectSecurity SUCCESS\n"
    assert said(run, "sdshow", name) == f"\n{new}{before[before.index('S:') :]}"
    said(run, "sdset", name, "O:BAG:BAS:(AU;SA;CC;;;WD)")
    assert said(run, "sdshow", name) == f"\n{new}S:(AU;SA;CC;;;WD)\n"
    outcome = run("sc", "sdset", name, "D:nonsense")
    assert outcome.status == 2


# The SCM --------------------------------------------------------------------------------------


def test_a_boot_is_accepted_once(web: World, run: Run) -> None:
    assert run("sc", "boot", "perhaps").status == 2
    assert said(run, "boot", "bad") == "[SC] NotifyBootConfigStatus SUCCESS\n"
    assert said(run, "boot", "OK") == "[SC] NotifyBootConfigStatus SUCCESS\n"
    outcome = run("sc", "boot", "ok")
    assert outcome.status == 1
    assert outcome.out.startswith("[SC] NotifyBootConfigStatus FAILED 1076:")


def test_the_lock_is_held_until_u_is_typed(
    web: World, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = "[SC] QueryServiceLockStatus SUCCESS\n\tIsLocked      : FALSE\n"
    nobody += "\tLockOwner     : \n\tLockDuration  : 0 (seconds since acquired)\n"
    assert said(run, "querylock") == nobody
    seen: list[str] = []

    class Typist:
        def readline(self) -> str:
            from scmd.client import administration
            from scmd.client.calls import open_calls

            with open_calls() as calls:
                status = administration.query_lock_status(calls, calls.open_scm(0x10))
            seen.append(status.owner if status.is_locked else "")
            return ("x\n", "U\n")[len(seen) - 1]

    monkeypatch.setattr("sys.stdin", Typist())
    assert said(run, "lock").endswith("press u: \n[SC] UnlockServiceDatabase SUCCESS\n")
    assert len(seen) == 2
    assert all(seen)
    assert said(run, "querylock") == nobody
    found = json.loads(said(run, "querylock", "--json"))
    assert found == {"is_locked": False, "owner": "", "duration": 0}


def test_every_command_has_a_usage(run: Run) -> None:
    from scmd.tools.sc import find
    from scmd.tools.sc_rare import COMMANDS

    for verb in COMMANDS:
        assert find(verb) is COMMANDS[verb]
        outcome = run("sc", verb, "--help")
        assert outcome.status == 0
        assert f"sc <server> {verb}".lower() in outcome.out.lower()
