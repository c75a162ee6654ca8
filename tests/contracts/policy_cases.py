"""Packs and questions made up by hypothesis, from few enough names that rules meet facts."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from gateway.adapters.packs import question_of

APPS = ["shop-bot", "shop-web", "lab"]
TEAMS = ["support", "research"]
TAGS = ["internal", "customer-facing"]
MODELS = ["gpt-4o", "gpt-4o-mini", "claude", "ünï-cödé*", "a\nb"]
HOSTING = ["external", "internal"]
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


def some(names: list[str], least: int = 0) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(names), min_size=least, max_size=3, unique=True)


def optional(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=members)


WHEN = optional(
    apps=some(PATTERNS, 1),
    teams=some([*TEAMS, "*"], 1),
    tags=some(TAGS, 1),
    models=some(PATTERNS, 1),
    hosting=some(HOSTING, 1),
)


@st.composite
def rule_bodies(draw: st.DrawFn) -> dict[str, Any]:
    """What is particular to a kind of rule."""
    direction = draw(st.sampled_from(["input", "output"]))
    output = direction == "output"
    score = draw(st.sampled_from(SCORES))
    unit = draw(st.sampled_from(["sentence", "paragraph", "whole"]))
    finds = {"direction": direction, "min_score": score, "unit": unit}
    match draw(
        st.sampled_from(
            ["model_access"] * 2 + ["pii"] * 2
            + ["tool_access", "secret", "phrase", "opaque", "unavailable", "label", "cache"]
        )
    ):  # fmt: skip
        case "model_access":
            params = {"models": draw(some(PATTERNS, 1))}
            if draw(st.booleans()):
                params["max_output_tokens"] = draw(st.integers(1, 5))
            return {"kind": "model_access", "params": params}
        case "tool_access":
            lists = optional(allow=some([*TOOLS, "s*"], 1), deny=some([*TOOLS, "*l*"], 1))
            params = draw(lists) or {"allow": ["*"]}
            on_match = draw(st.sampled_from(["restrict", "deny", "review"]))
            return {
                "kind": "tool_access",
                "params": params or {"allow": ["*"]},
                "on_match": on_match,
            }
        case "pii" | "secret" as kind:
            on = ["filter", "redact"] if output else ["mask", "deny", "review"]
            params = {**finds, "labels": draw(some(LABELS, 1))}
            return {"kind": kind, "params": params, "on_match": draw(st.sampled_from(on))}
        case "phrase":
            on = ["filter", "redact"] if output else ["deny", "review"]
            params = {**finds, "list": draw(st.sampled_from(LISTS))}
            return {"kind": "phrase", "params": params, "on_match": draw(st.sampled_from(on))}
        case "opaque":
            modalities = draw(some(["image", "audio", "file"], 1))
            params = {"direction": direction, "modalities": modalities, "labels": ["unread", "x"]}
            on_match = draw(st.sampled_from(["label", "deny", "review"]))
            return {"kind": "opaque", "params": params, "on_match": on_match}
        case "unavailable":
            params = {"inspectors": draw(some([*INSPECTORS, "p*"], 1))}
            on_error = draw(st.sampled_from(["closed", "open"]))
            return {"kind": "unavailable", "params": params, "on_error": on_error}
        case "label":
            return {"kind": "label", "params": {"labels": draw(some(["a", "b", "c"], 1))}}
        case _:
            return {"kind": "cache", "params": {"seconds": draw(st.integers(1, 3))}}


@st.composite
def packs(draw: st.DrawFn) -> dict[str, Any]:
    """The documents of a pack, by file. Most admit every model."""
    rules = [
        {
            "id": f"rule-{at}",
            "title": "A rule",
            "severity": draw(st.sampled_from(["low", "medium", "high", "critical"])),
            "message": {"en": "Yes.", "fr": "Où ?"},
            "when": draw(st.one_of(st.just({}), WHEN)),
            "valid": draw(st.one_of(st.just({}), valid_times())),
            **draw(rule_bodies()),
            **draw(st.sampled_from([{"mode": mode} for mode in MODES] + [FLOOR])),
        }
        for at in range(draw(st.integers(0, 7)))
    ]
    if draw(st.integers(0, 3)):
        rules.append({**ADMIT_ALL, "id": "admit-all"})
    exceptable = [rule["id"] for rule in rules if not rule.get("floor")]
    exceptions = [
        {
            "id": f"exception-{at}",
            "rule": draw(st.sampled_from(exceptable)),
            "when": draw(st.one_of(st.just({}), WHEN)),
            "until": draw(st.sampled_from(TIMES)),
            "why": "A test.",
            "approved_by": "somebody",
        }
        for at in range(draw(st.integers(0, 3)) if exceptable else 0)
    ]
    return {"rules": rules, "exceptions": exceptions}


@st.composite
def valid_times(draw: st.DrawFn) -> dict[str, Any]:
    begin, end = sorted(draw(some(TIMES, 2))[:2])
    return draw(st.sampled_from([{"from": begin}, {"until": end}, {"from": begin, "until": end}]))


MODES = ["off", "observe", "enforce", "enforce", "enforce"]
FLOOR = {"mode": "enforce", "floor": True}
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
    return folder


FINDINGS = st.lists(
    st.fixed_dictionaries(
        {
            "kind": st.sampled_from(["pii", "secret", "phrase", "opaque", "unheard-of"]),
            "label": st.sampled_from([*LABELS, *LISTS, *MODALITIES]),
            "score": st.sampled_from(SCORES),
            "direction": st.sampled_from(["input", "input", "output"]),
        }
    ),
    max_size=6,
)


@st.composite
def questions(draw: st.DrawFn) -> dict[str, Any]:
    """Questions of the known shape."""
    given = draw(
        optional(
            app=st.sampled_from(APPS),
            team=st.sampled_from([*TEAMS, None]),
            tags=some(TAGS),
            model=st.sampled_from(MODELS),
            hosting=st.sampled_from([*HOSTING, None]),
            findings=FINDINGS,
            unavailable=some(INSPECTORS),
            tools=st.lists(st.sampled_from(TOOLS), max_size=4),
            answers=some(["text", *MODALITIES]),
            tool_call=st.sampled_from(TOOLS),
            review=st.sampled_from(["approved", "pending"]),
            time=st.sampled_from(
                [*TIMES, "2026-02-28T23:59:59.999999Z", "2026-03-01T00:00:00+00:00"]
            ),
        )
    )
    return copy.deepcopy(dict(question_of(given)))


JUNK = st.sampled_from(
    [None, True, False, 0, 1, -1, 0.5, 2, "", "x", "request", [], ["x"], [1], {}]
)


@st.composite
def strange_questions(draw: st.DrawFn) -> dict[str, Any]:
    """Questions with one part lost, added or replaced; some are still of the known shape."""
    question = draw(questions())
    places = list(_places(question))
    holder, key = draw(st.sampled_from(places))
    match draw(st.sampled_from(["lose", "add", "replace"])):
        case "lose":
            del holder[key]
        case "add" if isinstance(holder, dict):
            holder["unheard_of"] = draw(JUNK)
        case _:
            holder[key] = draw(JUNK)
    return question


def _places(value: Any) -> Any:
    members = value.items() if isinstance(value, dict) else enumerate(value)
    for key, member in list(members):
        yield value, key
        if isinstance(member, dict | list):
            yield from _places(member)
