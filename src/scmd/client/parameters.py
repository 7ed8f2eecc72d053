"""A service's own values as a dictionary: `service.parameters["Port"] = 8080`.

Values come out as Python has them (str, int, bytes, a tuple of str) and go in with the registry
type that fits best; `typed` keeps the registry's own type.
"""

from __future__ import annotations

from collections.abc import MutableMapping

from scmd.client.management import query_parameters, set_parameters
from scmd.vocabulary.names import name_key
from scmd.vocabulary.registry import RegistryValue
from scmd.vocabulary.service import ServiceAccess

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import ItemsView, Iterator, Mapping, Sequence, ValuesView
    from typing import Any

    from scmd.client.service import Service

    Data = str | int | bytes | Sequence[str] | RegistryValue


class ServiceParameters(MutableMapping[str, "Any"]):
    """Names compare as the registry's do, whatever their case. Each use is one call."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def typed(self) -> dict[str, RegistryValue]:
        """Every value with its registry type, in one call."""
        service = self._service
        with service.opened(ServiceAccess.QUERY_CONFIG) as handle:
            return query_parameters(service.scm.calls, handle)

    def change(self, values: Mapping[str, Data | None]) -> None:
        """Write all of these values or none; None deletes one."""
        service = self._service
        changes = {
            name: None if data is None else registry_value(data) for name, data in values.items()
        }
        with service.opened(ServiceAccess.CHANGE_CONFIG) as handle:
            set_parameters(service.scm.calls, handle, changes)

    def update(self, values: Mapping[str, Data] = {}, /, **more: Data) -> None:  # type: ignore[override] # narrower on purpose
        """As a dictionary's, in one change."""
        self.change({**values, **more})

    def __getitem__(self, name: str) -> Any:
        key = name_key(name)
        for known, value in self.typed().items():
            if name_key(known) == key:
                return value.data
        raise KeyError(name)

    def __setitem__(self, name: str, data: Data) -> None:
        self.change({name: data})

    def __delitem__(self, name: str) -> None:
        """KeyError: there is no such value."""
        key = name_key(name)
        for known in self.typed():
            if name_key(known) == key:
                self.change({known: None})
                return
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.typed())

    def __len__(self) -> int:
        return len(self.typed())

    def items(self) -> ItemsView[str, Any]:
        """All names and data, in one call."""
        return {name: value.data for name, value in self.typed().items()}.items()

    def values(self) -> ValuesView[Any]:
        """All data, in one call."""
        return {name: value.data for name, value in self.typed().items()}.values()

    def __repr__(self) -> str:
        return f"<parameters of {self._service.name!r}>"


def registry_value(data: Data) -> RegistryValue:
    if isinstance(data, RegistryValue):
        return data
    if isinstance(data, (str, int, bytes)):
        return RegistryValue.of(data)
    return RegistryValue.of(tuple(data))
