"""Which services are a template's instances, by their names."""

from __future__ import annotations

from scmd.client import instances
from scmd.client.scm import Scm
from scmd.vocabulary.service import ServiceAccess


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
