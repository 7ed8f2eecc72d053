"""What install records, and that the recorded command line runs the service."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import scmd
from scmd.sdk.context import ServiceContext
from scmd.sdk.registration import NotInstallable, image_path
from scmd.vocabulary.command_line import split_command_line
from scmd.vocabulary.service import Control as Code
from tests.sdk.fake_scm import PATIENCE_S, SubProcess

PACKAGE = """
import scmd

@scmd.service("Clock")
def clock(svc):
    svc.wait()

class Second(scmd.Service):
    name = "Second"
    def run(self, svc):
        svc.wait()
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An importable module in a package in a folder with a blank in its name."""
    folder = tmp_path / "my services"
    (folder / "timekeeping").mkdir(parents=True)
    (folder / "timekeeping" / "__init__.py").touch()
    (folder / "timekeeping" / "clocks.py").write_text(PACKAGE)
    monkeypatch.syspath_prepend(folder)
    for name in ("timekeeping", "timekeeping.clocks"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    importlib.invalidate_caches()
    return str(folder)


def test_a_module_is_recorded_with_its_folder(package: str) -> None:
    clocks = importlib.import_module("timekeeping.clocks")
    expected = [os.path.abspath(sys.executable), "-m", "scmd.sdk.host"]
    expected += ["--folder", package, "--module", "timekeeping.clocks"]
    line = image_path([clocks.clock, clocks.Second()])
    assert split_command_line(line) == [
        *expected,
        "--attribute",
        "clock",
        "--attribute",
        "Second",
    ]


def test_the_recorded_line_runs_in_any_environment(
    package: str, program: Callable[..., SubProcess]
) -> None:
    clocks = importlib.import_module("timekeeping.clocks")
    arguments = split_command_line(image_path([clocks.clock, clocks.Second()]))[1:]
    scm = program("", *arguments)
    assert scm.welcome().table == ("Clock", "Second")
    scm.start("Clock")
    scm.control(Code.STOP)
    assert scm.finish()[0] == 0


def printed_by(tmp_path: Path, text: str, *arguments: str) -> list[str]:
    (tmp_path / "clock.py").write_text(text)
    output = subprocess.check_output(
        [sys.executable, *arguments], cwd=tmp_path, text=True, timeout=PATIENCE_S
    )
    return split_command_line(output.strip())


SCRIPT = PACKAGE + "\nfrom scmd.sdk.registration import image_path\nprint(image_path([clock]))\n"


def test_a_script_is_recorded_by_its_absolute_path(tmp_path: Path) -> None:
    words = printed_by(tmp_path, SCRIPT, "clock.py")
    assert words[3:] == ["--script", str(tmp_path / "clock.py"), "--attribute", "clock"]


def test_a_module_run_with_m_is_recorded_as_a_module(tmp_path: Path) -> None:
    words = printed_by(tmp_path, SCRIPT, "-m", "clock")
    folder = ["--folder", str(tmp_path), "--module", "clock"]
    assert words[3:] == [*folder, "--attribute", "clock"]


def test_what_cannot_be_found_again_is_refused() -> None:
    def waiting(svc: ServiceContext) -> None:
        svc.wait()

    with pytest.raises(NotInstallable, match="no attribute"):
        image_path([scmd.service("Local")(waiting)])
    waiting.__module__ = "no.such.module"
    with pytest.raises(NotInstallable, match="not loaded"):
        image_path([scmd.service("Local")(waiting)])
