"""A pack's own tests: tables of questions, and what must be decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.core.policy import SCHEMA_VERSION, Question, Verdict
from gateway.core.ports import Policy


@dataclass(frozen=True, slots=True)
class Case:
    """One case of a table after it was run. `failures` is empty when it passed."""

    suite: str
    name: str
    failures: tuple[str, ...]


async def check_tables(tables: Sequence[Mapping[str, Any]], policy: Policy) -> list[Case]:
    """Ask `policy` every question of the tables. Raises `Unavailable` where it cannot answer."""
    cases: list[Case] = []
    for table in tables:
        for case in table["cases"]:
            decision = await policy.decide(question_of(case["given"]))
            failures = tuple(_failures(case["expect"], decision.verdict))
            cases.append(Case(table["suite"], case["name"], failures))
    return cases


def question_of(given: Mapping[str, Any]) -> Question:
    """A whole question from the facts that a case names."""
    tool_call = given.get("tool_call")
    review = given.get("review")
    answers = given.get("answers", ["text"])
    return {
        "schema_version": SCHEMA_VERSION,
        "subject": {
            "type": "app",
            "id": given.get("app", "app"),
            "properties": {
                "org": "default",
                "team": given.get("team", "team"),
                "tags": given.get("tags", []),
                "roles": [],
                "user": None,
            },
        },
        "action": {
            "name": "chat.completions.create",
            "properties": {"stage": "tool_call" if tool_call else "request", "stream": False},
        },
        "resource": {
            "type": "model",
            "id": given.get("model", "model"),
            "properties": {
                "provider": "provider",
                "hosting": given.get("hosting", "external"),
                "region": given.get("region"),
                "tags": [],
            },
        },
        "context": {
            "time": given.get("time", "2026-01-01T00:00:00Z"),
            "findings": [_finding(finding) for finding in given.get("findings", [])],
            "unavailable": given.get("unavailable", []),
            "request": {
                "max_tokens": None,
                "tools": given.get("tools", []),
                "modalities": answers,
                "answers": answers,
                "tokens": None,
                "purpose": None,
                "tags": [],
            },
            "tool_call": {"name": tool_call, "arguments": {}} if tool_call else None,
            "budget": None,
            "estimate_usd": None,
            "review": {"id": "review", "state": review} if review else None,
            "labels": [],
            "session": {"id": None, "turn": 0},
        },
    }


def _finding(given: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "kind": given["kind"],
        "label": given["label"],
        "where": "/messages/0/content",
        "direction": given.get("direction", "input"),
        "score": given.get("score", 1.0),
    }


def _failures(expect: Mapping[str, Any], verdict: Verdict) -> list[str]:
    got = {
        "effect": str(verdict.effect),
        "rules": sorted(reason.rule for reason in verdict.reasons),
        "codes": sorted(reason.code for reason in verdict.reasons),
        "obligations": [{duty.id: duty.params} for duty in verdict.obligations],
        "masked": _labels(verdict, "mask"),
        "labelled": _labels(verdict, "label"),
        "observed": sorted(observed.rule for observed in verdict.observed),
        "overridden": sorted(overridden.rule for overridden in verdict.overridden),
    }
    return [
        f"{what}: expected {wanted}, got {got[what]}"
        for what, wanted in expect.items()
        if got[what] != (sorted(wanted) if what in _UNORDERED else wanted)
    ]


_UNORDERED = {"rules", "codes", "masked", "labelled", "observed", "overridden"}


def _labels(verdict: Verdict, id: str) -> list[str]:
    """The labels of the obligations called `id`."""
    duties = [duty for duty in verdict.obligations if duty.id == id]
    return sorted(label for duty in duties for label in duty.params["labels"])
