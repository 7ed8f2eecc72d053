"""What the package and its build promise: the unit file, the pins, the fragments."""

from __future__ import annotations

import configparser
import re
import tomllib
from importlib import resources
from pathlib import Path

import pytest

import scmd

TOP = Path(__file__).resolve().parents[2]


def pins(name: str) -> dict[str, str]:
    """Version by package; each with at least one hash."""
    text = (TOP / "requirements" / f"{name}.txt").read_text()
    found: dict[str, str] = {}
    for requirement in text.replace("\\\n", " ").splitlines():
        if not requirement.startswith("#"):
            match = re.fullmatch(r"(\S+)==(\S+)(\s+--hash=sha256:[0-9a-f]{64})+", requirement)
            assert match, requirement
            found[match[1]] = match[2]
    return found


def test_the_unit_file_is_in_the_package_and_says_what_the_keeper_needs() -> None:
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign] # as documented
    parser.read_string(resources.files("scmd").joinpath("data/scmd.service").read_text())
    assert (
        dict(parser["Service"]).items()
        >= {
            "Type": "notify",
            "NotifyAccess": "main",
            "ExecStart": "scmd run",
            "Delegate": "yes",
            "KillMode": "mixed",
            "IgnoreSIGPIPE": "no",
        }.items()
    )
    assert parser["Install"]["WantedBy"] == "multi-user.target"


def test_the_version_is_one() -> None:
    project = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]
    assert project["version"] == scmd.__version__


def test_what_runs_is_pinned_alike_for_development() -> None:
    assert pins("run").items() <= pins("dev").items()


def test_dependencies_and_build_backend_are_pinned() -> None:
    project = tomllib.loads((TOP / "pyproject.toml").read_text())
    wanted = project["project"]["dependencies"] + project["build-system"]["requires"]
    assert {re.split(r"[^\w-]", each)[0] for each in wanted} == set(pins("run"))


@pytest.mark.parametrize("file", sorted((TOP / "requirements").iterdir()), ids=lambda p: p.name)
def test_requirements_name_no_registry(file: Path) -> None:
    assert "//" not in file.read_text()


def test_fragments_have_names_that_can_be_collected() -> None:
    for path in (TOP / "changes").iterdir():
        assert path.name == "README.md" or re.fullmatch(
            r"\d+-[\w-]+\.(added|changed|fixed|removed)\.md", path.name
        )


def test_the_map_names_what_is_there() -> None:
    """Every file of the core, every folder, and no file that has gone."""
    page = (TOP / "docs" / "architecture.md").read_text()
    package = TOP / "src" / "scmd"
    names = {path.stem for path in (package / "core").glob("*.py")} - {"__init__"}
    folders = {path.parent.name for path in package.glob("*/__init__.py")}
    assert not [name for name in sorted(names | folders) if f"`{name}`" not in page]
    files = re.findall(r"`(\w+/\w+\.py)`", page)
    assert files
    assert not [file for file in files if not (package / file).exists()]


def test_the_simulations_page_names_what_is_there() -> None:
    """Each promise's checkers, and each breach that shows that they look."""
    page = (TOP / "docs" / "simulation.md").read_text()
    core = TOP / "tests" / "core"
    files = (*core.glob("test_*.py"), core / "mutations.py", core / "sabotage.py")
    breaches = "".join(path.stem + path.read_text() for path in files)
    rows = re.findall(r"^\| .* \| (`.*`) \| (.*) \|$", page, re.MULTILINE)
    assert len(rows) > 30
    for checkers, noticed in rows:
        for checker in re.findall(r"`(\w+)`", checkers):
            assert (TOP / "src" / "scmd" / "testing" / f"{checker}.py").exists(), checker
        for breach in noticed.replace("`", "").split(", "):
            assert breach in breaches, breach
