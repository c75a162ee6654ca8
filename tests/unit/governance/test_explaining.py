"""Why an exchange was decided as it was, in sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest

from gateway.auditing import personal
from gateway.governance.contents import without
from gateway.governance.explaining import Explanation, explain

EMAIL = "ann@example.org"


@dataclass(frozen=True)
class Stored:
    """An entry as it was read back."""

    header: Mapping[str, Any]
    parts: Mapping[str, bytes] | None = field(default_factory=dict)
    entry_id: str = "ent_1"
    kind: str = "attempt"
    lacking: frozenset[str] = frozenset()


def question(**context: Any) -> dict[str, Any]:
    facts = {"findings": [], "unavailable": [], "session": {"id": EMAIL, "turn": 0}, **context}
    properties = {"org": "acme", "team": "red", "user": EMAIL}
    return {
        "subject": {"type": "app", "id": "shop", "properties": properties},
        "action": {"name": "chat.completions.create", "properties": {}},
        "resource": {"type": "model", "id": "m", "properties": {
            "provider": "openai", "hosting": "external", "region": "eu", "tags": []}},
        "context": facts,
    }  # fmt: skip


def told(verdict: Mapping[str, Any], facts: Mapping[str, Any], **context: Any) -> Explanation:
    """What is told of an exchange with this verdict and these facts."""
    whole = {"effect": "allow", "reasons": [], "obligations": [], "observed": [], "overridden": []}
    decision = {"id": "dec_1", "revision": "r1", "effect": verdict.get("effect", "allow")}
    entry = Stored(
        {"facts": {"decision": decision, **facts}},
        {
            "question": orjson.dumps(question(**context)),
            "decision": orjson.dumps({**whole, **verdict}),
            "request_sent": b"never read",
        },
    )
    return explain("exc_1", [entry], clean)


def clean(text: str) -> str:
    return without(text, personal(text))


def finding(score: float, label: str = "EMAIL_ADDRESS") -> dict[str, Any]:
    place = {"kind": "pii", "label": label, "where": "/messages/0/content"}
    return {**place, "direction": "input", "score": score, "score_milli": round(score * 1_000)}


def test_a_refusal_with_its_rule_and_facts() -> None:
    reason = {
        "rule": "pii.limit", "code": "too_many", "message": {"en": "Too much personal data."},
        "severity": "high", "facts": {"count": 12, "labels": {"EMAIL_ADDRESS": 12}},
    }  # fmt: skip
    said = told(
        {"effect": "deny", "reasons": [reason]},
        {"outcome": "denied", "code": "content_filter", "attempts": 0},
        findings=[finding(0.98)], unavailable=["presidio"],
    )  # fmt: skip
    assert said.sentences == (
        "App shop of team red asked m (chat.completions.create) at openai, external eu.",
        "Found: pii EMAIL_ADDRESS at /messages/0/content, scored 0.98.",
        "The inspector presidio could not be asked.",
        "The policy refused it. Decision dec_1, revision r1.",
        "Rule pii.limit fired (high) because of count: 12, labels: EMAIL_ADDRESS (12). "
        "Too much personal data.",
        "It was refused before any answer. Code content_filter.",
    )


def test_thresholds_stand_against_scores() -> None:
    params = {"labels": ["EMAIL_ADDRESS"], "min_score": 0.6}
    duty = {"id": "mask", "params": params, "rule": "pii.mask"}
    facts = {
        "findings": [finding(0.98), finding(0.4), finding(0.9, "PHONE_NUMBER")],
        "outcome": "completed", "attempts": 1, "cost_micro_usd": 1_234, "cost_exact": False,
    }  # fmt: skip
    said = told({"obligations": [duty]}, facts).sentences
    assert said[2:] == (
        "Rule pii.mask demanded mask (labels: EMAIL_ADDRESS, min_score: 0.6); "
        "the request was rewritten before it left.",
        "EMAIL_ADDRESS at /messages/0/content: 0.98 reaches 0.60.",
        "EMAIL_ADDRESS at /messages/0/content: 0.40 stays below 0.60.",
        "It was answered.",
        "It cost at most 0.001234 dollars.",
    )


@pytest.mark.parametrize(
    ("id", "facts", "did"),
    [
        ("mask", {"request_sent": "same as request_received"}, "nothing had to be masked"),
        ("label", {"labels": ["internal"]}, "the labels were internal"),
        ("cache", {"cache": "miss"}, "the cache said miss"),
        ("screen", {"outcome": "filtered"}, "it stopped the answer"),
        ("screen", {"outcome": "completed"}, "the answer was let through"),
        ("reroute", {"upstream": "in", "upstream_model": "h"}, "in/h was asked"),
        ("respond_with", {"respond_with": "refusal"}, "the caller was told by: refusal"),
        ("respond_with", {}, "nothing had to be refused"),
        ("cap_tokens", {}, "it was done before anything left"),
        ("mask", {"outcome": "denied", "attempts": 0}, "nothing was sent, so it was not needed"),
    ],
)
def test_what_each_duty_did(id: str, facts: dict[str, Any], did: str) -> None:
    duty = {"id": id, "params": {}, "rule": "r"}
    said = told({"obligations": [duty]}, {"attempts": 1, **facts}).sentences
    assert f"Rule r demanded {id}; {did}." in said


def test_what_only_observed_and_what_was_set_aside() -> None:
    observed = [{"rule": "topic.a", "would": "deny"}]
    overridden = [{"rule": "pii.b", "by": "exception.c"}]
    said = told({"observed": observed, "overridden": overridden}, {}).sentences
    assert "Rule topic.a only observes; it would have been: deny." in said
    assert "Rule pii.b was set aside by exception.c." in said
    assert said[-1] == "It has not ended."


def test_who_and_which_session_is_not_told() -> None:
    """Nor personal data that a caller put where labels and names belong."""
    said = told({}, {"model": EMAIL}, request={"tags": [EMAIL], "tools": [EMAIL]})
    assert EMAIL not in str(said)
    assert said.question is not None
    assert "user" not in said.question["subject"]["properties"]
    assert said.question["context"]["request"] == {
        "tags": [" EMAIL_ADDRESS "], "tools": [" EMAIL_ADDRESS "],
    }  # fmt: skip


def test_the_tools_that_were_called() -> None:
    call = {"id": "dec_2", "revision": "r1", "effect": "allow", "rules": [], "tool": "look"}
    denied = {**call, "id": "dec_3", "effect": "deny", "rules": ["tools.deny"], "tool": None}
    facts = {"tool_calls": [call, denied], "tool_calls_count": 3, "outcome": "filtered"}
    sentences = told({}, facts).sentences
    assert sentences[-4:] == (
        "The answer called look. The policy allowed it. Decision dec_2.",
        "The answer called a tool whose name stands only in the record. "
        "The policy refused it. Decision dec_3. Rules: tools.deny.",
        "The policy was asked of 1 more tool calls; the record holds them.",
        "Its answer was stopped, as it broke a rule.",
    )


def test_without_a_decision_there_is_only_its_end() -> None:
    entry = Stored({"facts": {"outcome": "denied", "code": "model_not_found"}})
    said = explain("exc_1", [entry], clean)
    assert said.decision is None
    assert said.sentences == (
        "The policy was not asked.",
        "It was refused before any answer. Code model_not_found.",
    )


def test_what_is_erased_leaves_its_header() -> None:
    decision = {"id": "dec_1", "revision": "r1", "effect": "allow"}
    entry = Stored({"facts": {"decision": decision, "outcome": "lost"}}, None)
    said = explain("exc_1", [entry], clean).sentences
    assert said == (
        "The policy allowed it. Decision dec_1, revision r1.",
        "The gateway died during it; it was closed afterwards.",
        "What the policy was asked is erased; only the header is left.",
    )
