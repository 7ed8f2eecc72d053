"""Value: immutable, typed by its annotations, cheap."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import pytest

from scmd.vocabulary.configuration import FailureAction, FailureActions, ServiceConfig
from scmd.vocabulary.service import ActionType
from scmd.vocabulary.value import OFTEN, Value


class Point(Value):
    x: int
    y: int = 2


class Named(Point):
    name: str
    y: int = 3


def test_fields_are_set_by_keyword_and_defaults_fill_the_rest() -> None:
    assert (Point(x=1).x, Point(x=1).y) == (1, 2)
    assert Point(x=1, y=5).as_dict() == {"x": 1, "y": 5}


def test_a_subclass_adds_fields_and_may_change_defaults() -> None:
    named = Named(x=1, name="a")
    assert named.as_dict() == {"x": 1, "y": 3, "name": "a"}
    assert Point(x=1).y == 2


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "Point needs a value for 'x'"),
        ({"x": 1, "z": 1}, "Point has no field 'z'"),
        ({"y": 1, "z": 1}, "Point needs a value for 'x'"),
        ({"z": 1}, "Point needs a value for 'x'"),
    ],
)
def test_wrong_fields_are_named(values: dict[str, int], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        Point(**values)
    with pytest.raises(TypeError):
        Point(x=1).replace(z=1)


def test_a_class_that_is_used_much_makes_the_same_values() -> None:
    class Often(Value):
        x: int
        y: int = 2

    first = [Often(x=number) for number in range(2 * OFTEN)]

    class More(Often):
        z: int
        y: int = 3
        a: int = 4
        b: int = 5

    many = [More(x=1, z=number) for number in range(2 * OFTEN)]
    assert [(value.x, value.y) for value in first] == [(n, 2) for n in range(2 * OFTEN)]
    assert Often.__init__ is not Value.__init__, "it has none of its own"
    assert More.__init__ is not Value.__init__, "it has none of its own"
    assert many[4].as_dict() == {"x": 1, "y": 3, "z": 4, "a": 4, "b": 5}
    assert type(many[-1]) is More
    assert many[-1] == many[-1].replace() != many[-2]
    assert first[1] == Often(x=1).replace() != Often(x=1, y=5)
    with pytest.raises(TypeError, match=r"Often\.__init__\(\) missing .* 'x'"):
        Often()  # type: ignore[call-arg] # what is tested
    with pytest.raises(TypeError, match="unexpected keyword argument 'z'"):
        Often(x=1, z=1)  # type: ignore[call-arg] # what is tested
    with pytest.raises(AttributeError, match="immutable"):
        first[0].x = 2  # type: ignore[misc] # what is tested


def test_nothing_can_be_changed() -> None:
    point = Point(x=1)
    with pytest.raises(AttributeError, match="immutable"):
        point.x = 2  # type: ignore[misc] # that is what is tested
    with pytest.raises(AttributeError, match="immutable"):
        del point.x
    with pytest.raises(AttributeError):
        point.other = 2
    assert not hasattr(point, "__dict__")


def test_equality_and_hash_follow_the_fields_and_the_class() -> None:
    assert Point(x=1) == Point(x=1, y=2)
    assert hash(Point(x=1)) == hash(Point(x=1, y=2))
    assert Point(x=1) != Point(x=2)
    assert Point(x=1, y=3) != Named(x=1, name="")
    assert Point(x=1) != (1, 2)


def test_replace_copies() -> None:
    point = Point(x=1)
    assert point.replace(y=7) == Point(x=1, y=7)
    assert point == Point(x=1)


def test_repr_copy_and_pickle_keep_everything() -> None:
    actions = FailureActions(
        reset_period_s=5, actions=(FailureAction(type=ActionType.RESTART, delay=1),)
    )
    config = ServiceConfig(name="Web", failure_actions=actions)
    assert pickle.loads(pickle.dumps(config)) == config
    assert copy.deepcopy(config) == config
    assert repr(Point(x=1)) == "Point(x=1, y=2)"


def test_the_vocabulary_imports_nothing_heavy() -> None:
    program = (
        "import sys\n"
        "from scmd.vocabulary import command_line, configuration, errors, names, registry\n"
        "from scmd.vocabulary import service, status, value\n"
        "heavy = {'dataclasses', 'typing', 'logging', 'inspect', 're', 'argparse', 'asyncio'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{program}"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == "[]"
