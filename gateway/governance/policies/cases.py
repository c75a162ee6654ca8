"""An exchange that happened, as a case of a test table: what was found, and never what was said."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.core.policies import Refused

FOLDER = "tests"


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the policy was asked of an exchange, and what it said: JSON, as they are stored."""

    question: Mapping[str, Any]
    decision: Mapping[str, Any]


class Questions(Protocol):
    """Finds what the policy was asked."""

    async def recorded(self, org: str, exchange_id: str) -> Recorded | None:
        """The first question of an exchange; None where there is none that can be read.

        Raises `Unavailable`.
        """


def place(exchange_id: str) -> str:
    """The file that the case of an exchange stands in, by itself."""
    if not exchange_id.replace("_", "").isalnum():
        raise ValueError(f"{exchange_id[:100]!r} is no id of an exchange")
    return f"{FOLDER}/exchange-{exchange_id}.yaml"


def case_file(
    exchange_id: str, name: str, recorded: Recorded, expect: Mapping[str, Any] | None
) -> str:
    """A test table with one case. Without `expect`, what was decided is expected again.

    YAML whose values are written as JSON, so that no text can be taken for anything else.
    Raises `Refused` for a question that no test table can put.
    """
    wanted = expect or {"effect": _effect(recorded.decision)}
    return (
        f"# The findings of {exchange_id}, frozen. Nothing of what was said stands here.\n"
        "suite: exchanges that happened\n"
        "cases:\n"
        f"  - name: {_json(name)}\n"
        f"    given: {_json(given(recorded.question))}\n"
        f"    expect: {_json(wanted)}\n"
    )


def given(question: Mapping[str, Any]) -> dict[str, Any]:
    """The facts of a question, in the words of test tables.

    Users, sessions, budgets and the arguments of tools are left out: tables know none of them.
    """
    try:
        subject, model = question["subject"], question["resource"]
        context, call = question["context"], question["context"]["tool_call"]
        facts = {
            "app": subject["id"],
            "team": subject["properties"]["team"],
            "tags": subject["properties"]["tags"],
            "model": model["id"],
            "hosting": model["properties"]["hosting"],
            "region": model["properties"]["region"],
            "time": context["time"],
            "findings": [_finding(finding) for finding in context["findings"]],
            "unavailable": context["unavailable"],
            "tools": list(dict.fromkeys(context["request"]["tools"])),
            "answers": list(dict.fromkeys(context["request"]["answers"])),
            "tool_call": call and call["name"],
            "review": context["review"] and context["review"]["state"],
        }
    except (KeyError, TypeError, IndexError) as error:
        raise Refused("the question of this exchange is of an older shape") from error
    if not facts["answers"]:
        raise Refused("no test table can say that nothing is asked for in the answer")
    return {name: value for name, value in facts.items() if value not in (None, [])}


def _finding(finding: Mapping[str, Any]) -> dict[str, Any]:
    return {name: finding[name] for name in ("kind", "label", "direction", "score")}


def _effect(decision: Mapping[str, Any]) -> str:
    effect = decision.get("effect")
    if effect not in ("allow", "deny", "review"):
        raise Refused("say what is expected: what was decided of this exchange cannot be read")
    return str(effect)


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
