"""What widens: each way by itself, and, with the real engine, that nothing else does."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.adapters.opa_wasm import WasmPolicy
from gateway.adapters.packs import engine, question_of
from gateway.core.policy import Verdict
from gateway.core.rulesets import Rules
from gateway.governance.policies.diff import compare
from tests.fakes.packs import rule


def widens(before: dict[str, Any] | None, after: dict[str, Any] | None) -> bool:
    def rules(one: dict[str, Any] | None) -> Rules:
        on = one is not None and one["mode"] != "off"
        return Rules("r", {"a": one} if on and one else {})

    return compare(rules(before), rules(after)).widening


def of(kind: str, *, on_match: str | None = None, on_error: str | None = None, **more: Any) -> Any:
    known = {k: more.pop(k) for k in ("when", "attached", "mode") if k in more}
    return rule(kind=kind, on_match=on_match, on_error=on_error, params=more, **known)


EARLY, LATE = "2026-01-01T00:00:00", "2027-01-01T00:00:00"
CAPPED = of("model_access", models=["a"], max_output_tokens=100)
ADMITS = of("model_access", models=["a"], max_output_tokens=None)
TOOLS = of("tool_access", on_match="deny", allow=["a*", "b"], deny=["c"])
EU = of("residency", labels=["X"], min_score=0.5, hosting=None, region=["eu"], tags=["iso"])
CLOSED = of("unavailable", on_error="closed", inspectors=["*"])
OPEN = of("unavailable", on_error="open", inspectors=["pii"])
WIDER: list[tuple[str, Any, Any]] = [
    ("gone", rule(), None),
    ("off", rule(), rule(mode="off")),
    ("observed", rule(), rule(mode="observe")),
    ("a higher score", rule(), rule(min_score=0.6)),
    ("fewer labels", rule(labels=["A", "B"]), rule(labels=["A"])),
    ("another direction", rule(), rule(direction="output")),
    ("no floor", rule(floor=True), rule()),
    ("later", rule(), rule(**{"from": LATE})),
    ("later still", rule(**{"from": EARLY}), rule(**{"from": LATE})),
    ("not for ever", rule(), rule(until=LATE)),
    ("sooner over", rule(until=LATE), rule(until=EARLY)),
    ("for some", rule(), rule(when={"teams": ["sales"]})),
    ("for fewer", rule(when={"teams": ["a", "b"]}), rule(when={"teams": ["a"]})),
    ("for those of both", rule(when={"teams": ["a"]}), rule(when={"teams": ["a"], "tags": ["x"]})),
    ("a star is no tag", rule(when={"tags": ["x"]}), rule(when={"tags": ["*"]})),
    ("attached", rule(), rule(attached=[{"teams": ["a"]}])),
    ("attached nowhere", rule(attached=[{"teams": ["a"]}]), rule(attached=[])),
    ("masked, not refused", rule(on_match="deny"), rule()),
    ("held, not refused", rule(on_match="deny"), rule(on_match="review")),
    ("held, not masked", rule(), rule(on_match="review")),
    ("struck out, not stopped", rule(on_match="filter"), rule(on_match="redact")),
    ("another kind", rule(), rule(kind="secret")),
    ("a kind that nobody knows", of("magic", x=1), of("magic", x=2)),
    ("and it is gone", of("magic", x=1), None),
    ("and it is new", None, of("magic", x=1)),
    ("a member that nobody knows", rule(), rule() | {"spell": 1}),
    ("a parameter that nobody knows", rule(), rule(spell=1)),
    ("a new admission", None, ADMITS),
    ("an admission that is on", rule() | ADMITS | {"mode": "observe"}, ADMITS),
    ("more models", ADMITS, of("model_access", models=["a", "b"], max_output_tokens=None)),
    ("a limit gone", CAPPED, ADMITS),
    ("a rule with a limit gone", CAPPED, None),
    ("a limit for fewer", CAPPED, CAPPED | {"when": {"teams": ["a"]}}),
    ("a higher limit", CAPPED, of("model_access", models=["a"], max_output_tokens=101)),
    ("a new cache", None, of("cache", seconds=1)),
    ("a longer cache", of("cache", seconds=1), of("cache", seconds=2)),
    ("more tools", TOOLS, of("tool_access", on_match="deny", allow=["a*", "b", "d"], deny=["c"])),
    ("fewer denied", TOOLS, of("tool_access", on_match="deny", allow=["a*", "b"], deny=[])),
    ("taken away, not refused", TOOLS, TOOLS | {"on_match": "restrict"}),
    ("more regions", EU, EU | {"params": EU["params"] | {"region": ["eu", "us"]}}),
    ("any region", EU, EU | {"params": EU["params"] | {"region": None}}),
    ("fewer tags", EU, EU | {"params": EU["params"] | {"tags": None}}),
    ("for what is found", EU | {"params": EU["params"] | {"labels": None}}, EU),
    ("errors open", CLOSED, OPEN),
    ("a new opening", None, OPEN),
    ("more open", OPEN, of("unavailable", on_error="open", inspectors=["pii", "x"])),
    ("marks gone", of("label", labels=["a", "b"]), of("label", labels=["a"])),
]
NO_WIDER: list[tuple[str, Any, Any]] = [
    ("new", None, rule()),
    ("new but observed", None, ADMITS | {"mode": "observe"}),
    ("observed and gone", rule(mode="observe"), None),
    ("observed and less", rule(mode="observe"), rule(mode="observe", min_score=0.9)),
    ("a lower score", rule(), rule(min_score=0.4)),
    ("more labels", rule(labels=["A"]), rule(labels=["B", "A"])),
    ("a floor", rule(), rule(floor=True)),
    ("sooner", rule(**{"from": LATE}), rule(**{"from": EARLY})),
    ("for ever", rule(until=LATE), rule()),
    ("for all", rule(when={"teams": ["sales"]}), rule()),
    ("for more", rule(when={"teams": ["a"]}), rule(when={"teams": ["a", "b"]})),
    ("for any team", rule(when={"teams": ["a"]}), rule(when={"teams": ["*"]})),
    ("not attached", rule(attached=[{"teams": ["a"]}]), rule()),
    ("attached to more", rule(attached=[{"apps": ["a"]}]), rule(attached=[{}, {"apps": ["b"]}])),
    ("refused, not masked", rule(), rule(on_match="deny")),
    ("stopped, not struck out", rule(on_match="redact"), rule(on_match="filter")),
    ("words", rule(), rule(message={"en": "No."}, severity="low", code="other")),
    ("told otherwise", of("response", how="error"), of("response", how="message", message="No.")),
    ("not told", of("response", how="error"), None),
    ("an admission gone", ADMITS, None),
    ("a limit", ADMITS, CAPPED),
    ("a lower limit", CAPPED, of("model_access", models=["a"], max_output_tokens=99)),
    ("fewer tools", TOOLS, of("tool_access", on_match="deny", allow=["b"], deny=["c", "d"])),
    ("fewer regions", EU, EU | {"params": EU["params"] | {"hosting": ["internal"]}}),
    ("errors closed", OPEN, of("unavailable", on_error="closed", inspectors=["pii"])),
    ("less open", OPEN, None),
    ("shorter cache", of("cache", seconds=2), of("cache", seconds=1)),
    ("no cache", of("cache", seconds=2), None),
]


@pytest.mark.parametrize(("before", "after"), [c[1:] for c in WIDER], ids=[c[0] for c in WIDER])
def test_what_widens(before: Any, after: Any) -> None:
    assert widens(before, after)


@pytest.mark.parametrize(
    ("before", "after"), [c[1:] for c in NO_WIDER], ids=[c[0] for c in NO_WIDER]
)
def test_what_does_not(before: Any, after: Any) -> None:
    assert not widens(before, after)


WAIVED = {"rule": "a", "until": "2027-01-01T00:00:00", "when": {"teams": ["x"]}}
EXCEPTIONS: list[tuple[Any, Any, Any, bool]] = [
    (rule(), None, WAIVED, True),
    (rule(), WAIVED, None, False),
    (rule(), WAIVED, WAIVED | {"until": "2027-01-02T00:00:00"}, True),
    (rule(), WAIVED, WAIVED | {"until": "2026-12-31T00:00:00"}, False),
    (rule(), WAIVED, WAIVED | {"when": {}}, True),
    (rule(), WAIVED, WAIVED | {"when": {"teams": ["x"], "apps": ["y"]}}, False),
    (ADMITS, None, WAIVED, True),
    (ADMITS, WAIVED, None, True),
]


def test_a_kind_that_a_pack_brings_restricts_and_other_code_may_restrict_less() -> None:
    rule = of("custom:ceiling", on_match="deny", module="ceiling_1", params={"most": 4})
    assert not widens(None, rule)
    assert widens(rule, None)
    assert not widens(rule, {**rule, "severity": "low"})
    assert not widens({**rule, "on_match": "review"}, rule)
    assert widens(rule, {**rule, "on_match": "review"})
    assert widens(rule, {**rule, "module": "ceiling_2"})
    assert widens(rule, {**rule, "params": {"most": 3}})
    assert widens(rule, {**rule, "mode": "observe"})


@pytest.mark.parametrize(("about", "before", "after", "expected"), EXCEPTIONS)
def test_exceptions(about: Any, before: Any, after: Any, expected: bool) -> None:
    was, now = (Rules("r", {"a": about}, {"e": one} if one else {}) for one in (before, after))
    assert compare(was, now).widening is expected


WHENS = st.sampled_from(
    [{}, {}, {"teams": ["a"]}, {"teams": ["a", "b"]}, {"hosting": ["internal"]}]
)
LABELS = st.sampled_from([["EMAIL_ADDRESS"], ["PHONE_NUMBER"], ["EMAIL_ADDRESS", "PHONE_NUMBER"]])
COMMON: dict[str, Any] = {
    "mode": st.sampled_from(["enforce", "enforce", "enforce", "observe"]),
    "when": WHENS,
    "attached": st.sampled_from([None, None, [{}], [{"teams": ["a"]}], []]),
    "until": st.sampled_from([None, None, "2025-06-01T00:00:00", "2026-06-01T00:00:00"]),
    "on_match": st.sampled_from(["mask", "mask", "deny", "review"]),
    "labels": LABELS,
    "min_score": st.sampled_from([0.3, 0.5, 0.8]),
}
"""What a rule about personal data may say; its parameters too."""
ADMITTING: dict[str, Any] = {
    **{name: COMMON[name] for name in ("mode", "when", "attached", "until")},
    "models": st.sampled_from([["*"], ["*"], ["m1"], ["m1", "m2"]]),
    "max_output_tokens": st.sampled_from([None, 50, 100]),
}
PLAIN = {"floor": False, "direction": "input", "unit": "sentence"}


def admitting(given: dict[str, Any]) -> dict[str, Any]:
    params = {name: given[name] for name in ("models", "max_output_tokens")}
    rest = {name: one for name, one in given.items() if name not in params}
    return rule(kind="model_access", on_match=None, params=params, **rest)


MEMBERS = {"p1": COMMON, "p2": COMMON, "m1": ADMITTING, "m2": ADMITTING}


def made(given: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {
        id: admitting(one) if id.startswith("m") else rule(**PLAIN, **one)
        for id, one in given.items()
    }


ALWAYS: dict[str, Any] = {"mode": "enforce", "when": {}, "attached": None, "until": None}
"""A rule as most are; those that are compared have one member or two of their own."""


def most(members: dict[str, Any], **usual: Any) -> st.SearchStrategy[dict[str, Any]]:
    """A rule as most are, but for one member."""
    plain = {**ALWAYS, **usual}
    one = st.sampled_from(sorted(members)).flatmap(
        lambda name: members[name].map(lambda value: {**plain, name: value})
    )
    return st.one_of(st.just(plain), one)


MASKS = most(COMMON, on_match="mask", labels=["EMAIL_ADDRESS"], min_score=0.3)
ADMITS_ALL = most(ADMITTING, models=["*"], max_output_tokens=None)
BEFORE = st.fixed_dictionaries(
    {"p1": MASKS, "m1": ADMITS_ALL},
    optional={
        "p2": most(COMMON, on_match="mask", labels=["PHONE_NUMBER"], min_score=0.5),
        "m2": most(ADMITTING, models=["m1"], max_output_tokens=50),
    },
)
FOUND: list[list[dict[str, Any]]] = [
    [],
    [{"kind": "pii", "label": "EMAIL_ADDRESS", "score": 0.4}],
    [{"kind": "pii", "label": "PHONE_NUMBER", "score": 0.4}],
    [{"kind": "pii", "label": "EMAIL_ADDRESS", "score": 0.6},
     {"kind": "pii", "label": "PHONE_NUMBER", "score": 0.9}],
]  # fmt: skip
ASKED = [
    {"team": team, "model": model, "hosting": hosting, "findings": found}
    for team in ("a", "c")
    for model in ("m1", "m3")
    for hosting in ("external", "internal")
    for found in FOUND
]
STRICT = {"allow": 0, "review": 1, "deny": 2}


def decided(rules: dict[str, Any]) -> list[Verdict]:
    kinds: dict[str, Any] = {}
    for id, one in rules.items():
        kinds.setdefault(one["kind"], {})[id] = one
    data = {"packs": {}, "rules": kinds, "exceptions": {}, "revision": "r"}
    policy = WasmPolicy(engine().read_bytes(), data, "r")

    async def ask() -> list[Verdict]:
        return [(await policy.decide(question_of(question))).verdict for question in ASKED]

    return asyncio.run(ask())


def masked(verdict: Verdict, question: dict[str, Any]) -> set[tuple[str, float]]:
    """The findings that are masked."""
    return {
        (finding["label"], finding["score"])
        for duty in verdict.obligations
        if duty.id == "mask"
        for finding in question["findings"]
        if finding["label"] in duty.params["labels"]
        and finding["score"] >= duty.params["min_score"]
    }


def limit(verdict: Verdict) -> float:
    found = [duty.params["most"] for duty in verdict.obligations if duty.id == "cap_tokens"]
    return min(found, default=float("inf"))


@settings(max_examples=300)
@given(data=st.data(), given=BEFORE)
def test_what_is_not_said_to_widen_lets_nothing_more_pass(
    data: st.DataObject, given: dict[str, dict[str, Any]]
) -> None:
    """One member of one rule is another, or a rule is gone, or new."""
    id = data.draw(st.sampled_from(sorted(MEMBERS)))
    after = dict(given)
    if id not in given:
        after[id] = data.draw(st.fixed_dictionaries(MEMBERS[id]))
    elif data.draw(st.integers(0, 7)) == 0:
        del after[id]
    else:
        name = data.draw(st.sampled_from(sorted(MEMBERS[id])))
        after[id] = {**given[id], name: data.draw(MEMBERS[id][name])}
    before, now = made(given), made(after)
    if before == now or compare(Rules("b", before), Rules("a", now)).widening:
        return
    for question, was, then in zip(ASKED, decided(before), decided(now), strict=True):
        assert STRICT[then.effect] >= STRICT[was.effect]
        if then.effect == was.effect == "allow":
            assert masked(then, question) >= masked(was, question)
            assert limit(then) <= limit(was)
