"""Dependencies: who needs whom, as a graph over the records.

A dependency names a service, or with a `+` prefix a load-order group, which stands for
all its members. Names of services that do not exist are legal in a record. The index
answers in both directions without looking at every record. Nothing here recurses: a chain
of 10,000 services is walked with a list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from scmd.core.messages import ServiceId
from scmd.core.records import ServiceRecord
from scmd.vocabulary.configuration import ServiceConfig
from scmd.vocabulary.names import name_key
from scmd.vocabulary.service import GROUP_PREFIX, ServiceState

_Members = dict[ServiceId, ServiceRecord]


class DependencyIndex:
    """Groups and their members, targets and those who name them; kept by `database`."""

    def __init__(self) -> None:
        self._groups: dict[str, _Members] = {}
        self._named_by: dict[str, _Members] = {}

    def add(self, record: ServiceRecord) -> None:
        config = record.config
        if config.load_order_group:
            self._groups.setdefault(name_key(config.load_order_group), {})[record.id] = record
        for target in config.dependencies:
            self._named_by.setdefault(name_key(target), {})[record.id] = record

    def remove(self, record: ServiceRecord) -> None:
        """Undo `add`; to be called before the record's configuration changes."""
        config = record.config
        if config.load_order_group:
            _discard(self._groups, name_key(config.load_order_group), record.id)
        for target in config.dependencies:
            _discard(self._named_by, name_key(target), record.id)

    def members(self, group: str) -> list[ServiceRecord]:
        """The services of a load-order group, by record number."""
        found = self._groups.get(name_key(group), {})
        return [found[id] for id in sorted(found)]

    def has_group(self, group: str) -> bool:
        return name_key(group) in self._groups

    def direct_dependents(self, record: ServiceRecord) -> list[ServiceRecord]:
        """Those that name this service or its group, by record number; never itself."""
        # A key name may begin with `+`; what names it then means the group.
        found = {} if is_group(record.key) else dict(self._named_by.get(record.key, {}))
        group = record.config.load_order_group
        if group:
            found.update(self._named_by.get(GROUP_PREFIX + name_key(group), {}))
        found.pop(record.id, None)
        return [found[id] for id in sorted(found)]

    def dependents(self, record: ServiceRecord) -> list[ServiceRecord]:
        """Direct and indirect dependents, each before everything that it needs.

        That is the order in which to stop them ([MS-SCMR] 3.1.4.13).
        """
        finished: list[ServiceRecord] = []
        seen = {record.id}
        path: list[Iterator[ServiceRecord]] = [iter(self.direct_dependents(record))]
        owners: list[ServiceRecord] = []
        while path:
            following = next((r for r in path[-1] if r.id not in seen), None)
            if following is not None:
                seen.add(following.id)
                owners.append(following)
                path.append(iter(self.direct_dependents(following)))
                continue
            path.pop()
            if owners:
                finished.append(owners.pop())
        return finished

    def has_active_dependent(self, record: ServiceRecord) -> bool:
        """Whether any direct dependent is not STOPPED, so that a stop is refused with 1051.

        An indirect one is active only while the direct one between them is, or has broken
        off; the latter does not need this service any more.
        """
        return any(
            dependent.status.state != ServiceState.STOPPED
            for dependent in self.direct_dependents(record)
        )


def _discard(index: dict[str, _Members], key: str, id: ServiceId) -> None:
    members = index.get(key)
    if members is not None:
        members.pop(id, None)
        if not members:
            del index[key]


def is_group(dependency: str) -> bool:
    return dependency.startswith(GROUP_PREFIX)


def group_of(dependency: str) -> str:
    return dependency[len(GROUP_PREFIX) :]


def closes_cycle(
    config: ServiceConfig,
    by_key: Callable[[str], Iterable[ServiceConfig]],
    members: Callable[[str], Iterable[ServiceConfig]],
) -> bool:
    """Whether a service with this configuration would need itself, at any remove.

    `by_key` and `members` give the other services' configurations, those that they are
    about to have included; what they say of this service itself is not looked at.
    """
    own_key = name_key(config.name)
    own_group = name_key(config.load_order_group)
    seen: set[str] = set()
    todo = [name_key(target) for target in config.dependencies]
    while todo:
        target = todo.pop()
        if target in seen:
            continue
        seen.add(target)
        if target == own_key or (own_group and target == GROUP_PREFIX + own_group):
            return True
        if is_group(target):
            todo += [name_key(member.name) for member in members(group_of(target))]
            continue
        for found in by_key(target):
            todo += [name_key(following) for following in found.dependencies]
    return False


def on_cycles(configs: Iterable[ServiceConfig]) -> frozenset[str]:
    """The name keys of services on a dependency cycle, or on a way from one cycle to another.

    Groups count as what stands between their dependents and their members. Whoever is not
    on a cycle has, seen from one side, only finished neighbours at some time, and is taken
    away then.
    """
    needs: dict[str, set[str]] = {}
    for config in configs:
        if not config.dependencies:
            continue  # An end from the beginning.
        key = name_key(config.name)
        needs.setdefault(key, set()).update(name_key(name) for name in config.dependencies)
        if config.load_order_group:
            needs.setdefault(GROUP_PREFIX + name_key(config.load_order_group), set()).add(key)
    left = _without_ends(_without_ends(needs))
    return frozenset(key for key in left if not is_group(key))


def _without_ends(edges: dict[str, set[str]]) -> dict[str, set[str]]:
    """Take away, again and again, what has no outgoing edge; the rest with its edges reversed."""
    nodes = edges.keys()
    targets = {key: others & nodes for key, others in edges.items()}
    reverse: dict[str, set[str]] = {}
    for key, others in targets.items():
        for other in others:
            reverse.setdefault(other, set()).add(key)
    ends = [key for key, others in targets.items() if not others]
    while ends:
        end = ends.pop()
        del targets[end]
        for key in reverse.pop(end, ()):
            targets[key].discard(end)
            if not targets[key]:
                ends.append(key)
    return {key: {other for other in reverse.get(key, ()) if other in targets} for key in targets}
