"""Remembered decisions: the same as asking, whatever the pack and the question."""

from __future__ import annotations

import asyncio
import copy
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from gateway.adapters.decision_cache import CachedPolicy
from gateway.adapters.opa_wasm import WasmPolicy
from gateway.adapters.packs import Pack, engine, load_pack, question_of, read_folder
from gateway.core.errors import Code, Unavailable
from gateway.core.policy import Decision, Effect, Question
from gateway.core.ports import Policy
from gateway.settings import baseline_pack
from tests.contracts.policy_cases import (
    APPS,
    HOSTING,
    INSPECTORS,
    LABELS,
    LISTS,
    MODALITIES,
    MODELS,
    MOMENTS,
    SCORES,
    TAGS,
    TEAMS,
    TIMES,
    TOOLS,
    packs,
    questions,
    strange_questions,
    write_pack,
)
from tests.fakes.policy import FakePolicy

MODULE = engine().read_bytes()
BASELINE = load_pack(read_folder(baseline_pack()))


def remembering(pack: Pack = BASELINE, size: int = 100) -> tuple[CachedPolicy, FakePolicy]:
    inner = FakePolicy(pack.data, pack.revision)
    return CachedPolicy(inner, pack.reads, pack.instants, size=size), inner


async def agrees(pack: Pack, policy: Policy, asked: list[dict[str, Any]]) -> None:
    """Whether remembering changes no answer, in this order of questions."""
    cached = CachedPolicy(policy, pack.reads, pack.instants, size=1_000)
    for question in asked:
        expected = (await policy.decide(question)).verdict
        assert (await cached.decide(question)).verdict == expected


CHANGES: dict[str, list[Any]] = {
    "subject/id": APPS,
    "subject/properties/team": [*TEAMS, None],
    "subject/properties/tags": [[], *([tag] for tag in TAGS)],
    "resource/id": MODELS,
    "resource/properties/hosting": [*HOSTING, None],
    "context/time": MOMENTS,
    "context/unavailable": [[], *([name] for name in INSPECTORS)],
    "context/request/tools": [[], *([tool] for tool in TOOLS)],
    "context/request/answers": [["text"], *([name] for name in MODALITIES)],
    "context/review": [None, {"id": "r", "state": "approved"}, {"id": "r", "state": "pending"}],
    "context/findings/0/kind": ["pii", "secret", "phrase", "opaque"],
    "context/findings/0/label": [*LABELS, *LISTS, *MODALITIES],
    "context/findings/0/direction": ["input", "output"],
    "context/findings/0/score": SCORES,
    "context/tool_call/name": TOOLS,
}


def changed(question: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """`question` with another value at `path`; as it is where there is no such place."""
    near = copy.deepcopy(question)
    holder: Any = near
    *way, last = path.split("/")
    for name in way:
        holder = (holder[:1] or [None])[0] if isinstance(holder, list) else (holder or {}).get(name)
    if holder is not None:
        holder[last] = value
    return near


def neighbours(question: dict[str, Any]) -> list[dict[str, Any]]:
    """The question, and every other that differs from it in one fact."""
    return [
        question,
        *(changed(question, path, value) for path, values in CHANGES.items() for value in values),
    ]


@given(documents=packs(), question=questions(), strange=strange_questions())
async def test_what_is_remembered_is_what_would_be_decided(
    documents: dict[str, Any], question: dict[str, Any], strange: dict[str, Any]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        pack = load_pack(read_folder(write_pack(documents, Path(folder))))
    policy = FakePolicy(pack.data, pack.revision)
    await agrees(pack, policy, [*neighbours(question), strange, question])


SEEN = [{"kind": "pii", "label": "EMAIL_ADDRESS", "score": 0.5}]
CALL = {"tool_call": "search", "findings": [{**SEEN[0], "direction": "output"}]}
PAIRS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "subject.id": ({"app": "shop-bot"}, {"app": "lab"}),
    "subject.properties.team": ({"team": "support"}, {"team": "research"}),
    "subject.properties.tags": ({"tags": ["internal"]}, {"tags": []}),
    "resource.id": ({"model": "gpt-4o"}, {"model": "claude"}),
    "resource.properties.hosting": ({"hosting": "internal"}, {"hosting": "external"}),
    "action.properties.stage": ({"findings": CALL["findings"]}, CALL),
    "context.time": ({"time": TIMES[0]}, {"time": TIMES[3]}),
    "context.unavailable": ({}, {"unavailable": ["pii"]}),
    "context.request.tools": ({"tools": ["search"]}, {"tools": ["search", "shell"]}),
    "context.request.answers": ({}, {"answers": ["audio"]}),
    "context.tool_call.name": ({"tool_call": "search"}, {"tool_call": "shell"}),
    "context.review.state": (
        {"findings": [{"kind": "secret", "label": "KEY"}], "review": "pending"},
        {"findings": [{"kind": "secret", "label": "KEY"}], "review": "approved"},
    ),
    "context.findings.*.kind": ({"findings": SEEN}, {"findings": [{**SEEN[0], "kind": "x"}]}),
    "context.findings.*.label": ({"findings": SEEN}, {"findings": [{**SEEN[0], "label": "x"}]}),
    "context.findings.*.score": ({"findings": SEEN}, {"findings": [{**SEEN[0], "score": 0.4}]}),
    "context.findings.*.direction": (
        {"findings": SEEN},
        {"findings": [{**SEEN[0], "direction": "output"}]},
    ),
}
"""For each fact that a rule may read, two questions that differ in it and are decided otherwise."""


def rule(id: str, kind: str, params: dict[str, Any], **more: Any) -> dict[str, Any]:
    common = {"id": id, "title": id, "mode": "enforce", "message": {"en": "Yes."}}
    return {**common, "kind": kind, "params": params, **more}


EVERYTHING = [
    rule("models", "model_access", {"models": ["*"]}),
    rule("by-model", "model_access", {"models": ["gpt-*"], "max_output_tokens": 9}),
    rule("by-app", "label", {"labels": ["app"]}, when={"apps": ["shop-*"]}),
    rule("by-team", "label", {"labels": ["team"]}, when={"teams": ["support"]}),
    rule("by-tag", "label", {"labels": ["tag"]}, when={"tags": ["internal"]}),
    rule("by-hosting", "label", {"labels": ["hosting"]}, when={"hosting": ["internal"]}),
    rule("by-time", "label", {"labels": ["time"]}, valid={"from": TIMES[1]}),
    rule("pii", "pii", {"direction": "input", "labels": ["EMAIL_ADDRESS"]}, on_match="mask"),
    rule("out", "pii", {"direction": "output", "labels": ["EMAIL_ADDRESS"]}, on_match="filter"),
    rule("secret", "secret", {"direction": "input", "labels": ["KEY"]}, on_match="review"),
    rule("tools", "tool_access", {"deny": ["shell"]}, on_match="restrict"),
    rule("opaque", "opaque", {"direction": "output", "modalities": ["audio"]}, on_match="deny"),
    rule("gone", "unavailable", {"inspectors": ["*"]}, on_error="closed"),
]


@pytest.mark.parametrize(("first", "second"), PAIRS.values(), ids=PAIRS)
async def test_every_fact_that_matters_is_read(
    first: dict[str, Any], second: dict[str, Any], tmp_path: Path
) -> None:
    pack = load_pack(read_folder(write_pack({"rules": EVERYTHING, "exceptions": []}, tmp_path)))
    policy = WasmPolicy(MODULE, pack.data, pack.revision)
    asked = [question_of(first), question_of(second)]
    verdicts = [(await policy.decide(question)).verdict for question in asked]
    assert verdicts[0] != verdicts[1]
    await agrees(pack, policy, [*asked, *asked])


def test_every_fact_that_is_declared_is_tried(tmp_path: Path) -> None:
    pack = load_pack(read_folder(write_pack({"rules": EVERYTHING, "exceptions": []}, tmp_path)))
    assert set(PAIRS) == pack.reads | {"context.time"}


async def test_the_second_time_nobody_is_asked() -> None:
    cached, inner = remembering()
    first, second = [await cached.decide(question_of({})) for _ in range(2)]
    assert len(inner.asked) == 1
    assert first.verdict == second.verdict
    assert first.revision == second.revision == cached.revision == BASELINE.revision
    assert first.id != second.id


async def test_what_no_rule_reads_makes_no_difference() -> None:
    cached, inner = remembering()
    await cached.decide(question_of({"findings": [{"kind": "pii", "label": "IBAN_CODE"}]}))
    question = question_of({"findings": [{"kind": "pii", "label": "IBAN_CODE"}], "app": "other"})
    question["context"]["time"] = "2031-01-01T00:00:00Z"
    question["context"]["findings"][0]["where"] = "/messages/7/content"
    question["context"]["session"] = {"id": "s", "turn": 3}
    assert (await cached.decide(question)).effect is Effect.ALLOW
    assert len(inner.asked) == 1


async def test_a_new_revision_is_asked_anew() -> None:
    cached, inner = remembering()
    await cached.decide(question_of({}))
    inner._revision = "sha256:newer"
    decision = await cached.decide(question_of({}))
    assert decision.revision == "sha256:newer"
    assert len(inner.asked) == 2


async def test_a_decision_of_another_revision_is_not_remembered() -> None:
    """The policy changed between the question and the answer."""

    class Changing(FakePolicy):
        @property
        def revision(self) -> str:
            return f"sha256:{len(self.asked)}"

    inner = Changing(BASELINE.data, "sha256:other")
    cached = CachedPolicy(inner, BASELINE.reads, BASELINE.instants)
    await cached.decide(question_of({}))
    inner.asked.clear()
    await cached.decide(question_of({}))
    assert len(inner.asked) == 1


async def test_a_failure_is_not_remembered() -> None:
    cached, inner = remembering()
    inner.failing = Unavailable(Code.POLICY_UNAVAILABLE, "gone")
    with pytest.raises(Unavailable):
        await cached.decide(question_of({}))
    inner.failing = None
    assert (await cached.decide(question_of({}))).effect is Effect.ALLOW
    inner.failing = Unavailable(Code.POLICY_UNAVAILABLE, "gone")
    assert (await cached.decide(question_of({}))).effect is Effect.ALLOW


@pytest.mark.parametrize(
    "strange",
    [
        {},
        {**question_of({}), "schema_version": 2},
        {**question_of({}), "more": 1},
        {**question_of({}), "schema_version": object()},
        {**question_of({}), 1: 2},
    ],
)
async def test_a_question_of_another_shape_is_always_asked(strange: dict[str, Any]) -> None:
    cached, inner = remembering()
    await cached.decide(question_of({}))
    for _ in range(2):
        assert await outcome(cached, strange) in {Effect.DENY, Code.POLICY_ERROR}
    assert len(inner.asked) == 3


async def outcome(policy: CachedPolicy, question: dict[str, Any]) -> Effect | Code:
    try:
        return (await policy.decide(question)).effect
    except Unavailable as error:
        return error.code


async def test_half_a_character_in_a_fact_is_asked_and_refused() -> None:
    cached, inner = remembering()
    with pytest.raises(Unavailable):
        await cached.decide(question_of({"model": "\ud800"}))
    assert len(inner.asked) == 1


class Slow(FakePolicy):
    """Answers when it is told to."""

    def __init__(self) -> None:
        super().__init__(BASELINE.data, BASELINE.revision)
        self.may_answer = asyncio.Event()
        self.begun = 0
        self.begins = asyncio.Event()
        self.broken = False

    async def decide(self, question: Question) -> Decision:
        self.begun += 1
        self.begins.set()
        await self.may_answer.wait()
        if self.broken:
            raise Unavailable(Code.POLICY_UNAVAILABLE, "gone")
        return await super().decide(question)


async def asked_together(inner: Slow, count: int) -> list[asyncio.Task[Decision]]:
    """So many of the same question, none answered yet."""
    cached = CachedPolicy(inner, BASELINE.reads, BASELINE.instants)
    tasks = [asyncio.create_task(cached.decide(question_of({}))) for _ in range(count)]
    await inner.begins.wait()
    return tasks


async def test_who_asks_the_same_at_once_asks_once() -> None:
    inner = Slow()
    tasks = await asked_together(inner, 5)
    inner.may_answer.set()
    decisions = await asyncio.gather(*tasks)
    assert inner.begun == 1
    assert len({decision.id for decision in decisions}) == 5
    assert len({decision.revision for decision in decisions}) == 1


async def test_who_asked_first_and_left_spoils_it_for_nobody() -> None:
    inner = Slow()
    first, *others = await asked_together(inner, 3)
    first.cancel()
    inner.may_answer.set()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert len(await asyncio.gather(*others)) == 2
    assert inner.begun == 1


async def test_a_failure_is_everybodys_and_the_next_asks_anew() -> None:
    inner = Slow()
    inner.broken = True
    tasks = await asked_together(inner, 3)
    inner.may_answer.set()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(error, Unavailable) for error in found)
    assert inner.begun == 1


async def test_no_size_is_no_memory() -> None:
    cached, inner = remembering(size=0)
    for _ in range(2):
        await cached.decide(question_of({}))
    assert len(inner.asked) == 2


async def test_the_least_recently_used_is_forgotten() -> None:
    cached, inner = remembering(size=2)
    for model in ("a", "b", "a", "c", "a", "b"):
        await cached.decide(question_of({"model": model}))
    assert [question["resource"]["id"] for question in inner.asked] == ["a", "b", "c", "b"]
