"""The host of compiled policies: what it refuses, what it survives, and what it forgets."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.adapters.opa_wasm import WasmPolicy
from gateway.adapters.packs import engine, load_pack, question_of, read_folder
from gateway.core.errors import Code, Unavailable
from gateway.core.policy import Effect
from gateway.settings import baseline_pack
from tests.fakes.policy import ALLOW
from tests.unit.adapters.wasm_modules import answering, module

PACK = load_pack(read_folder(baseline_pack()))
MODULE = engine().read_bytes()

BAD_MODULES = {
    "no Wasm": b"not wasm",
    "nothing": b"",
    "another ABI": module(abi=2),
    "a builtin that the host would have to supply": module(
        builtins=2048, entrypoints='{"govgate/decision": 0}'
    ),
    "another entrypoint": module(entrypoints='{"another/decision": 0}'),
    "no entrypoint": module(entrypoints="{}"),
    "data that it cannot read": module(parsed=0),
}


@pytest.mark.parametrize("bad", BAD_MODULES.values(), ids=BAD_MODULES)
def test_a_module_that_is_no_policy_is_refused_at_the_start(bad: bytes) -> None:
    with pytest.raises(ValueError, match="not a compiled policy"):
        WasmPolicy(bad, {}, "sha256:any")


def test_a_module_without_opas_exports_is_refused() -> None:
    empty = b"\0asm\1\0\0\0"
    with pytest.raises(ValueError, match="it imports no memory"):
        WasmPolicy(empty, {}, "sha256:any")


def test_a_pack_larger_than_the_memory_is_refused() -> None:
    with pytest.raises(ValueError, match="not a compiled policy"):
        WasmPolicy(MODULE, {"rules": ["x" * 1_000_000]}, "sha256:any", memory=1 << 20)


GROW = """(block $full (loop $more
    (br_if $full (i32.eq (memory.grow (i32.const 64)) (i32.const -1))) (br $more)))"""
FAILING = {
    "endless": (module("(loop $again (br $again))"), "fuel"),
    "aborts": (module("(call $abort (i32.const 2048))"), "govgate/decision"),
    "aborts with an address outside": (module("(call $abort (i32.const -1))"), ""),
    "calls a builtin": (module("(drop (call $builtin (i32.const 0) (i32.const 0)))"), "builtin0"),
    "traps": (module("(unreachable)"), "unreachable"),
    "takes all the memory it gets, then fails": (module(f"{GROW} (unreachable)"), "unreachable"),
    "reads outside its memory": (module("(drop (i32.load (i32.const -4)))"), "memory"),
    "answers with an address outside": (module("(return (i32.const 2147483647))"), "address"),
    "answers with a negative address": (module("(return (i32.const -5))"), "address"),
    "answers with no address": (module("(return (i32.const 0))"), "address"),
    "answers no JSON": (module(answer="allow"), "no JSON"),
    "answers nothing": (module(answer=""), "no JSON"),
    "answers another shape": (module(answer='{"result": 1}'), "another shape"),
    "answers two results": (module(answer='[{"result": 1}, {"result": 1}]'), "another shape"),
}


@pytest.mark.parametrize(("bad", "why"), FAILING.values(), ids=FAILING)
async def test_whatever_goes_wrong_is_a_policy_error(bad: bytes, why: str) -> None:
    policy = WasmPolicy(bad, {}, "sha256:any", memory=1 << 22, steps=1_000_000)
    for _ in range(2):
        with pytest.raises(Unavailable) as refusal:
            await policy.decide(question_of({}))
        assert refusal.value.code is Code.POLICY_ERROR
        assert why in refusal.value.message


async def test_memory_stops_at_its_cap() -> None:
    """The module reports how many pages it has once it can get no more."""
    pages = "(i32.store8 (i32.const 4096) (i32.add (i32.const 48) (memory.size)))"
    policy = WasmPolicy(module(GROW_BY_ONE + pages, answer="?"), {}, "sha256:any", memory=5 << 16)
    with pytest.raises(Unavailable, match="another shape"):  # of the JSON number 5
        await policy.decide(question_of({}))
    policy = WasmPolicy(module(GROW_BY_ONE + pages, answer="?"), {}, "sha256:any", memory=12 << 16)
    with pytest.raises(Unavailable, match="no JSON"):  # 12 pages: ASCII 60, a `<`
        await policy.decide(question_of({}))


GROW_BY_ONE = GROW.replace("64", "1")


async def test_an_evaluation_that_takes_too_many_steps_is_refused() -> None:
    """The shipped library, with fewer instructions than a question needs."""
    policy = WasmPolicy(MODULE, PACK.data, PACK.revision, steps=400_000)
    with pytest.raises(Unavailable, match="fuel") as refusal:
        await policy.decide(question_of({}))
    assert refusal.value.code is Code.POLICY_ERROR


async def test_a_question_larger_than_the_memory_is_refused_and_the_next_decided() -> None:
    policy = WasmPolicy(MODULE, PACK.data, PACK.revision, memory=2 << 20)
    with pytest.raises(Unavailable) as refusal:
        await policy.decide(question_of({"model": "x" * (4 << 20)}))
    assert refusal.value.code is Code.POLICY_ERROR
    assert (await policy.decide(question_of({}))).effect is Effect.ALLOW


async def test_a_failure_leaves_nothing_behind() -> None:
    """An instance that ran out of steps is thrown away; the next decides as before."""
    many: dict[str, Any] = {"findings": [{"kind": "pii", "label": "EMAIL_ADDRESS"}] * 200}
    policy = WasmPolicy(MODULE, PACK.data, PACK.revision, steps=2_000_000)
    before = (await policy.decide(question_of({}))).verdict
    for _ in range(3):
        with pytest.raises(Unavailable, match="fuel"):
            await policy.decide(question_of(many))
        assert (await policy.decide(question_of({}))).verdict == before


async def test_nothing_of_one_question_reaches_the_next() -> None:
    policy = WasmPolicy(MODULE, PACK.data, PACK.revision)
    bad = question_of({"findings": [{"kind": "phrase", "label": "weapons"}] * 50})
    long = question_of({"model": "m" * 300_000})
    for _ in range(200):
        assert (await policy.decide(bad)).effect is Effect.DENY
        assert (await policy.decide(question_of({}))).effect is Effect.ALLOW
    size = policy._instance and policy._instance._memory.data_len(policy._instance._store)
    for _ in range(50):
        assert (await policy.decide(long)).effect is Effect.ALLOW
        assert (await policy.decide(question_of({}))).effect is Effect.ALLOW
    assert policy._instance is not None
    grown = policy._instance._memory.data_len(policy._instance._store)
    assert size is not None
    assert grown < size + (4 << 20)


async def test_a_long_answer_is_read_whole() -> None:
    reason = {"rule": "r", "code": "c", "message": {"en": "é" * 9_000}, "severity": "low"}
    answer = {**ALLOW, "reasons": [{**reason, "facts": {}}]}
    decision = await WasmPolicy(answering(answer), {}, "sha256:any").decide(question_of({}))
    assert decision.verdict.reasons[0].message["en"] == "é" * 9_000


async def test_the_shipped_module_needs_nothing_of_the_host() -> None:
    policy = WasmPolicy(MODULE, PACK.data, PACK.revision)
    assert policy._instance is not None
    assert policy._instance._described("builtins") == {}
    assert json.loads(json.dumps(dict(PACK.data))) == PACK.data
