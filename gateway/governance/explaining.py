"""Why an exchange was decided as it was, in sentences: from what the policy was asked and said.

Neither holds a prompt, but some words of callers: tags, names of tools, a purpose. From those,
personal data is taken out; who used the application, and what they call their session, are left
out altogether.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from gateway.core.audit import StoredParts

_ENDS = {
    "completed": "It was answered.",
    "denied": "It was refused before any answer.",
    "filtered": "Its answer was stopped, as it broke a rule.",
    "failed": "It failed.",
    "cancelled": "The caller hung up.",
    "lost": "The gateway died during it; it was closed afterwards.",
}
_EFFECTS = {
    "allow": "The policy allowed it.",
    "deny": "The policy refused it.",
    "review": "The policy asked for a review by a person.",
}
_READ = ("question", "decision")
_PRIVATE = ("user",)
"""Properties of the subject that are not told."""


class Explanation(msgspec.Struct, frozen=True):
    """Why: sentences to read, and what they rest on. Without a decision, only the sentences."""

    exchange_id: str
    sentences: tuple[str, ...]
    decision: dict[str, Any] | None = None
    """Its id, revision and verdict, as `policies/schemas/decision.json` has it."""
    question: dict[str, Any] | None = None
    """What the policy was asked, without who and which session."""


Clean: TypeAlias = Callable[[str], str]
"""Takes personal data out of a text."""


def explain(
    exchange_id: str,
    entries: Sequence[StoredParts],
    clean: Clean,
    spoken: Mapping[str, str] | None = None,
) -> Explanation:
    """`spoken` is what each rule of the revision that decided does, by its id.

    Raises `ValueError` when what the policy was asked or said cannot be read.
    """
    told: dict[str, Any] = {}
    parts: dict[str, bytes] = {}
    for entry in entries:
        told |= cleaned(entry.header["facts"], clean)
        parts |= {name: part for name, part in (entry.parts or {}).items() if name in _READ}
    asked, verdict = (
        cleaned(msgspec.json.decode(parts[name]), clean) if name in parts else None
        for name in _READ
    )
    question = None if asked is None else _told(asked)
    decided = told.get("decision")
    does = _does(verdict, spoken or {})
    said = [
        *_asked(question),
        *_why(decided, verdict, told),
        *does,
        *_called(told),
        *_ended(told),
    ]
    if decided and verdict is None:
        said.append("What the policy was asked is erased; only the header is left.")
    decision = None if decided is None else {**decided, "verdict": verdict}
    return Explanation(exchange_id, tuple(said), decision, question)


def cleaned(value: Any, clean: Clean) -> Any:
    """JSON with every string in it cleaned, also names."""
    match value:
        case str():
            return clean(value)
        case dict():
            return {clean(name): cleaned(one, clean) for name, one in value.items()}
        case list():
            return [cleaned(one, clean) for one in value]
        case _:
            return value


def _told(question: dict[str, Any]) -> dict[str, Any]:
    properties = question.get("subject", {}).get("properties", {})
    for name in _PRIVATE:
        properties.pop(name, None)
    question.get("context", {}).pop("session", None)
    return question


def _asked(question: Mapping[str, Any] | None) -> Iterator[str]:
    if question is None:
        return
    subject, resource = question["subject"], question["resource"]
    team = subject["properties"]["team"]
    asked = f"App {subject['id']} of team {team} asked {resource['id']}"
    properties = resource["properties"]
    place = " ".join(word for word in (properties["hosting"], properties["region"]) if word)
    yield f"{asked} ({question['action']['name']}) at {properties['provider']}, {place}."
    context = question["context"]
    for finding in context["findings"]:
        scored = f"scored {finding['score']:.2f}"
        yield f"Found: {finding['kind']} {finding['label']} at {finding['where']}, {scored}."
    for name in context["unavailable"]:
        yield f"The inspector {name} could not be asked."


def _why(
    decided: Mapping[str, Any] | None, verdict: Mapping[str, Any] | None, told: Mapping[str, Any]
) -> Iterator[str]:
    if decided is None:
        yield "The policy was not asked."
        return
    yield f"{_EFFECTS[decided['effect']]} Decision {decided['id']}, revision {decided['revision']}."
    if verdict is None:
        return
    for reason in verdict["reasons"]:
        message = reason["message"].get("en") or next(iter(reason["message"].values()), "")
        facts = ", ".join(f"{name}: {_plain(fact)}" for name, fact in reason["facts"].items())
        because = f" because of {facts}" if facts else ""
        yield f"Rule {reason['rule']} fired ({reason['severity']}){because}. {message}".rstrip()
    for duty in verdict["obligations"]:
        yield from _duty(duty, told)
    for other in verdict["observed"]:
        yield f"Rule {other['rule']} only observes; it would have been: {other['would']}."
    for other in verdict["overridden"]:
        yield f"Rule {other['rule']} was set aside by {other['by']}."


def _does(verdict: Mapping[str, Any] | None, spoken: Mapping[str, str]) -> Iterator[str]:
    """What each rule that had a part in it does, once."""
    if verdict is None:
        return
    every = [each for name in ("reasons", "obligations", "observed", "overridden")
             for each in verdict[name]]  # fmt: skip
    for rule in dict.fromkeys(id for each in every for id in each["rule"].split(",")):
        if rule in spoken:
            yield f"Rule {rule} says: {spoken[rule]}"


def revision_of(entries: Sequence[StoredParts]) -> str | None:
    """The revision that decided an exchange; None where none did."""
    for entry in entries:
        decided = entry.header["facts"].get("decision")
        if decided:
            return str(decided["revision"])
    return None


def _duty(duty: Mapping[str, Any], told: Mapping[str, Any]) -> Iterator[str]:
    """What a rule demanded, with its thresholds against the scores, and what came of it."""
    params = ", ".join(f"{name}: {_plain(value)}" for name, value in duty["params"].items())
    said = f"Rule {duty['rule']} demanded {duty['id']}" + (f" ({params})" if params else "")
    least, labels = duty["params"].get("min_score"), duty["params"].get("labels")
    if not told.get("attempts", 0) and told.get("outcome") == "denied":
        yield f"{said}; nothing was sent, so it was not needed."
        return
    yield f"{said}; {_did(duty['id'], told)}."
    if least is None or labels is None or duty["id"] == "label":
        return
    where = "answer_findings" if duty["id"] in ("screen", "validate") else "findings"
    for finding in told.get(where) or ():
        if finding["label"] in labels:
            score = finding["score_milli"] / 1_000
            reached = "reaches" if score >= least else "stays below"
            yield f"{finding['label']} at {finding['where']}: {score:.2f} {reached} {least:.2f}."


def _did(id: str, told: Mapping[str, Any]) -> str:
    """What a duty did, as far as the record says so."""
    match id:
        case "mask":
            same = "request_sent" in told
            return (
                "nothing had to be masked" if same else "the request was rewritten before it left"
            )
        case "label":
            return f"the labels were {_plain(told.get('labels') or [])}"
        case "cache":
            return f"the cache said {told.get('cache') or 'nothing'}"
        case "screen" | "validate":
            stopped = told.get("outcome") == "filtered"
            return "it stopped the answer" if stopped else "the answer was let through"
        case "reroute":
            return f"{told.get('upstream')}/{told.get('upstream_model')} was asked"
        case "respond_with":
            how = told.get("respond_with")
            return f"the caller was told by: {how}" if how else "nothing had to be refused"
        case _:
            return "it was done before anything left"


def _called(told: Mapping[str, Any]) -> Iterator[str]:
    """What the policy said of each tool that the answer called, as far as the header tells."""
    calls = told.get("tool_calls") or ()
    for call in calls:
        tool = call["tool"] or "a tool whose name stands only in the record"
        rules = f" Rules: {_plain(call['rules'])}." if call["rules"] else ""
        yield f"The answer called {tool}. {_EFFECTS[call['effect']]} Decision {call['id']}.{rules}"
    if (more := told.get("tool_calls_count", 0) - len(calls)) > 0:
        yield f"The policy was asked of {more} more tool calls; the record holds them."


def _ended(told: Mapping[str, Any]) -> Iterator[str]:
    if "outcome" not in told:
        yield "It has not ended."
        return
    code = f" Code {told['code']}." if told.get("code") else ""
    yield _ENDS[told["outcome"]] + code
    if told.get("cost_micro_usd"):
        exact = "" if told.get("cost_exact") else " at most"
        yield f"It cost{exact} {told['cost_micro_usd'] / 1_000_000:.6f} dollars."


def _plain(value: Any) -> str:
    match value:
        case list() | tuple():
            return ", ".join(map(_plain, value)) or "none"
        case dict():
            return ", ".join(f"{name} ({_plain(one)})" for name, one in value.items())
        case bool():
            return "yes" if value else "no"
        case None:
            return "none"
        case _:
            return str(value)
