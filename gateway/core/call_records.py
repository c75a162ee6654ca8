"""What a record says of the tools that an answer called, and of what the policy said of each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from gateway.core.calls import JudgedCall

MOST_CALLS = 100
"""Calls in a header, which has a size limit; the part holds them all."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,63}", re.ASCII)
"""What a tool may be called in a header. Other names are a model's words, and stay in the part."""


def calls_judged(calls: Sequence[JudgedCall]) -> dict[str, Any]:
    """For the header: each decision, its rules, and the tool. Nothing, where none was called."""
    if not calls:
        return {}
    told = [_told(call) for call in calls[:MOST_CALLS]]
    return {"tool_calls": told, "tool_calls_count": len(calls)}


def asked_of_calls(calls: Sequence[JudgedCall]) -> bytes:
    """The part: a JSON list of each call's question and verdict, and the decision's id."""
    return msgspec.json.encode(
        [
            {
                "id": decision.id,
                "revision": decision.revision,
                "question": question,
                "decision": decision.verdict,
            }
            for question, decision in calls
        ]
    )


def _told(call: JudgedCall) -> dict[str, Any]:
    name: str = call.question["context"]["tool_call"]["name"]
    decision = call.decision
    return {
        "id": decision.id,
        "revision": decision.revision,
        "effect": str(decision.effect),
        "rules": sorted({reason.rule for reason in decision.verdict.reasons}),
        "tool": name if _NAME.fullmatch(name) else None,
    }
