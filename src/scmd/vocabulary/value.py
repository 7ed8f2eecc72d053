"""Immutable values with named fields, cheap enough for a command that lives for 20 ms.

What a frozen, slotted, keyword-only dataclass gives, without `dataclasses` and the
`inspect` it imports: fields come from the annotations, defaults from the class body. A class
that is used much gets an `__init__` of its own, which a short command does not wait for.
The core's own values are msgspec's structs; what `sc`, `net` and the SDK import are these.
"""

from __future__ import annotations

from operator import attrgetter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, ClassVar, Self, dataclass_transform
else:

    def dataclass_transform(**_):
        return lambda cls: cls


SECRETS = ("password",)
"""Fields that no representation shows."""
OFTEN = 64
"""How many values of a class are made before it gets its own `__init__`."""
FEW = 4
"""Fields."""


@dataclass_transform(kw_only_default=True, frozen_default=True)
class _ValueType(type):
    def __new__(
        mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **options: Any
    ) -> _ValueType:
        annotations = namespace.get("__annotations__", {})
        own = [field for field, kind in annotations.items() if not kind.startswith("ClassVar")]
        fields: list[str] = []
        defaults: dict[str, Any] = {}
        for base in bases:
            fields += [f for f in getattr(base, "_fields", ()) if f not in fields]
            defaults.update(getattr(base, "_defaults", {}))
        slots = [field for field in own if field not in fields]
        defaults.update({field: namespace.pop(field) for field in own if field in namespace})
        namespace["_fields"] = (*fields, *slots)
        namespace["_defaults"] = defaults
        namespace.setdefault("__slots__", tuple(slots))
        if bases:
            # A base's own would not know the new fields.
            namespace.setdefault("__init__", Value.__init__)
        made = super().__new__(mcs, name, bases, namespace, **options)
        # Setting a slot by its descriptor passes by __setattr__, and is faster for it.
        made._setters = tuple((field, getattr(made, field).__set__) for field in fields + slots)  # type: ignore[attr-defined] # declared in Value
        made._made = [0]  # type: ignore[attr-defined] # declared in Value
        if fields or slots:
            made._values = attrgetter(*fields, *slots)  # type: ignore[attr-defined] # declared in Value
        return made


class Value(metaclass=_ValueType):
    """Base of immutable values; subclasses must use `from __future__ import annotations`."""

    _fields: ClassVar[tuple[str, ...]]
    _defaults: ClassVar[Mapping[str, Any]]
    _setters: ClassVar[tuple[tuple[str, Callable[[object, Any], None]], ...]]
    _made: ClassVar[list[int]]
    _values: ClassVar[Any]
    """Gives all of them, one alone without a tuple around it."""

    def __init__(self, **values: Any) -> None:
        self._made[0] += 1
        if self._made[0] == OFTEN and self._fields:
            kind = type(self)
            kind.__init__ = _initializer(kind)  # type: ignore[method-assign] # the same, spelled out
        if len(values) != len(self._fields):
            values = {**self._defaults, **values}
            if len(values) != len(self._fields):
                raise TypeError(self._mismatch(values))
        try:
            for field, set_field in self._setters:
                set_field(self, values[field])
        except KeyError as error:
            raise TypeError(self._mismatch({**self._defaults, **values})) from error

    def _mismatch(self, values: Mapping[str, Any]) -> str:
        for field in self._fields:
            if field not in values:
                return f"{type(self).__name__} needs a value for {field!r}"
        unknown = next(field for field in values if field not in self._fields)
        return f"{type(self).__name__} has no field {unknown!r}"

    def __setattr__(self, field: str, value: Any) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable; use replace()")

    def __delattr__(self, field: str) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable; use replace()")

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if type(other) is not type(self):
            return NotImplemented
        return not self._fields or bool(self._values(self) == self._values(other))

    def __hash__(self) -> int:
        return hash((type(self), *(getattr(self, f) for f in self._fields)))

    def __repr__(self) -> str:
        shown = (f"{f}={'...' if f in SECRETS else repr(getattr(self, f))}" for f in self._fields)
        inner = ", ".join(shown)
        return f"{type(self).__name__}({inner})"

    def __reduce__(self) -> Any:
        return (_rebuild, (type(self), self.as_dict()))

    def as_dict(self) -> dict[str, Any]:
        """The fields and their values, in declaration order; not recursive."""
        if len(self._fields) < 2:
            return {field: getattr(self, field) for field in self._fields}
        return dict(zip(self._fields, self._values(self), strict=True))

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed; TypeError for a field that does not exist."""
        return type(self)(**{**self.as_dict(), **changes})


def _initializer(kind: type[Value]) -> Callable[..., None]:
    """An `__init__` that fills the slots of this class.

    A few are set by their descriptors. With more it is faster to let the value be of another
    class meanwhile, to whose instances can be assigned as to any others.
    """
    fields, defaults = kind._fields, kind._defaults
    names: dict[str, Any] = {f"_default_{field}": value for field, value in defaults.items()}
    if len(fields) <= FEW:
        names.update({f"_set_{field}": getattr(kind, field).__set__ for field in fields})
        lines = [f"_set_{field}(self, {field})" for field in fields]
    else:
        names["_open"] = _open_twin(kind)
        names["_set_class"] = object.__dict__["__class__"].__set__
        lines = ["_kind = self.__class__", "_set_class(self, _open)"]
        lines += [f"self.{field} = {field}" for field in fields]
        lines.append("self.__class__ = _kind")
    parameters = [f"{field}=_default_{field}" if field in defaults else field for field in fields]
    exec(f"def __init__(self, *, {', '.join(parameters)}):\n " + "\n ".join(lines), names)
    made: Callable[..., None] = names["__init__"]
    made.__qualname__ = f"{kind.__qualname__}.__init__"
    return made


def _open_twin(kind: type) -> type:
    """A class of the same layout, so that instances can be of either, which is not immutable."""
    namespace = {
        "__slots__": kind.__dict__["__slots__"],
        "__setattr__": object.__setattr__,
        "__delattr__": object.__delattr__,
    }
    # Without what a metaclass of our own does.
    return type.__new__(type(kind), f"Open{kind.__name__}", kind.__bases__, namespace)


def _rebuild(cls: type[Value], values: dict[str, Any]) -> Value:
    return cls(**values)
