"""What is said about the keeper after an upgrade."""

from __future__ import annotations

from typing import Any

import pytest

from scmd.tools.upgrade import keeper


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"keeper_version": "0.4.0"}, "keeper 7"),
        ({"keeper_version": "0.3.0"}, "keeper 7 (0.3.0)"),
        ({"keeper_version": ""}, "keeper 7 (of an older version)"),
        ({}, "keeper 7 (of an older version)"),
    ],
)
def test_the_keeper_s_version_is_said_where_it_is_another_one(
    more: dict[str, Any], said: str
) -> None:
    assert keeper({"keeper_pid": 7, "version": "0.4.0", **more}) == said
