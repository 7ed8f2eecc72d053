from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from scmd.examples.catalog import EXAMPLES, FOLDERS, Example, hints, prepare
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
