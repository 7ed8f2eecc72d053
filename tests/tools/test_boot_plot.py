"""scmd boot-plot: the critical path, the picture, and the command."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from scmd.client.scm import Scm
from scmd.core.messages.effects import LaunchProcess
from scmd.core.messages.events import AutoStart, LaunchFailed
from scmd.tools.boot_plot import Start, critical_path, read, summary
from scmd.tools.boot_svg import draw
from scmd.vocabulary.errors import Error
from tests.client.world import World
from tests.tools.conftest import Run

BASE = Start(name="Base", begun=0, ended=300)
QUICK = Start(name="Quick", group="Stores", begun=0, ended=10)
WEB = Start(name="Web", dependencies=("quick", "BASE"), begun=300, ended=500)
SHOP = Start(name="Shop", dependencies=("+stores",), begun=10, ended=400)
BROKEN = Start(name="Broken", dependencies=("Base",), ended=300, error=1068)
LATER = Start(name="Later", asked=500, begun=500, ended=700)
DELAYED = Start(name="Delayed", delayed=True, asked=120_700, begun=120_700, ended=120_800)
STUCK = Start(name="Stuck", begun=0)


@pytest.mark.parametrize(
    ("starts", "path"),
    [
        ([BASE], [BASE]),
        ([BASE, QUICK, WEB, SHOP, BROKEN], [BASE, WEB]),
        ([QUICK, SHOP, BROKEN], [QUICK, SHOP]),
        ([BASE, QUICK, WEB, LATER, DELAYED, STUCK], [BASE, WEB, LATER]),
        ([DELAYED], [DELAYED]),
        ([STUCK, BROKEN], []),
        ([], []),
    ],
)
def test_the_critical_path(starts: list[Start], path: list[Start]) -> None:
    assert critical_path(starts) == path


def test_a_path_ends_when_everything_took_no_time() -> None:
    one = Start(name="One", dependencies=("Two",), begun=0, ended=0)
    two = Start(name="Two", dependencies=("One",), begun=0, ended=0)
    assert len(critical_path([one, two])) == 1


def test_the_summary_is_a_line() -> None:
    starts = [BASE, WEB, BROKEN, STUCK]
    assert summary(starts, [BASE, WEB]) == (
        "4 services, 1 failed, 1 not up yet; critical path: Base (300 ms) > Web (500 ms)"
    )
    assert summary([STUCK], []) == "1 services, 1 not up yet"


def test_the_picture_is_well_formed_and_marks_the_path() -> None:
    odd = Start(name='<&"\x1b\ud800' + "x" * 250, begun=5, ended=6)
    starts = [BASE, WEB, BROKEN, STUCK, DELAYED, odd]
    root = ElementTree.fromstring(draw(starts, [BASE, WEB], "title <&>").encode())
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"Base", "Web", "Broken", "Stuck", "Delayed", "title <&>"} <= set(texts)
    assert "500 ms (waited 300, started in 200)" in texts
    assert "300 ms, error 1068" in texts
    classes = [element.get("class") for element in root.iter("{http://www.w3.org/2000/svg}rect")]
    assert classes.count("start critical") == 2
    assert {"wait", "failed", "pending", "start"} <= set(classes)


def test_the_command_draws_what_has_happened(
    world: World, scm: Scm, run: Run, tmp_path: Path
) -> None:
    assert run("boot-plot", str(tmp_path / "none.svg")).status == 1
    scm.create("Web", "/usr/bin/web", start="auto")
    effects = world.scm.handle(AutoStart(), 1_000)
    (launch,) = [effect for effect in effects if isinstance(effect, LaunchProcess)]
    world.scm.handle(LaunchFailed(launch.launch, Error.FILE_NOT_FOUND, ""), 1_040)
    outcome = run("boot-plot", str(tmp_path / "boot.svg"))
    assert (outcome.status, outcome.out) == (0, "1 services, 1 failed\n")
    assert "40 ms (waited 0, started in 40), error 2" in (tmp_path / "boot.svg").read_text()
    assert run("boot-plot", "-").out.startswith("<?xml")
    assert run("boot-plot").status == 2
    refused = run("boot-plot", "/no/such/folder/boot.svg")
    assert (refused.status, "No such file" in refused.err) == (1, True)


def test_lines_of_newer_versions_are_read() -> None:
    line = (
        b'{"id":1,"name":"A","group":"","dependencies":["B"],"delayed":false,"asked":0,'
        b'"begun":null,"ended":null,"error":0,"more":1}\n'
    )
    assert read(line) == [Start(name="A", dependencies=("B",))]
