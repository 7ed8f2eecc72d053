"""The mutations of the core still fit it; whether its tests notice them is `scripts/mutants`'."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.core.mutations import CORE, MUTATIONS, Mutation

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_mutation_fits_once_and_leaves_a_program(mutation: Mutation) -> None:
    text = (ROOT / CORE / mutation.file).read_text()
    broken = mutation.applied_to(text)
    assert ast.dump(ast.parse(broken)) != ast.dump(ast.parse(text))


def test_a_mutation_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="0 times"):
        MUTATIONS[0].applied_to("")


def test_there_are_many_of_different_names() -> None:
    assert len({mutation.name for mutation in MUTATIONS}) == len(MUTATIONS) >= 25
