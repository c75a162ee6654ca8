"""A policy in plain Python: the rules of `policies/lib`, written a second time to check the first.

It is naive on purpose, and takes the same packs as the engines do.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from gateway.adapters.packs import well_formed
from gateway.core.errors import Code, Unavailable
from gateway.core.ids import new_id
from gateway.core.policy import Decision, Question, Verdict

SEVERITIES = ("critical", "high", "medium", "low")


class FakePolicy:
    """Implements `Policy` over a pack's data, or over one fixed answer."""

    def __init__(self, pack: Mapping[str, Any], revision: str) -> None:
        self._pack = pack
        self._revision = revision
        self._well_formed = well_formed()
        self.failing: Unavailable | None = None
        """Raised instead of an answer, for as long as it is set."""
        self.asked: list[Question] = []

    @property
    def revision(self) -> str:
        return self._revision

    async def decide(self, question: Question) -> Decision:
        self.asked.append(question)
        if self.failing is not None:
            raise self.failing
        try:
            asked = orjson.loads(orjson.dumps(question))
        except TypeError as error:
            raise Unavailable(Code.POLICY_ERROR, "The question is not JSON.") from error
        return Decision(new_id("dec"), self._revision, Verdict.parse(self.answer(asked)))

    def answer(self, question: Question) -> object:
        """What an engine would answer, as decoded JSON."""
        if not self._well_formed(question):
            return _verdict("deny", [_MALFORMED])
        return _Evaluation(self._pack, question).verdict()


class FixedPolicy(FakePolicy):
    """Answers every question with the same, whatever it is worth."""

    def __init__(self, answer: object, revision: str = "sha256:fixed") -> None:
        super().__init__({}, revision)
        self._answer = answer

    def answer(self, question: Question) -> object:
        return self._answer


ALLOW: dict[str, Any] = {
    "effect": "allow",
    "reasons": [],
    "obligations": [],
    "observed": [],
    "overridden": [],
}

_MALFORMED = {
    "rule": "default",
    "code": "question_malformed",
    "message": {
        "en": "The policy was asked in a form that it does not know.",
        "fr": "La question posée à la politique n'a pas la forme attendue.",
    },
    "severity": "high",
    "facts": {},
}


class _Hit:
    """A rule that something of the question meets."""

    def __init__(self, id: str, rule: Mapping[str, Any], would: str, **facts: Any) -> None:
        self.id = id
        self.rule = rule
        self.would = would
        self.facts = facts

    @property
    def reason(self) -> dict[str, Any]:
        rule = self.rule
        return {
            "rule": self.id,
            "code": rule["code"],
            "message": rule["message"],
            "severity": rule["severity"],
            "facts": self.facts,
        }


class _Evaluation:
    def __init__(self, pack: Mapping[str, Any], question: Question) -> None:
        self.pack = pack
        self.q = question
        self.context = question["context"]
        self.stage = question["action"]["properties"]["stage"]
        self.now = self.context["time"][:19]

    def verdict(self) -> dict[str, Any]:
        rules = [(i, r) for kind in self.pack["rules"].values() for i, r in kind.items()]
        hits = [hit for id, rule in rules if self.in_force(rule) for hit in self.hits(id, rule)]
        if self.stage == "tool_call":
            hits = [hit for hit in hits if hit.would in ("allow", "deny", "review")]
        hits.sort(key=lambda hit: hit.id)
        overridden, enforced = [], []
        for hit in (hit for hit in hits if hit.rule["mode"] == "enforce" or hit.rule["floor"]):
            waivers = self.waivers(hit.id)
            if hit.rule["floor"]:
                overridden += [{"rule": waiver, "by": hit.id} for waiver in waivers]
            elif waivers:
                overridden.append({"rule": hit.id, "by": min(waivers)})
                continue
            enforced.append(hit)
        observed = [
            {"rule": hit.id, "would": hit.would} for hit in hits if hit.rule["mode"] == "observe"
        ]
        overridden.sort(key=lambda entry: (entry["by"], entry["rule"]))
        spoken = [hit for hit in hits if hit.rule["mode"] == "enforce"]
        denials = [hit.reason for hit in enforced if hit.would == "deny"]
        denials += self.defaults(enforced, spoken)
        reviews = [hit.reason for hit in enforced if hit.would == "review"]
        told = _told(enforced)
        if denials:
            return _verdict("deny", denials, told, observed, overridden)
        if reviews and (self.context["review"] or {}).get("state") != "approved":
            return _verdict("review", reviews, told, observed, overridden)
        duties = _duties(enforced, self.context["request"]["tools"], self.stage)
        return _verdict("allow", [hit.reason for hit in enforced], duties, observed, overridden)

    def in_force(self, scope: Mapping[str, Any]) -> bool:
        begun = scope.get("from") is None or scope["from"] <= self.now
        over = scope["until"] is not None and scope["until"] <= self.now
        places = scope.get("attached")
        attached = places is None or any(self.applies(where) for where in places)
        return begun and not over and attached and self.applies(scope["when"])

    def applies(self, when: Mapping[str, Any]) -> bool:
        subject, resource = self.q["subject"], self.q["resource"]
        selected = {
            "apps": lambda wanted: _like(wanted, subject["id"]),
            "teams": lambda wanted: _like(wanted, subject["properties"]["team"]),
            "tags": lambda wanted: bool(set(wanted) & set(subject["properties"]["tags"])),
            "models": lambda wanted: _like(wanted, resource["id"]),
            "hosting": lambda wanted: resource["properties"]["hosting"] in wanted,
            "regions": lambda wanted: resource["properties"]["region"] in wanted,
        }
        return all(selected[selector](wanted) for selector, wanted in when.items())

    def waivers(self, rule: str) -> list[str]:
        exceptions = self.pack["exceptions"].get(rule, {})
        return [name for name, exception in exceptions.items() if self.in_force(exception)]

    def hits(self, id: str, rule: Mapping[str, Any]) -> Iterable[_Hit]:
        match rule["kind"]:
            case "model_access":
                model = self.q["resource"]["id"]
                if _like(rule["params"]["models"], model):
                    yield _Hit(id, rule, "allow", model=model)
            case "tool_access":
                yield from self.tool_hits(id, rule)
            case "pii" | "secret" | "phrase":
                yield from self.finding_hits(id, rule)
            case "opaque":
                yield from self.opaque_hits(id, rule)
            case "unavailable":
                wanted = rule["params"]["inspectors"]
                names = {name for name in self.context["unavailable"] if _like(wanted, name)}
                if names:
                    would = {"closed": "deny", "open": "allow"}[rule["on_error"]]
                    yield _Hit(id, rule, would, inspectors=sorted(names))
            case "label":
                yield _Hit(id, rule, "label", labels=rule["params"]["labels"])
            case "cache":
                yield _Hit(id, rule, "cache", seconds=rule["params"]["seconds"])
            case "residency":
                yield from self.residency_hits(id, rule)
            case "identifier":
                yield _Hit(id, rule, rule["on_match"])
            case "response":
                yield _Hit(id, rule, "respond_with", how=rule["params"]["how"])

    def tool_hits(self, id: str, rule: Mapping[str, Any]) -> Iterable[_Hit]:
        params, on_match = rule["params"], rule["on_match"]
        call = self.context["tool_call"]
        tools = [call["name"]] if call else self.context["request"]["tools"]
        refused = {
            tool
            for tool in tools
            if not _like(params["allow"], tool) or _like(params["deny"], tool)
        }
        if refused:
            restricted = "deny" if call else "restrict_tools"
            would = restricted if on_match == "restrict" else on_match
            yield _Hit(id, rule, would, count=len(refused), tools=sorted(refused))

    def finding_hits(self, id: str, rule: Mapping[str, Any]) -> Iterable[_Hit]:
        params = rule["params"]
        found = Counter(
            finding["label"]
            for finding in self.context["findings"]
            if finding["kind"] == rule["kind"]
            and finding["direction"] == params["direction"]
            and finding["label"] in params["labels"]
            and finding["score"] >= params["min_score"]
        )
        counted = {"count": found.total(), "labels": dict(found)}
        if params["direction"] == "input":
            if found:
                yield _Hit(id, rule, rule["on_match"], **counted)
        elif self.stage == "request":
            yield _Hit(id, rule, "screen", labels=params["labels"])
        elif found and rule["on_match"] == "filter":
            yield _Hit(id, rule, "deny", **counted)

    def opaque_hits(self, id: str, rule: Mapping[str, Any]) -> Iterable[_Hit]:
        params = rule["params"]
        parts = (
            [
                finding["label"]
                for finding in self.context["findings"]
                if finding["kind"] == "opaque" and finding["direction"] == "input"
            ]
            if params["direction"] == "input"
            else self.context["request"]["answers"]
        )
        found = Counter(part for part in parts if part in params["modalities"])
        if found:
            yield _Hit(id, rule, rule["on_match"], count=found.total(), labels=dict(found))

    def residency_hits(self, id: str, rule: Mapping[str, Any]) -> Iterable[_Hit]:
        params = rule["params"]
        found = Counter(
            finding["label"]
            for finding in self.context["findings"]
            if finding["direction"] == "input"
            and finding["score"] >= params["min_score"]
            and finding["label"] in (params["labels"] or ())
        )
        if params["labels"] is None or found:
            yield _Hit(id, rule, "reroute", count=found.total(), labels=dict(found))

    def defaults(self, enforced: Sequence[_Hit], spoken: Sequence[_Hit]) -> list[dict[str, Any]]:
        denials = []
        if not any(hit.rule["kind"] == "model_access" for hit in enforced):
            facts = {"model": self.q["resource"]["id"]}
            denials.append({**_NOT_ADMITTED, "facts": facts})
        covered = {
            name
            for hit in spoken
            if hit.rule["kind"] == "unavailable"
            for name in hit.facts["inspectors"]
        }
        if left := set(self.context["unavailable"]) - covered:
            denials.append({**_NOT_INSPECTED, "facts": {"inspectors": sorted(left)}})
        return denials


_NOT_ADMITTED = {
    "rule": "default.model",
    "code": "model_not_admitted",
    "message": {
        "en": "No rule admits this model for this caller.",
        "fr": "Aucune règle n'admet ce modèle pour cet appelant.",
    },
    "severity": "medium",
}

_NOT_INSPECTED = {
    "rule": "default.unavailable",
    "code": "inspection_unavailable",
    "message": {
        "en": "The request could not be inspected.",
        "fr": "La requête n'a pas pu être inspectée.",
    },
    "severity": "high",
}


def _verdict(
    effect: str,
    reasons: Sequence[Mapping[str, Any]],
    obligations: Sequence[object] = (),
    observed: Sequence[object] = (),
    overridden: Sequence[object] = (),
) -> dict[str, Any]:
    ranked = sorted(reasons, key=lambda r: (SEVERITIES.index(r["severity"]), r["rule"]))
    return {
        "effect": effect,
        "reasons": ranked,
        "obligations": list(obligations),
        "observed": list(observed),
        "overridden": list(overridden),
    }


def _like(patterns: Iterable[str], text: str | None) -> bool:
    return text is not None and any(
        re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text, re.DOTALL)
        for pattern in patterns
    )


def _duties(enforced: Sequence[_Hit], tools: Sequence[str], stage: str) -> list[dict[str, Any]]:
    duties: list[dict[str, Any]] = []

    def owe(id: str, hits: Sequence[_Hit], **params: Any) -> None:
        duties.append({"id": id, "params": params, "rule": ",".join(hit.id for hit in hits)})

    due = {would: [hit for hit in enforced if hit.would == would] for would in _DUTIES}
    if moves := due["reroute"]:
        owe("reroute", moves, **_narrowed([hit.rule["params"] for hit in moves]))
    if named := due["pseudonymise"]:
        owe("pseudonymise", named)
    if masks := due["mask"]:
        labels = sorted({label for hit in masks for label in hit.facts["labels"]})
        owe("mask", masks, labels=labels, min_score=_least(masks, "min_score"))
    caps = [hit for hit in enforced if hit.rule["params"].get("max_output_tokens")]
    if caps and stage == "request":
        owe("cap_tokens", caps, most=_least(caps, "max_output_tokens"))
    if restrictions := due["restrict_tools"]:
        refused = {tool for hit in restrictions for tool in hit.facts["tools"]}
        owe("restrict_tools", restrictions, allowed=sorted(set(tools) - refused))
    for on_match in ("filter", "redact"):
        for unit in ("sentence", "paragraph", "whole"):
            screens = [
                hit
                for hit in due["screen"]
                if (hit.rule["on_match"], hit.rule["params"]["unit"]) == (on_match, unit)
            ]
            if screens:
                owe(
                    "screen",
                    screens,
                    kinds=sorted({hit.rule["kind"] for hit in screens}),
                    labels=sorted({la for hit in screens for la in hit.rule["params"]["labels"]}),
                    min_score=_least(screens, "min_score"),
                    on_match=on_match,
                    unit=unit,
                )
    if marks := due["label"]:
        owe(
            "label",
            marks,
            labels=sorted({m for hit in marks for m in hit.rule["params"]["labels"]}),
        )
    if keeps := due["cache"]:
        owe("cache", keeps, seconds=_least(keeps, "seconds"))
    return [*duties, *_told(enforced)]


_DUTIES = ("reroute", "pseudonymise", "mask", "restrict_tools", "screen", "label", "cache")


def _narrowed(wanted: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    params: dict[str, Any] = {}
    for name in ("hosting", "region", "providers", "tags"):
        lists = [set(each[name]) for each in wanted if each[name] is not None]
        if lists:
            join = set.union if name == "tags" else set.intersection
            params[name] = sorted(join(*lists))
    return params


def _told(enforced: Sequence[_Hit]) -> list[dict[str, Any]]:
    hits = [hit for hit in enforced if hit.would == "respond_with"]
    for how in ("error", "content_filter", "refusal", "message"):
        asking = [hit for hit in hits if hit.facts["how"] == how]
        if asking:
            words = [hit.rule["params"]["message"] for hit in asking]
            texts = [{"message": text} for text in words if text is not None] or [{}]
            params = {"how": how, **texts[0]}
            rule = ",".join(hit.id for hit in asking)
            return (
                [] if how == "error" else [{"id": "respond_with", "params": params, "rule": rule}]
            )
    return []


def _least(hits: Sequence[_Hit], param: str) -> Any:
    return min(hit.rule["params"][param] for hit in hits)
