"""The dependency graph: order and cycles, against plain definitions."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from scmd.core.dependencies import DependencyIndex, closes_cycle, on_cycles
from scmd.core.messages import ServiceId
from scmd.core.records import ServiceRecord
from scmd.vocabulary.configuration import ServiceConfig
from scmd.vocabulary.names import name_key

NAMES = ("a", "b", "c", "d", "e")
TARGETS = (*NAMES, "+g", "+h", "missing")

Graphs = st.lists(
    st.tuples(
        st.lists(st.sampled_from(TARGETS), max_size=3, unique=True),
        st.sampled_from(("", "G", "h")),
    ),
    min_size=1,
    max_size=len(NAMES),
)


def configs(graph: list[tuple[list[str], str]]) -> list[ServiceConfig]:
    return [
        ServiceConfig(name=name, dependencies=tuple(targets), load_order_group=group)
        for name, (targets, group) in zip(NAMES, graph, strict=False)
    ]


def reachable(all_configs: list[ServiceConfig]) -> dict[str, set[str]]:
    """Everything each service needs at any remove, groups among it; by repeated widening."""
    needs = {name_key(c.name): {name_key(t) for t in c.dependencies} for c in all_configs}
    for config in all_configs:
        if config.load_order_group:
            group = "+" + name_key(config.load_order_group)
            needs.setdefault(group, set()).add(name_key(config.name))
    changed = True
    while changed:
        changed = False
        for found in needs.values():
            wider = found.union(*(needs.get(target, set()) for target in found))
            if wider != found:
                found |= wider
                changed = True
    return needs


@settings(deadline=None)
@given(Graphs)
def test_cycles_are_found_and_only_those(graph: list[tuple[list[str], str]]) -> None:
    made = configs(graph)
    needs = reachable(made)
    by_key = {name_key(config.name): [config] for config in made}

    def members(group: str) -> list[ServiceConfig]:
        return [c for c in made if name_key(c.load_order_group) == name_key(group)]

    cyclic = on_cycles(made)
    for config in made:
        key = name_key(config.name)
        on_one = key in needs[key]
        found = closes_cycle(config, lambda key: by_key.get(key, []), members)
        assert found is on_one
        assert not on_one or key in cyclic
    if not any(key in needs[key] for key in by_key):
        assert not cyclic


@settings(deadline=None)
@given(Graphs)
def test_dependents_are_all_who_need_it_and_stop_before_what_they_need(
    graph: list[tuple[list[str], str]],
) -> None:
    made = configs(graph)
    needs = reachable(made)
    index = DependencyIndex()
    records = [ServiceRecord(ServiceId(n), c, {}, False) for n, c in enumerate(made)]
    for record in records:
        index.add(record)
    for record in records:
        order = [dependent.key for dependent in index.dependents(record)]
        assert len(order) == len(set(order))
        expected = {other.key for other in records if record.key in needs[other.key]}
        assert set(order) == expected - {record.key}
        if not on_cycles(made):
            for place, key in enumerate(order):
                assert not needs[key] & set(order[:place])
    for record in records:
        index.remove(record)
    assert index.__dict__ == DependencyIndex().__dict__
