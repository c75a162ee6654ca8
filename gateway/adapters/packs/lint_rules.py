"""Rules that can have no effect: by themselves, or beside another rule of the pack."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import permutations
from typing import Any

from gateway.adapters.packs.documents import Document
from gateway.adapters.packs.loading import Pack
from gateway.adapters.packs.problems import Code, Problem
from gateway.adapters.packs.schema import Json, like, with_defaults

_READABLE_ASKED = {"text", "image", "audio", "video", "vector"}
_STRENGTH = {"mask": 0, "label": 0, "restrict": 0, "redact": 0, "review": 1, "filter": 2, "deny": 2}
_TOLD_ONLY = ("id", "title", "why", "owner", "message", "severity", "code")


def without_effect(pack: Pack) -> Iterator[Problem]:
    """Rules that no request can ever meet."""
    for rule in pack.source.rules:
        for where, what, fix in _idle(rule.value):
            yield Problem.at(
                rule.place(where), Code.NEVER_MATCHES, what,
                why="The rule would never do anything.", fix=fix,
            )  # fmt: skip
        places = pack.attached(rule.value["id"])
        when = rule.value.get("when", {})
        if places and all(_apart(when, place) for place in places):
            yield Problem.at(
                rule.place(["when"]), Code.NEVER_MATCHES,
                "`when` and the attachments of the pack never select the same",
                why="The rule would never do anything.",
                fix="Widen `when`, or what attachments.yaml says of the rule.",
            )  # fmt: skip


def _idle(rule: Json) -> Iterator[tuple[list[str], str, str]]:
    """Where, what and how to fix: of one rule by itself."""
    params = with_defaults(rule)["params"]
    match rule["kind"]:
        case "tool_access" if "*" in params["allow"] and not params["deny"]:
            yield (
                ["params"], "every tool is allowed and none is denied",
                "List under `allow` only the tools that may be used, or some under `deny`.",
            )  # fmt: skip
        case "opaque" if params["direction"] == "input" and params["modalities"] == ["vector"]:
            yield (
                ["params", "modalities"], "no request holds a vector",
                "Look at answers instead: `direction: output`.",
            )  # fmt: skip
        case "opaque" if params["direction"] == "output" and not _READABLE_ASKED & set(
            params["modalities"]
        ):
            yield (
                ["params", "modalities"], "no answer is asked for in this form",
                "Look at requests instead: `direction: input`.",
            )  # fmt: skip


def _apart(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether no request can be where both say; only where that is certain."""
    for selector in ("apps", "teams", "models", "hosting", "regions"):
        wanted, also = one.get(selector), other.get(selector)
        if wanted and also and not any(_meet(a, b) for a in wanted for b in also):
            return True
    return False


def _meet(one: str, other: str) -> bool:
    """Whether one text can be as both patterns say; True where that is not certain."""
    if "*" in one and "*" in other:
        return True
    return like(one, other) or like(other, one)


def overlaps(pack: Pack) -> Iterator[Problem]:
    """Rules that say what another says, or that another always comes before."""
    rules = [rule for rule in pack.source.rules if rule.value["mode"] == "enforce"]
    waived = {exception["rule"] for exception in pack.exceptions}
    seen: dict[str, Document] = {}
    for rule in rules:
        first = seen.setdefault(_demand(pack, rule.value), rule)
        if first is not rule:
            yield Problem.at(
                rule.place(["id"]), Code.DUPLICATE,
                f"the rule {first.value['id']!r} demands exactly the same",
                why="A change of one of them would have no effect while the other stays.",
                fix="Remove one of the two.",
            )  # fmt: skip
    for one, other in permutations(rules, 2):
        if other.value["id"] not in waived and _covers(pack, other.value, one.value):
            yield Problem.at(
                one.place(["id"]), Code.SHADOWED,
                f"the rule {other.value['id']!r} comes before this one wherever it applies",
                why="Whether this rule is there or not, the same is decided.",
                fix=f"Narrow {other.value['id']!r}, or remove this rule.",
            )  # fmt: skip


def _demand(pack: Pack, rule: Json) -> str:
    """What a rule demands and where, without what it is called and what it tells people."""
    told = {name: value for name, value in with_defaults(rule).items() if name not in _TOLD_ONLY}
    return repr((sorted(told.items(), key=str), pack.attached(rule["id"])))


def _covers(pack: Pack, wide: Json, narrow: Json) -> bool:
    """Whether `wide` decides wherever `narrow` would, at least as strictly."""
    if wide["kind"] != narrow["kind"] or not _everywhere(pack, wide):
        return False
    a, b = with_defaults(wide)["params"], with_defaults(narrow)["params"]
    match wide["kind"]:
        case "model_access":
            return "*" in a["models"] and "*" not in b["models"] and not b["max_output_tokens"]
        case "pii" | "secret":
            stricter = _STRENGTH[wide["on_match"]] > _STRENGTH[narrow["on_match"]]
            same = a["direction"] == b["direction"] == "input"
            wider = set(b["labels"]) <= set(a["labels"]) and a["min_score"] <= b["min_score"]
            return stricter and same and wider and wide["on_match"] == "deny"
        case _:
            return False


def _everywhere(pack: Pack, rule: Json) -> bool:
    """Whether a rule applies to everyone at all times."""
    places = pack.attached(rule["id"])
    anywhere = not rule.get("when") and not any((rule.get("valid") or {}).values())
    return anywhere and (places is None or {} in places)
