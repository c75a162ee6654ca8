"""The schemas, the Python types and Rego say the same about questions and decisions."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema_rs import Draft202012Validator

from gateway.adapters.opa_wasm import WasmPolicy
from gateway.adapters.packs import engine, load_pack, read_folder, well_formed
from gateway.core.errors import Unavailable
from gateway.core.policy import Effect, Severity, Verdict
from tests.contracts.policy_cases import questions, strange_questions
from tests.contracts.policy_server import ROOT

SCHEMAS = ROOT / "policies" / "schemas"
PACK = load_pack(read_folder(ROOT / "policies" / "packs" / "baseline"))
POLICY = WasmPolicy(engine().read_bytes(), PACK.data, PACK.revision)
DECISION = Draft202012Validator(orjson.loads((SCHEMAS / "decision.json").read_bytes()))
KNOWN = well_formed()

TEXT = st.sampled_from(["", "a", "ünï", "pii.mask"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(0, 1) | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=4,
)
OBJECT = st.dictionaries(TEXT, JSON, max_size=2)
REASON = st.fixed_dictionaries(
    {
        "rule": TEXT,
        "code": TEXT,
        "message": st.dictionaries(TEXT, TEXT, max_size=2),
        "severity": st.sampled_from([str(severity) for severity in Severity]),
        "facts": OBJECT,
    }
)
RESULT = st.fixed_dictionaries(
    {
        "effect": st.sampled_from([str(effect) for effect in Effect]),
        "reasons": st.lists(REASON, max_size=2),
        "obligations": st.lists(
            st.fixed_dictionaries({"id": TEXT, "params": OBJECT, "rule": TEXT}), max_size=2
        ),
        "observed": st.lists(st.fixed_dictionaries({"rule": TEXT, "would": TEXT}), max_size=2),
        "overridden": st.lists(st.fixed_dictionaries({"rule": TEXT, "by": TEXT}), max_size=2),
    }
)


@st.composite
def spoilt(draw: st.DrawFn) -> Any:
    """A result with one part lost, added or replaced."""
    result: Any = draw(RESULT)
    holder: Any = result
    key: Any = draw(st.sampled_from(sorted(result)))
    while isinstance(holder[key], dict | list) and holder[key] and draw(st.booleans()):
        holder = holder[key]
        key = draw(st.sampled_from(sorted(holder) if isinstance(holder, dict) else [0]))
    match draw(st.sampled_from(["lose", "add", "replace"])):
        case "lose":
            del holder[key]
        case "add" if isinstance(holder, dict):
            holder["unheard_of"] = draw(JSON)
        case _:
            holder[key] = draw(JSON)
    return result


def parses(result: object) -> bool:
    try:
        Verdict.parse(result)
    except Unavailable:
        return False
    return True


@given(RESULT)
def test_good_results_are_good_to_both(result: dict[str, Any]) -> None:
    assert DECISION.is_valid(result)
    assert parses(result)


@given(st.one_of(spoilt(), JSON))
def test_the_type_and_the_schema_of_a_decision_agree(result: object) -> None:
    assert parses(result) == DECISION.is_valid(result)


@given(questions())
async def test_what_the_library_answers_is_a_decision(question: dict[str, Any]) -> None:
    assert KNOWN(question)
    decision = await POLICY.decide(question)
    assert all(reason.message["en"] for reason in decision.verdict.reasons)


@given(strange_questions())
async def test_the_library_and_the_schema_of_a_question_agree(question: dict[str, Any]) -> None:
    decision = await POLICY.decide(question)
    malformed = "question_malformed" in {reason.code for reason in decision.verdict.reasons}
    assert KNOWN(question) != malformed
    assert not malformed or decision.effect is Effect.DENY


@pytest.mark.parametrize(
    ("time", "good"),
    [
        ("2026-01-01T00:00:00Z", True),
        ("2026-01-01T00:00:00+00:00", True),
        ("2026-01-01T00:00:00.1Z", True),
        ("2026-01-01T00:00:00.123456789+00:00", True),
        ("2026-01-01T00:00:00.1234567890Z", False),
        ("2026-01-01T00:00:00.Z", False),
        ("2026-01-01T00:00:00", False),
        ("2026-01-01T00:00:00+01:00", False),
        ("2026-01-01T00:00:00Z\n", False),
        ("2026-01-01t00:00:00z", False),
        ("2026-1-01T00:00:00Z", False),
        ("2026-01-01T00:00:0aZ", False),
        ("2026-01-01T00:00Z", False),
        ("2026-01-01 00:00:00Z", False),
        ("٢٠٢٦-01-01T00:00:00Z", False),
        ("", False),
        (None, False),
        (1767225600, False),
    ],
)
async def test_what_counts_as_a_time(time: object, good: bool) -> None:
    question = dict(SAMPLE, context={**SAMPLE["context"], "time": time})
    decision = await POLICY.decide(question)
    assert KNOWN(question) == good
    assert (decision.effect is Effect.ALLOW) == good


SAMPLE: dict[str, Any] = {
    "schema_version": 1,
    "subject": {
        "type": "app",
        "id": "shop-bot",
        "properties": {
            "org": "acme",
            "team": "support",
            "tags": ["customer-facing"],
            "roles": [],
            "user": "u1",
        },
    },
    "action": {
        "name": "chat.completions.create",
        "properties": {"stage": "request", "stream": True},
    },
    "resource": {
        "type": "model",
        "id": "gpt-4o",
        "properties": {"provider": "azure", "hosting": "external", "region": "eu", "tags": []},
    },
    "context": {
        "time": "2026-01-01T00:00:00Z",
        "findings": [],
        "unavailable": [],
        "request": {
            "max_tokens": 800,
            "tools": ["search"],
            "modalities": ["text"],
            "answers": ["text"],
            "tokens": 512,
            "purpose": None,
            "tags": [],
        },
        "tool_call": None,
        "budget": {"remaining_usd": "12.40", "utilisation": 0.38},
        "estimate_usd": "0.012",
        "review": None,
        "labels": ["internal"],
        "session": {"id": None, "turn": 0},
    },
}
"""The question of the contract, as others build it."""
