"""Remembered decisions: the same as asking, whatever the pack and the question."""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.decision_cache import CachedPolicy
from gateway.adapters.opa_wasm import WasmPolicy
from gateway.adapters.packs import Pack, engine, load_pack, question_of
from gateway.core.errors import Code, Unavailable
from gateway.core.policy import Effect
from gateway.settings import baseline_pack
from tests.contracts.policy_cases import packs, questions, strange_questions, write_pack
from tests.fakes.policy import FakePolicy

MODULE = engine().read_bytes()
BASELINE = load_pack(baseline_pack())


def remembering(pack: Pack = BASELINE, size: int = 100) -> tuple[CachedPolicy, FakePolicy]:
    inner = FakePolicy(pack.data, pack.revision)
    return CachedPolicy(inner, pack.reads, pack.instants, size=size), inner


@st.composite
def neighbours(draw: st.DrawFn) -> list[dict[str, Any]]:
    """A question, and others that differ from it in one member of another question."""
    first, other = draw(questions()), draw(questions())
    asked = [first, draw(strange_questions())]
    for path in PATHS:
        near = copy.deepcopy(first)
        holder, source = near, other
        for name in path[:-1]:
            holder, source = holder[name], source[name]
        holder[path[-1]] = source[path[-1]]
        asked.append(near)
    return [*asked, first]


PATHS = [
    ("subject", "id"),
    ("subject", "properties", "team"),
    ("subject", "properties", "tags"),
    ("resource", "id"),
    ("resource", "properties", "hosting"),
    ("context", "time"),
    ("context", "findings"),
    ("context", "unavailable"),
    ("context", "request"),
    ("context", "tool_call"),
    ("context", "review"),
    ("action",),
]


@given(documents=packs(), asked=neighbours())
async def test_what_is_remembered_is_what_would_be_decided(
    documents: dict[str, Any], asked: list[dict[str, Any]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        pack = load_pack(write_pack(documents, Path(folder)))
    engine_itself = WasmPolicy(MODULE, pack.data, pack.revision)
    cached = CachedPolicy(engine_itself, pack.reads, pack.instants, size=50)
    for question in asked:
        expected = (await engine_itself.decide(question)).verdict
        assert (await cached.decide(question)).verdict == expected


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
