"""What a policy engine answers is a decision of exactly this shape, or no decision at all."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import Code, Unavailable
from gateway.core.policy import Decision, Effect, Severity, Verdict

SCHEMA = Path(__file__).parents[3] / "policies" / "schemas" / "decision.json"
VALID = jsonschema_rs.validator_for(json.loads(SCHEMA.read_text())).is_valid

FULL: dict[str, Any] = {
    "effect": "allow",
    "reasons": [
        {
            "rule": "pii.mask",
            "code": "personal_data",
            "message": {"en": "x", "fr": "y"},
            "severity": "high",
            "facts": {"count": 1},
        }
    ],
    "obligations": [
        {"id": "mask", "params": {"labels": ["A"]}, "rule": "pii.mask"},
        {"id": "mask", "params": {"labels": ["B"]}, "rule": "other"},
    ],
    "observed": [{"rule": "r", "would": "deny"}],
    "overridden": [{"rule": "r", "by": "e"}],
}


def paths(value: Any, here: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every place in a JSON value."""
    inside: Iterable[tuple[str | int, Any]] = ()
    if isinstance(value, dict | list):
        inside = value.items() if isinstance(value, dict) else enumerate(value)
    return [here, *(path for key, item in inside for path in paths(item, (*here, key)))]


def at(value: Any, path: tuple[str | int, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


def test_a_full_answer_is_read() -> None:
    verdict = Verdict.parse(FULL)
    assert verdict.effect is Effect.ALLOW
    assert verdict.reasons[0].severity is Severity.HIGH
    assert json.loads(msgspec.json.encode(verdict)) == FULL
    assert VALID(FULL)


def test_the_first_obligation_of_a_name_is_found() -> None:
    decision = Decision("dec_1", "sha256:1", Verdict.parse(FULL))
    assert decision.obligation("mask") == decision.obligations[0]
    assert decision.obligation("screen") is None


# Free in the schema as in the code: what facts and params hold, and the words of a message.
FREE = {"facts", "params", "message"}
PLACES = [path for path in paths(FULL) if not any(key in FREE for key in path[:-1])]
JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3),
    st.lists(st.integers(), max_size=2), st.dictionaries(st.text(max_size=3), st.integers()),
)  # fmt: skip


@given(st.sampled_from(PLACES), JUNK)
def test_another_shape_is_an_error_wherever_it_is(path: tuple[str | int, ...], junk: Any) -> None:
    """Parsing never accepts what the schema refuses."""
    answer = copy.deepcopy(FULL)
    if path:
        at(answer, path[:-1])[path[-1]] = junk
    else:
        answer = junk
    with suppress(Unavailable):
        Verdict.parse(answer)
        assert VALID(json.loads(json.dumps(answer)))


@pytest.mark.parametrize("path", [p for p in PLACES if p and isinstance(p[-1], str)], ids=str)
def test_a_missing_member_is_an_error(path: tuple[str | int, ...]) -> None:
    answer = copy.deepcopy(FULL)
    del at(answer, path[:-1])[path[-1]]
    assert not VALID(answer)
    with pytest.raises(Unavailable):
        Verdict.parse(answer)


@pytest.mark.parametrize("path", [(), ("reasons", 0), ("obligations", 0), ("observed", 0)], ids=str)
def test_an_unknown_member_is_an_error_and_never_ignored(path: tuple[str | int, ...]) -> None:
    answer = copy.deepcopy(FULL)
    at(answer, path)["more"] = 1
    assert not VALID(answer)
    with pytest.raises(Unavailable):
        Verdict.parse(answer)


def test_an_undefined_answer_is_an_error() -> None:
    with pytest.raises(Unavailable) as refused:
        Verdict.parse(None)
    assert refused.value.code is Code.POLICY_ERROR
