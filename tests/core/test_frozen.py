"""`core.frozen` makes what `@dataclass(frozen=True, slots=True)` would."""

from __future__ import annotations

import pickle
from copy import deepcopy
from dataclasses import FrozenInstanceError, dataclass, fields, replace

import pytest

from scmd.core.frozen import frozen


@frozen
class Base:
    number: int


@frozen
class Message(Base):
    text: str
    flag: bool = False
    parts: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Ordinary:
    number: int
    text: str
    flag: bool = False
    parts: tuple[int, ...] = ()


@frozen
class Long(Base):
    """More fields than are set one by one."""

    a: int = 1
    b: int = 2
    c: int = 3
    d: int = 4
    e: int = 5


@frozen
class Empty:
    pass


def test_fields_are_set_by_position_and_by_name() -> None:
    message = Message(1, text="a", flag=True)
    assert (message.number, message.text, message.flag, message.parts) == (1, "a", True, ())
    assert [each.name for each in fields(Message)] == [each.name for each in fields(Ordinary)]
    assert Message.__match_args__ == Ordinary.__match_args__


def test_nothing_can_be_set_afterwards() -> None:
    message = Message(1, "a")
    for name in ("number", "text", "other"):
        with pytest.raises(FrozenInstanceError):
            setattr(message, name, 2)
    with pytest.raises(FrozenInstanceError):
        del message.text
    assert not hasattr(message, "__dict__")


def test_one_of_many_fields_is_as_the_others() -> None:
    long = Long(7, 8, d=9)
    assert (long.number, long.a, long.b, long.c, long.d, long.e) == (7, 8, 2, 3, 9, 5)
    assert type(long) is Long
    assert isinstance(long, Base)
    assert long == replace(long) == pickle.loads(pickle.dumps(long)) != replace(long, e=6)
    with pytest.raises(FrozenInstanceError):
        setattr(long, "a", 2)  # noqa: B010 # mypy knows that it cannot be assigned
    with pytest.raises(FrozenInstanceError):
        del long.a


def test_equality_hash_representation_and_replacement() -> None:
    first, second = Message(1, "a", parts=(2,)), Message(1, "a", parts=(2,))
    assert first == second != replace(first, number=2)
    assert repr(first) == "Message(number=1, text='a', flag=False, parts=(2,))"
    assert hash(first) == hash(second)
    assert Empty() == Empty()
    assert hash(Empty()) == hash(Empty())
    assert repr(Empty()) == "Empty()"


def test_what_is_of_another_class_is_another_message() -> None:
    @frozen
    class Other(Base):
        text: str

    @frozen
    class Longer(Message):
        more: int = 0

    assert Message(1, "a") != Longer(1, "a")
    assert Longer(1, "a") != Longer(1, "a", more=1)
    assert Base(1) != Other(1, "a")


@pytest.mark.parametrize("message", [Empty(), Base(1), Message(1, "a", parts=(2,))])
def test_it_can_be_copied(message: object) -> None:
    assert deepcopy(message) == message
    assert pickle.loads(pickle.dumps(message)) == message


@pytest.mark.parametrize("arguments", [(), (1,), (1, "a", True, (), 5)])
def test_missing_and_superfluous_arguments_are_errors(arguments: tuple[object, ...]) -> None:
    with pytest.raises(TypeError, match=r"Message\.__init__\(\)"):
        Message(*arguments)  # type: ignore[arg-type] # what is tested
    with pytest.raises(TypeError, match="unexpected keyword argument"):
        Message(1, "a", other=2)  # type: ignore[call-arg] # what is tested
