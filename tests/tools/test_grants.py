"""scmd grant, revoke and grants against a real core through the wire."""

from __future__ import annotations

import grp
import json
import pwd

import pytest

from scmd.security.sid import service_sid
from tests.client.world import World
from tests.tools.conftest import Run

GROUP = grp.getgrgid(0).gr_name
USER = pwd.getpwuid(0).pw_name


def grants(run: Run, name: str) -> dict[str, tuple[str, list[str]]]:
    """By SID: the name it goes by and what it may do."""
    found = run("grants", name, "--json")
    assert found.status == 0, found
    return {row["sid"]: (row["name"], row["allowed"]) for row in json.loads(found.out)}


def test_a_group_is_granted_and_loses_it_again(web: World, run: Run) -> None:
    before = grants(run, "Web")
    done = run("grant", GROUP, "start,stop,query", "Web")
    assert (done.status, done.out) == (0, f"{GROUP} may start,stop,query Web.\n")
    assert grants(run, "Web")["S-1-22-2-0"] == (f"group:{GROUP}", ["query", "start", "stop"])
    assert run("revoke", GROUP, "stop", "Web").status == 0
    assert grants(run, "Web")["S-1-22-2-0"] == (f"group:{GROUP}", ["query", "start"])
    assert run("revoke", GROUP, "Web").status == 0
    assert grants(run, "Web") == before


@pytest.mark.parametrize(
    ("who", "sid", "name"),
    [
        (f"user:{USER}", "S-1-22-1-0", f"user:{USER}"),
        (f"group:{GROUP}", "S-1-22-2-0", f"group:{GROUP}"),
        ("service:web", service_sid("Web"), "service:Web"),
        ("service:Nobody", service_sid("Nobody"), ""),
        ("s-1-5-32-0x221", "S-1-5-32-545", "Users"),
        ("everyone", "S-1-1-0", "Everyone"),
        ("Authenticated Users", "S-1-5-11", "Authenticated Users"),
    ],
)
def test_who_can_be_granted(web: World, run: Run, who: str, sid: str, name: str) -> None:
    assert run("grant", who, "start", "Web").status == 0
    assert grants(run, "Web")[sid] == (name, ["start"])


def test_a_user_from_elsewhere_is_found_by_name(web: World, run: Run) -> None:
    """Groups have no such names, and who has a name here is meant by it."""
    web.remote = (
        b'{"users": [{"name": "Ann", "sid": "S-1-5-21-1-2-3-1000"}, {"name": "Old"},'
        b'{"name": "' + USER.encode() + b'", "sid": "S-1-5-21-1-2-3-1001"}]}'
    )
    for who in ("ann", "user:ANN"):
        assert run("grant", who, "start", "Web").status == 0
        assert grants(run, "Web")["S-1-5-21-1-2-3-1000"] == ("user:Ann", ["start"])
        assert run("revoke", who, "Web").status == 0
    assert run("grant", f"user:{USER}", "start", "Web").status == 0
    assert grants(run, "Web")["S-1-22-1-0"] == (f"user:{USER}", ["start"])
    for who in ("group:Ann", "service-ann", "Old"):
        assert "no group or user" in run("grant", who, "start", "Web").err


def test_the_scm_has_words_of_its_own(web: World, run: Run) -> None:
    assert run("grant", "Network", "list,create", "SCManager").status == 0
    assert grants(run, "scmanager")["S-1-5-2"] == ("Network", ["connect", "list", "create"])
    refused = run("grant", "Network", "start", "scmanager")
    assert (refused.status, refused.out) == (2, "")
    assert "start is no right; expected connect, list" in refused.err


def test_what_is_wrong_is_said(web: World, run: Run) -> None:
    unknown = run("grant", "no such people", "start", "Web")
    assert (unknown.status, unknown.out) == (1, "")
    assert "no such people: no group or user" in unknown.err
    assert "dance is no right; expected query, start" in run("grant", USER, "dance", "Web").err
    for empty in ("", ",", "start,,stop", "start,"):
        for verb in ("grant", "revoke"):
            refused = run(verb, USER, empty, "Web")
            assert (refused.status, refused.out) == (2, "")
            assert "an empty word is no right" in refused.err
    assert run("grant", USER, "start").status == 2
    assert run("grants", "Nope").status == 1
    assert run("grants").status == 2


def test_people_read_a_table(web: World, run: Run) -> None:
    assert run("grants", "Web").out.splitlines()[0] == (
        "LocalSystem              query,start,stop,pause,control"
    )
