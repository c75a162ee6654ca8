"""What a record says of calls: decisions in the header, questions in a part."""

from __future__ import annotations

import orjson
import pytest

from gateway.adapters.packs import question_of
from gateway.core.call_records import MOST_CALLS, asked_of_calls, calls_judged
from gateway.core.calls import JudgedCall
from gateway.core.policy import Decision
from gateway.core.records import canonical
from tests.exchanges import allowing


def call(name: str, effect: str = "allow") -> JudgedCall:
    return JudgedCall(
        question_of({"tool_call": name}), Decision("dec_2", "sha256:1", allowing(effect=effect))
    )


def test_a_header_tells_each_decision() -> None:
    facts = calls_judged([call("look"), call("drop", "deny")])
    assert facts["tool_calls"] == [
        {"id": "dec_2", "revision": "sha256:1", "effect": "allow", "rules": [], "tool": "look"},
        {"id": "dec_2", "revision": "sha256:1", "effect": "deny", "rules": [], "tool": "drop"},
    ]
    assert facts["tool_calls_count"] == 2
    assert canonical(facts)
    assert calls_judged([]) == {}


@pytest.mark.parametrize("name", ["ann@example.org", "a b", "1st", "", "x" * 65, "é", "a\n"])
def test_what_is_no_name_stands_in_the_part_alone(name: str) -> None:
    one = call("look")
    one.question["context"]["tool_call"]["name"] = name
    assert calls_judged([one])["tool_calls"][0]["tool"] is None
    [told] = orjson.loads(asked_of_calls([one]))
    assert told["question"]["context"]["tool_call"]["name"] == name
    assert told["decision"]["effect"] == "allow"
    assert (told["id"], told["revision"]) == ("dec_2", "sha256:1")


def test_a_header_stays_small() -> None:
    facts = calls_judged([call("look")] * (MOST_CALLS + 5))
    assert len(facts["tool_calls"]) == MOST_CALLS
    assert facts["tool_calls_count"] == MOST_CALLS + 5
