"""Which services are a template's instances, and how many there are in the end."""

from __future__ import annotations

import random
from functools import partial

import pytest

from scmd.client import instances
from scmd.client.scm import Scm, connect
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import ServiceAccess, ServiceType
from scmd.vocabulary.winerror import WinError
from tests.client.turns import Turns


def test_only_a_templates_own_instances_go_with_it(scm: Scm) -> None:
    scm.install("Straße", ["/bin/true"], parameters={"AppInstances": 2})
    instances.adjust(scm, "Straße", 2)
    for name in (
        "Strasse@1",
        "Straße@01",
        "Straße@",
        "Straße@x",
        "Straße@\N{ARABIC-INDIC DIGIT NINE}",
    ):
        scm.create(name, "/bin/true")
    assert {"Straße@1", "Straße@2"} <= {service.name for service in scm}
    instances.remove_all(scm, "straße")
    left = {service.name for service in scm}
    assert not left & {"Straße@1", "Straße@2"}
    assert len(left) == 6


def test_an_instance_that_is_going_anyway_is_no_obstacle(scm: Scm) -> None:
    scm.install("Web", ["/bin/true"], parameters={"AppInstances": 2})
    instances.adjust(scm, "Web", 2)
    with scm["Web@2"].opened(ServiceAccess.QUERY_STATUS):
        scm["Web@2"].delete()
        instances.remove_all(scm, "Web")
        assert {service.name for service in scm} & {"Web@1", "Web@2"} == {"Web@2"}
    assert "Web@2" not in scm


def test_a_name_that_is_taken_by_what_is_not_shown_is_an_error(scm: Scm) -> None:
    """Not tried for ever, as one that somebody else creates at the moment is."""
    scm.install("Web", ["/bin/true"], parameters={"AppInstances": 1})
    scm.create("Web@2", "/driver", type=ServiceType.KERNEL_DRIVER)
    with pytest.raises(WinError) as caught:
        instances.adjust(scm, "Web", 3)
    assert caught.value.winerror == Error.SERVICE_EXISTS
    assert {service.name for service in scm} == {"Web", "Web@1", "Web@3"}


@pytest.mark.parametrize("runs", [False, True])
@pytest.mark.parametrize("seed", range(40))
def test_of_several_who_change_the_number_the_last_one_counts(
    scm: Scm, monkeypatch: pytest.MonkeyPatch, seed: int, runs: bool
) -> None:
    dice = random.Random(seed)
    scm.install("Web", ["/bin/true"], parameters={"AppInstances": 2, "AppSettleTime": 0})
    instances.adjust(scm, "Web", 2)
    if runs:
        scm["Web"].start()

    def adjust(number: int) -> None:
        with connect() as another:
            instances.adjust(another, "Web", number)

    numbers = [dice.randrange(5) for _ in range(dice.randint(2, 4))]
    Turns(monkeypatch, dice).run(*(partial(adjust, number) for number in numbers))
    count = scm["Web"].parameters["AppInstances"]
    found = {service.name for service in scm if service.name.startswith("Web@")}
    assert found == {f"Web@{number}" for number in range(1, count + 1)}
    if scm["Web"].status.state == 4:
        assert {scm[name].status.state for name in found} == {4}
