"""A watch that goes on where another one has been, at an SCM behind a real socket."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import scmd
from scmd.client.scm import Scm
from scmd.client.watching import Watch, watch
from scmd.vocabulary.service import ServiceState
from tests.client.world import World


@pytest.fixture
def web(scm: Scm) -> Scm:
    for name in ("Web", "Other"):
        scm.create(name, f"/usr/bin/{name.lower()}")
    return scm


def some(changes: Watch, count: int) -> list[scmd.Change]:
    return [next(changes) for _ in range(count)]


def until_created(changes: Watch) -> Iterator[scmd.Change]:
    for change in changes:
        yield change
        if change.kind == "created":
            return


def test_what_came_meanwhile_is_told_once_and_in_order(web: Scm) -> None:
    with watch() as whole, watch() as first:
        web["Web"].start()
        seen = some(first, 2)
        first.close()
        web["Other"].start()
        web["Web"].stop()
        with watch(after=seen[-1].place) as second:
            web.create("Last", "/usr/bin/last")
            expected = list(until_created(whole))
            assert seen + list(until_created(second)) == expected
    assert len({change.place for change in expected}) == len(expected)


def test_there_may_be_nothing_new(web: Scm) -> None:
    with watch("Web", initial=True) as first:
        place = next(first).place
    with watch("Web", after=place) as second:
        web["Other"].start()
        web["Web"].start()
        assert next(second).name == "Web"


def test_of_a_picture_the_last_one_has_the_place(web: Scm) -> None:
    with watch(initial=True) as first:
        places = [change.place for change in some(first, 2)]
    assert places[0] == "" != places[1]
    web["Web"].start()
    with watch(after=places[1]) as second:
        assert next(second).state == ServiceState.START_PENDING


def test_a_place_too_long_ago_is_a_gap(world: World, web: Scm) -> None:
    with watch() as first:
        web["Web"].start()
        place = next(first).place
    web["Other"].delete()
    world.scm.state.feed.kept.clear()
    with watch(after=place) as second:
        found = next(second)
        assert (found.kind, found.name, found.gap) == ("service", "Web", True)
        assert found.place
        web["Web"].stop()
        assert not next(second).gap


def test_so_is_a_place_of_another_boot(web: Scm) -> None:
    with watch("Web", "Never", after="1-5") as changes:
        found = next(changes)
    assert (found.kind, found.name, found.gap) == ("service", "Web", True)


def test_of_services_that_are_not_there_the_next_change_has_the_gap(web: Scm) -> None:
    with watch("Later", after="1-5") as changes:
        web.create("Later", "/usr/bin/later")
        assert (first := next(changes)).gap
        assert first.kind == "created"


@pytest.mark.parametrize(
    "text",
    ["5", "-", "1-", "-1", "g-1", "1-a", "1-1-1", " 1-1", "10000000000000000-1", "1-" + "9" * 20],
)
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no place of a change, such as"):
        watch(after=text)
