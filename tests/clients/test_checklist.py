"""Every check has tests that are there, or a reason why not."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache

import pytest

from tests.clients.checklist import CHECKS
from tests.clients.fleet import ROOT

NUMBERS = [f"C{number:02}" for number in range(1, 45)]
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
NAMED = re.compile(r"(?<![a-z0-9])c\d\d(?![a-z0-9])")


@cache
def collected(file: str) -> frozenset[str]:
    """The tests of a file, as pytest names them, without their parameters."""
    return frozenset(f"{file}::{name}" for name in _tests(ast.parse((ROOT / file).read_text())))


def _tests(within: ast.Module | ast.ClassDef) -> Iterator[str]:
    for node in within.body:
        if isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            yield from (f"{node.name}::{name}" for name in _tests(node))
        if isinstance(node, _FUNCTIONS) and node.name.startswith("test_"):
            yield node.name


def test_no_check_is_forgotten() -> None:
    assert list(CHECKS) == NUMBERS


@pytest.mark.parametrize("number", NUMBERS)
def test_a_check_has_tests_or_a_reason(number: str) -> None:
    check = CHECKS[number]
    assert check.tests or check.open
    assert len(set(check.tests)) == len(check.tests)
    for words in filter(None, (check.what, check.open)):
        assert words.endswith("."), words


@pytest.mark.parametrize("number", NUMBERS)
def test_its_tests_are_there(number: str) -> None:
    for test in CHECKS[number].tests:
        file = test.partition("::")[0]
        assert (ROOT / file).is_file(), test
        assert collected(file) if test == file else test in collected(file), test


def test_a_test_is_named_for_a_check_that_there_is() -> None:
    files = [path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("test_*.py")]
    found = {
        number
        for file in files
        if "node_modules" not in file
        for test in collected(file)
        for number in NAMED.findall(test.rpartition("::")[2].replace("_", " "))
    }
    assert len(found) > len(NUMBERS) / 2
    assert found <= {number.lower() for number in NUMBERS}
