"""Packs and questions made up at random, from few enough names that rules meet facts.

Hypothesis chooses seeds, and not the parts: uniform choices meet far more of the library than
the small and repetitive ones that it would make. A failing example is printed whole.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from hypothesis import strategies as st

from gateway.adapters.packs import question_of

APPS = ["shop-bot", "shop-web", "lab"]
TEAMS = ["support", "research"]
TAGS = ["internal", "customer-facing"]
MODELS = ["gpt-4o", "gpt-4o-mini", "claude", "ünï-cödé*", "a\nb"]
HOSTING = ["external", "internal"]
REGIONS = ["eu", "us", "ch"]
PATTERNS = [
    "*",
    "gpt-*",
    "*-mini",
    "g*4o*",
    "gpt-4o",
    "shop*",
    "*o*",
    "lab",
    "s*",
    "*b",
    "gpt-4o*o",
]
LABELS = ["EMAIL_ADDRESS", "PHONE_NUMBER", "IBAN_CODE"]
LISTS = ["weapons", "rivals"]
TOOLS = ["search", "shell", "shell-admin"]
MODALITIES = ["image", "audio", "file"]
INSPECTORS = ["pii", "phrase", "lab"]
TIMES = [f"2026-0{month}-01T00:00:00Z" for month in range(1, 6)]
MOMENTS = [*TIMES, "2026-02-28T23:59:59.999999Z", "2026-03-01T00:00:00+00:00"]
SCORES = [0, 0.1, 0.3, 0.5, 0.75, 1]


Made = TypeVar("Made")


def at_random(make: Callable[[Random], Made]) -> st.SearchStrategy[Made]:
    return st.integers(0, 2**64 - 1).map(lambda seed: make(Random(seed)))


def some(dice: Random, names: list[str], least: int = 0) -> list[str]:
    """A few of the names, each once."""
    return dice.sample(names, dice.randint(least, min(3, len(names))))


def selectors(dice: Random) -> dict[str, list[str]]:
    """Where a rule applies: mostly everywhere, or by one selector."""
    every = {
        "apps": some(dice, PATTERNS, 1),
        "teams": some(dice, [*TEAMS, "s*"], 1),
        "tags": some(dice, TAGS, 1),
        "models": some(dice, PATTERNS, 1),
        "hosting": some(dice, HOSTING, 1),
        "regions": some(dice, REGIONS, 1),
    }
    chosen = dice.sample(sorted(every), dice.choice([0, 0, 1, 1, 2, 6]))
    return {name: every[name] for name in chosen}


def rule_body(dice: Random) -> dict[str, Any]:
    """What is particular to a kind of rule."""
    direction = dice.choice(["input", "output"])
    answers = ["filter", "redact"]
    finds = {
        "direction": direction,
        "min_score": dice.choice(SCORES),
        "unit": dice.choice(["sentence", "paragraph", "whole"]),
    }
    match dice.choice(KINDS):
        case "model_access":
            params: dict[str, Any] = {"models": some(dice, PATTERNS, 1)}
            if dice.random() < 0.5:
                params["max_output_tokens"] = dice.randint(1, 5)
            return {"kind": "model_access", "params": params}
        case "tool_access":
            params = {
                "allow": some(dice, [*TOOLS, "s*"], 1),
                "deny": some(dice, ["*l*", *TOOLS], 1),
            }
            del params[dice.choice(["allow", "deny"])]
            on_match = dice.choice(["restrict", "restrict", "deny", "review"])
            return {"kind": "tool_access", "params": params, "on_match": on_match}
        case "pii" | "secret" as kind:
            asked = ["mask", "mask", "mask", "deny", "review"]
            on_match = dice.choice(asked if direction == "input" else answers)
            params = {**finds, "labels": some(dice, LABELS, 1)}
            return {"kind": kind, "params": params, "on_match": on_match}
        case "phrase":
            on_match = dice.choice(["deny", "review"] if direction == "input" else answers)
            params = {**finds, "list": dice.choice(LISTS)}
            return {"kind": "phrase", "params": params, "on_match": on_match}
        case "opaque":
            modalities = some(dice, MODALITIES, 1)
            params = {"direction": direction, "modalities": modalities, "labels": ["unread", "x"]}
            on_match = dice.choice(["label", "label", "deny", "review"])
            return {"kind": "opaque", "params": params, "on_match": on_match}
        case "unavailable":
            params = {"inspectors": some(dice, [*INSPECTORS, "p*", "*"], 1)}
            on_error = dice.choice(["closed", "open"])
            return {"kind": "unavailable", "params": params, "on_error": on_error}
        case "label":
            return {"kind": "label", "params": {"labels": some(dice, ["a", "b", "c"], 1)}}
        case "residency":
            return {"kind": "residency", "params": residency(dice)}
        case "identifier":
            return {"kind": "identifier", "on_match": "pseudonymise"}
        case "response":
            params = {"how": dice.choice(["error", "content_filter", "refusal", "message"])}
            if params["how"] in ("refusal", "message") and dice.random() < 0.5:
                params["message"] = dice.choice(["No.", "Où ?"])
            return {"kind": "response", "params": params}
        case _:
            return {"kind": "cache", "params": {"seconds": dice.randint(1, 3)}}


def residency(dice: Random) -> dict[str, Any]:
    """What a target must be, and what must have been found in the request."""
    lists = {
        "hosting": some(dice, HOSTING, 1),
        "region": some(dice, REGIONS, 1),
        "providers": some(dice, ["provider", "other"], 1),
        "tags": some(dice, ["a", "b", "c"], 1),
    }
    params: dict[str, Any] = {
        name: lists[name] for name in dice.sample(sorted(lists), dice.choice([1, 1, 2]))
    }
    if dice.random() < 0.5:
        labels = some(dice, [*LABELS, *LISTS, *MODALITIES], 1)
        params |= {"labels": labels, "min_score": dice.choice(SCORES)}
    return params


def rule(dice: Random, id: str) -> dict[str, Any]:
    begin, end = sorted(dice.sample(TIMES, 2))
    return {
        "id": id,
        "title": "A rule",
        "severity": dice.choice(["low", "medium", "high", "critical"]),
        "message": {"en": "Yes.", "fr": "Où ?"},
        "when": selectors(dice),
        "valid": dice.choice(
            [{}, {}, {}, {"from": begin}, {"until": end}, {"from": begin, "until": end}]
        ),
        **rule_body(dice),
        **dice.choice(MODES),
    }


def pack(dice: Random) -> dict[str, Any]:
    """The documents of a pack, by file. Most admit every model."""
    rules = [rule(dice, f"rule-{at}") for at in range(dice.randint(0, 12))]
    if dice.random() < 0.9:
        rules.append({**ADMIT_ALL, "id": "admit-all"})
    exceptable = [entry["id"] for entry in rules if not entry.get("floor")]
    exceptions = [
        {
            "id": f"exception-{at}",
            "rule": dice.choice(exceptable),
            "when": selectors(dice),
            "until": dice.choice(TIMES),
            "why": "A test.",
            "approved_by": "somebody",
        }
        for at in range(dice.randint(0, 3) if exceptable else 0)
    ]
    attachments = [
        {"rules": dice.choice([["*"], ["*-*"], [rules[0]["id"]]]), "when": selectors(dice)}
        for _ in range(dice.choice([0, 0, 0, 1, 3]) if rules else 0)
    ]
    return {"rules": rules, "exceptions": exceptions, "attachments": attachments}


KINDS = [
    *("model_access", "tool_access", "tool_access", "pii", "pii", "pii", "secret", "phrase"),
    *("opaque", "opaque", "unavailable", "label", "cache"),
    *("residency", "residency", "response", "response", "identifier", "identifier"),
]
MODES = [
    *({"mode": mode} for mode in ("off", "observe", "enforce", "enforce", "enforce")),
    {"mode": "enforce", "floor": True},
]
ADMIT_ALL = {
    "title": "Everything",
    "kind": "model_access",
    "mode": "enforce",
    "params": {"models": ["*"]},
    "message": {"en": "Yes."},
}


def write_pack(documents: dict[str, Any], folder: Path) -> Path:
    """A pack of `documents` in `folder`: JSON is YAML."""
    manifest = {"id": "made-up", "version": "1.0.0", "title": "Made up", "policy_api": 1}
    (folder / "rules").mkdir(parents=True, exist_ok=True)
    (folder / "lists").mkdir(exist_ok=True)
    (folder / "pack.yaml").write_text(json.dumps(manifest))
    texts = [json.dumps(rule) for rule in documents["rules"]]
    (folder / "rules" / "all.yaml").write_text("\n---\n".join(texts))
    lists = [{"id": id, "title": id, "phrases": {"en": [f"a {id} phrase"]}} for id in LISTS]
    (folder / "lists" / "all.yaml").write_text("\n---\n".join(map(json.dumps, lists)))
    (folder / "exceptions.yaml").write_text(json.dumps(documents["exceptions"]))
    if attachments := documents.get("attachments"):
        (folder / "attachments.yaml").write_text(json.dumps(attachments))
    return folder


def question(dice: Random) -> dict[str, Any]:
    """A question of the known shape."""
    findings = [
        {
            "kind": dice.choice(["pii", "pii", "secret", "phrase", "opaque", "unheard-of"]),
            "label": dice.choice([*LABELS, *LISTS, *MODALITIES]),
            "score": dice.choice(SCORES),
            "direction": dice.choice(["input", "input", "output"]),
        }
        for _ in range(dice.choice([0, 1, 3, 6, 12]))
    ]
    given = {
        "app": dice.choice(APPS),
        "team": dice.choice([*TEAMS, None]),
        "tags": some(dice, TAGS),
        "model": dice.choice(MODELS),
        "hosting": dice.choice([*HOSTING, None]),
        "region": dice.choice([*REGIONS, None]),
        "findings": findings,
        "unavailable": dice.choice([[], [], some(dice, INSPECTORS)]),
        "tools": dice.choices(TOOLS, k=dice.randint(0, 4)),
        "answers": some(dice, ["text", *MODALITIES]),
        "time": dice.choice(MOMENTS),
        "review": dice.choice([None, "approved", "pending"]),
        "tool_call": dice.choice([None, None, None, *TOOLS]),
    }
    return copy.deepcopy(dict(question_of(given)))


JUNK = [None, True, False, 0, 1, -1, 0.5, 2, "", "x", [], ["x"], [1], {}]


def strange_question(dice: Random) -> dict[str, Any]:
    """A question with one part lost, added or replaced; some are still of the known shape."""
    asked = question(dice)
    holder, key = dice.choice(list(_places(asked)))
    match dice.choice(["lose", "add", "replace"]):
        case "lose":
            del holder[key]
        case "add" if isinstance(holder, dict):
            holder["unheard_of"] = dice.choice(JUNK)
        case _:
            holder[key] = dice.choice(JUNK)
    return asked


def _places(value: Any) -> Any:
    members = value.items() if isinstance(value, dict) else enumerate(value)
    for key, member in list(members):
        yield value, key
        if isinstance(member, dict | list):
            yield from _places(member)


def packs() -> st.SearchStrategy[dict[str, Any]]:
    return at_random(pack)


def questions() -> st.SearchStrategy[dict[str, Any]]:
    return at_random(question)


def strange_questions() -> st.SearchStrategy[dict[str, Any]]:
    return at_random(strange_question)
