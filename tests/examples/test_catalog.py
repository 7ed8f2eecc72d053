from __future__ import annotations

import socket
from importlib import import_module
from pathlib import Path

import pytest

from scmd.examples.catalog import EXAMPLES, FOLDERS, Example, hints, prepare, web_port
from scmd.vocabulary.registry import RegistryValue


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_each_example_is_declared_under_its_name(example: Example) -> None:
    service = example.service()
    assert service.name == example.name
    assert service.display
    assert service.description


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_parameters_are_documented_registry_values_within_the_folder(
    example: Example, tmp_path: Path
) -> None:
    prepare(str(tmp_path))
    documentation = import_module(example.module).__doc__
    for name, data in example.parameters(str(tmp_path)).items():
        RegistryValue.of(data)
        assert name in (documentation or "")
        if isinstance(data, str):
            assert Path(data).parent == tmp_path
            assert Path(data).is_dir()


def test_examples_stay_short() -> None:
    for example in EXAMPLES:
        source = Path(import_module(example.module).__file__ or "")
        assert len(source.read_text().splitlines()) < 200


def test_the_folders_are_made_with_something_in_them(tmp_path: Path) -> None:
    prepare(str(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(FOLDERS)
    assert list((tmp_path / "left").iterdir())
    assert all(line.isprintable() for line in hints(str(tmp_path)))


def test_the_web_api_gets_another_port_where_its_own_is_taken() -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", 8180))
            taken.listen()
        except OSError:
            # Somebody else has taken it, which serves as well.
            pass
        assert web_port.__wrapped__() not in (0, 8180)
