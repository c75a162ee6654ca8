"""Whether a changed rule may let pass what did not pass before.

Only what is shown to be as strict or stricter is not widening; everything else is, also what
this file does not know. Rules are as engines take them: see `Rules`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from gateway.core.rulesets import Json

_Judge: TypeAlias = Callable[[Any, Any], bool]

RESTRICTING = frozenset(
    {"pii", "secret", "phrase", "tool_access", "opaque", "residency", "identifier", "label"}
)
"""Kinds of which each rule refuses, holds, changes or marks something."""
CUSTOM = "custom:"
"""What the kinds begin with that packs bring: they refuse or hold. What another module of one
refuses is not known."""
PERMITTING = frozenset({"model_access", "cache"})
"""Kinds of which each rule lets something be."""
NEUTRAL = frozenset({"response"})
"""Kinds that change how a refusal is told, and nothing of what is refused."""
_PATTERNS = frozenset({"apps", "teams", "models"})
"""Selectors whose values are patterns; those of the others are names."""
SHARED = frozenset({"mask", "filter", "redact"})
"""Endings of which rules that find something share one duty, with the lowest score of any."""
_TOLD = ("code", "severity", "message")
"""Members that only tell: callers, reports."""
_STRICTER = frozenset({("redact", "filter")})
"""What is stricter than another ending, besides `deny`, which is the strictest of all. A review
is not stricter than a mask: what a person approves passes without it."""


def added(rule: Json) -> Sequence[str]:
    """Why a rule that was not there, or was off, may let more pass; empty where it cannot."""
    if rule["mode"] != "enforce" or rule["kind"] in NEUTRAL or _restricts(rule):
        return []
    return [f"a new {rule['kind']} rule lets something be"]


def removed(rule: Json) -> Sequence[str]:
    """Why more may pass without a rule; the same where it is switched off."""
    if rule["mode"] != "enforce" or rule["kind"] in NEUTRAL:
        return []
    if _restricts(rule):
        return ["what it refused, held, changed or marked may pass as it is"]
    if rule["params"].get("max_output_tokens") is not None:
        return ["its limit on the output does not hold any more"]
    return [] if rule["kind"] in PERMITTING | {"unavailable"} else ["nothing is known of its kind"]


@dataclass(frozen=True, slots=True)
class Around:
    """What a rule rests on besides itself."""

    phrases: frozenset[str] = frozenset()
    """Those that it looked for, of its list."""
    phrases_now: frozenset[str] = frozenset()
    shared: bool = False
    """Whether another rule shared its duty, and was the stricter for it."""


def changed(before: Json, after: Json, around: Around) -> Sequence[str]:
    """Why a rule that is another now may let more pass; empty where it cannot."""
    if before["mode"] != "enforce":
        return added(after)
    if after["mode"] != "enforce":
        return removed(before) and ["it is not enforced any more"]
    if before["kind"] != after["kind"]:
        return ["it is of another kind"]
    if before["kind"] in NEUTRAL:
        return []
    if not _restricts(before) and not _restricts(after):
        return _permits_more(before, after)
    if _restricts(before) and _restricts(after):
        return _restricts_less(before, after, around)
    if _restricts(before):
        return ["what cannot be inspected passes"]
    return _same_scope(before, after)  # from open to closed


def exception_changed(before: Json | None, after: Json | None, rule: Json | None) -> Sequence[str]:
    """Why more may pass with an exception that was added, changed or removed. `rule` is the one
    that it sets aside, as it is now."""
    if rule is None or not _restricts(rule):
        return [] if before == after else ["it is about a rule that lets something be"]
    if after is None:
        return []
    if before is None:
        return ["a new exception sets the rule aside"]
    if before["rule"] != after["rule"]:
        return ["it sets another rule aside"]
    why = []
    if not _ends_no_later(after["until"], before["until"]):
        why.append("the exception holds for longer")
    if not _covers(before["when"], after["when"]):
        why.append("the exception holds for others too")
    return why


def _restricts(rule: Json) -> bool:
    kind = rule["kind"]
    return (
        kind in RESTRICTING
        or kind.startswith(CUSTOM)
        or (kind == "unavailable" and rule["on_error"] == "closed")
    )


def _restricts_less(before: Json, after: Json, around: Around) -> list[str]:
    why = []
    if before["floor"] and not after["floor"]:
        why.append("exceptions may set it aside")
    if not _begins_no_later(after["from"], before["from"]):
        why.append("it begins to hold later")
    if not _ends_no_later(before["until"], after["until"]):
        why.append("it ends to hold sooner")
    if not _covers(after["when"], before["when"]) or not _attached_covers(after, before):
        why.append("it does not apply everywhere it did")
    if not _as_strict(before["on_match"], after["on_match"]):
        why.append(f"it says {after['on_match']} where it said {before['on_match']}")
    elif before["on_match"] != after["on_match"] and around.shared:
        why.append("rules that share its duty are weaker without it")
    if before["on_error"] != after["on_error"]:
        why.append("it does something else on an error")
    return [*why, *_params_less(before, after, around), *_unknown(before, after)]


def _permits_more(before: Json, after: Json) -> list[str]:
    if before["params"].get("max_output_tokens") is not None:
        # where a rule with a limit does not apply, another may admit without one
        why = _same_scope(before, after)
        if before["params"]["models"] != after["params"]["models"]:
            why.append("its limit holds for other models")
        now = after["params"]["max_output_tokens"]
        if now is None or now > before["params"]["max_output_tokens"]:
            why.append("its limit on the output is higher")
        return [*why, *_unknown(before, after)]
    why = []
    if not _begins_no_later(before["from"], after["from"]):
        why.append("it begins to hold sooner")
    if not _ends_no_later(after["until"], before["until"]):
        why.append("it ends to hold later")
    if not _covers(before["when"], after["when"]) or not _attached_covers(before, after):
        why.append("it applies where it did not")
    return [*why, *_params_more(before, after), *_unknown(before, after)]


def _same_scope(before: Json, after: Json) -> list[str]:
    """Where nothing may move, as either direction could let something pass."""
    moved = [k for k in ("floor", "from", "until", "when", "attached") if before[k] != after[k]]
    if before["kind"] == "unavailable" and before["params"] != after["params"]:
        moved.append("inspectors")
    return ["it applies elsewhere, or at other times"] if moved else []


def _params_less(before: Json, after: Json, around: Around) -> list[str]:
    """What of the parameters of a restricting rule may be weaker."""
    kind = before["kind"]
    if kind == "phrase":
        all_there = around.phrases_now >= around.phrases
        missed = [] if all_there else ["phrases are not looked for any more"]
        return [*missed, *_weaker(before, after, _JUDGED[kind], skip=("labels",))]
    judged = _JUDGED.get(kind)
    if judged is None:
        return [] if before["params"] == after["params"] else ["its parameters are others"]
    return _weaker(before, after, judged)


def _params_more(before: Json, after: Json) -> list[str]:
    """What of the parameters of a permitting rule may be wider."""
    judged = _JUDGED.get(f"{before['kind']} open", _JUDGED.get(before["kind"], {}))
    return _weaker(before, after, judged)


def _weaker(
    before: Json,
    after: Json,
    judged: Mapping[str, _Judge],
    skip: Sequence[str] = (),
) -> list[str]:
    was, now = before["params"], after["params"]
    names = sorted((was.keys() | now.keys()) - set(skip))
    return [
        f"{name} is weaker, or another"
        for name in names
        if not judged.get(name, _same)(was.get(name), now.get(name))
    ]


def _unknown(before: Json, after: Json) -> list[str]:
    """Members that are others, and of which nothing is known here."""
    known = {
        "id", "kind", "mode", "floor", "from", "until", "when", "attached", "params", "on_match",
        "on_error", *_TOLD,
    }  # fmt: skip
    names = (before.keys() | after.keys()) - known
    return [f"{name} is another" for name in sorted(names) if before.get(name) != after.get(name)]


def _as_strict(before: str | None, after: str | None) -> bool:
    return before == after or after == "deny" or (before, after) in _STRICTER


def _covers(wide: Mapping[str, Sequence[str]], narrow: Mapping[str, Sequence[str]]) -> bool:
    """Whether `wide` selects all that `narrow` selects: selectors narrow, their values widen."""
    return all(
        name in narrow and (_more if name in _PATTERNS else _names)(narrow[name], values)
        for name, values in wide.items()
    )


def _attached_covers(wide: Json, narrow: Json) -> bool:
    if wide["attached"] is None:
        return True
    if narrow["attached"] is None:
        return False
    return all(any(_covers(w, n) for w in wide["attached"]) for n in narrow["attached"])


def _begins_no_later(one: str | None, other: str | None) -> bool:
    return one is None or (other is not None and one <= other)


def _ends_no_later(one: str | None, other: str | None) -> bool:
    return other is None or (one is not None and one <= other)


def _same(before: Any, after: Any) -> bool:
    return bool(before == after)


def _more(before: Sequence[str], after: Sequence[str]) -> bool:
    """Whether nothing is lacking: patterns and names count as they are written."""
    return "*" in after or set(before) <= set(after)


def _names(before: Sequence[str] | None, after: Sequence[str] | None) -> bool:
    return set(before or ()) <= set(after or ())


def _fewer(before: Sequence[str], after: Sequence[str]) -> bool:
    return _more(after, before)


def _lower(before: float | None, after: float | None) -> bool:
    return before == after or (before is not None and after is not None and after <= before)


def _some_or_all(before: Sequence[str] | None, after: Sequence[str] | None) -> bool:
    """None speaks of every request."""
    return after is None or (before is not None and set(before) <= set(after))


def _some_of(before: Sequence[str] | None, after: Sequence[str] | None) -> bool:
    """None admits every target."""
    return before is None or (after is not None and set(after) <= set(before))


_FINDING: Mapping[str, _Judge] = {"labels": _names, "min_score": _lower}
_JUDGED: Mapping[str, Mapping[str, _Judge]] = {
    "pii": _FINDING,
    "secret": _FINDING,
    "phrase": {"min_score": _lower},
    "tool_access": {"allow": _fewer, "deny": _more},
    "opaque": {"modalities": _names, "labels": _names},
    "label": {"labels": _names},
    "residency": {
        "labels": _some_or_all,
        "min_score": _lower,
        "hosting": _some_of,
        "region": _some_of,
        "providers": _some_of,
        "tags": _names,
    },
    "unavailable": {"inspectors": _more},
    "unavailable open": {"inspectors": _fewer},
    "model_access": {"models": _fewer, "max_output_tokens": lambda was, now: was is None},
    "cache": {"seconds": _lower},
}
"""By kind: whether a parameter is as strict after as before. Any other must be the same."""
