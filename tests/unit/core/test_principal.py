"""What a key may call and use: patterns, matched whole and case by case."""

from __future__ import annotations

import pytest

from gateway.core.principal import Principal


def key(*patterns: str) -> Principal:
    return Principal("o", "t", "a", "k", scopes=patterns, models=patterns)


@pytest.mark.parametrize(
    ("patterns", "name", "matches"),
    [
        (("*",), "anything", True),
        ((), "anything", False),
        (("gpt-*",), "gpt-4o", True),
        (("gpt-*",), "my-gpt-4o", False),
        (("gpt-4o",), "gpt-4o-mini", False),
        (("GPT-*",), "gpt-4o", False),
        (("a", "b"), "b", True),
        (("chat.*",), "chat.completions.create", True),
        (("chat.*",), "models.list", False),
        (("gpt-?",), "gpt-4", True),
        (("",), "x", False),
    ],
)
def test_patterns(patterns: tuple[str, ...], name: str, matches: bool) -> None:
    assert key(*patterns).may_call(name) is matches
    assert key(*patterns).may_use(name) is matches


def test_a_key_is_without_limits_unless_told() -> None:
    principal = Principal("o", "t", "a", "k")
    assert (principal.limits.requests, principal.limits.tokens) == (None, None)
    assert principal.budget_id is None
