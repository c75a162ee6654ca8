"""Kinds that packs bring, on both engines: alike, side by side, and refused where they fail."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.adapters.opa import OpaServer, OpaServerPolicy, library
from gateway.adapters.opa_wasm import WasmPolicy
from gateway.adapters.packs import Compiler, Modules, Ruleset, compose, load_pack, question_of
from gateway.core.errors import Code, Unavailable
from gateway.core.policy import Effect
from gateway.governance.policies.bundles import Bundles
from tests.contracts.policy_server import opa_binary
from tests.houses import free_port
from tests.unit.adapters.packs.rego import REGO, pack_of

HEAD = "package govgate.custom.token_ceiling\n\n"
TOO_LONG = "default matched := null\n\nmatched := {} if input.context.request.tokens > 10\n"
SLOW = """\
matched := {"found": count({y | some x, _ in many; y := x * input.context.request.tokens})}

many := {x: y | some x in numbers.range(1, 3000000); y := x}
"""
RULES = {
    "a ceiling": REGO,
    "another text": HEAD + TOO_LONG,
    "no answer": HEAD + "matched := {} if input.context.request.tokens == 7\n",
    "another sort of answer": HEAD + "matched := input.context.request.tokens\n",
    "two answers": HEAD + "matched := null if input.params.most > 0\n\n"
    "matched := {} if input.context.request.tokens > 10\n",
    "what is not there": HEAD + "matched := {} if input.context.nothing.at.all\n",
    "an error": HEAD + 'matched := {"x": to_number("x")}\n',
    "its time": HEAD + "default matched := null\n\n"
    'matched := {"hour": substring(input.context.time, 11, 2)} '
    "if input.context.request.tokens > 10\n",
}
ASKED = [0, 7, 10, 11, 4000, 4001]


def rules_of(rego: str, **more: Any) -> Ruleset:
    return compose([load_pack(pack_of(rego, **more))])


def asked(tokens: int) -> dict[str, Any]:
    question: Any = question_of({})
    question["context"]["request"]["tokens"] = tokens
    return question


@pytest.fixture(scope="module")
def modules() -> Modules:
    return Modules(Compiler(opa_binary()))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An OPA server with the bundle of all these revisions at once; its URL."""
    folder = tmp_path_factory.mktemp("bundle")
    held = Bundles(library(), lambda payload: "unsigned")
    for rego in RULES.values():
        rules = rules_of(rego)
        texts = {kind.module: kind.compiled_text.encode() for kind in rules.custom}
        held.hold(rules.revision, rules.data, texts)
    (folder / "bundle.tar.gz").write_bytes(held._newest().body)
    port = free_port()
    process = subprocess.Popen(
        [opa_binary(), "run", "--server", "--addr", f"127.0.0.1:{port}", "--skip-verify",
         "--skip-version-check", "--log-level", "error", "--bundle", "bundle.tar.gz"],
        cwd=folder, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    yield f"http://127.0.0.1:{port}"
    process.kill()
    process.wait()


async def said(policy: WasmPolicy | OpaServerPolicy, question: dict[str, Any]) -> object:
    """The verdict, or that there is none."""
    try:
        return (await policy.decide(question)).verdict
    except Unavailable as error:
        return error.code


@pytest.mark.parametrize("name", RULES)
async def test_both_engines_say_the_same(name: str, server: str, modules: Modules) -> None:
    rules = rules_of(RULES[name])
    inside = WasmPolicy(modules.module(rules.custom), rules.data, rules.revision)
    asking = OpaServer(server, timeout=30)
    try:
        beside = OpaServerPolicy(asking, rules.revision)
        await beside.ready(120)
        for tokens in ASKED:
            question = asked(tokens)
            assert await said(inside, question) == await said(beside, question), tokens
    finally:
        await asking.stop()


async def effects(rego: str, modules: Modules, **more: Any) -> list[object]:
    rules = rules_of(rego, **more)
    policy = WasmPolicy(modules.module(rules.custom), rules.data, rules.revision)
    found = [await said(policy, asked(tokens)) for tokens in ASKED]
    return [getattr(one, "effect", one) for one in found]


A, D, R = Effect.ALLOW, Effect.DENY, Effect.REVIEW


@pytest.mark.parametrize(
    ("name", "more", "expected"),
    [
        ("a ceiling", {}, [A, A, A, A, A, D]),
        ("a ceiling", {"most": 10}, [A, A, A, D, D, D]),
        ("a ceiling", {"on_match": "review"}, [A, A, A, A, A, R]),
        ("a ceiling", {"mode": "observe"}, [A] * 6),
        ("another text", {}, [A, A, A, D, D, D]),
        ("no answer", {"on_match": "review"}, [D, R, D, D, D, D]),
        ("another sort of answer", {}, [D] * 6),
        ("two answers", {}, [A, A, A, *[Code.POLICY_ERROR] * 3]),
        ("what is not there", {}, [D] * 6),
        ("an error", {}, [D] * 6),
    ],
)
async def test_what_fails_refuses(
    name: str, more: dict[str, Any], expected: list[object], modules: Modules
) -> None:
    assert await effects(RULES[name], modules, **more) == expected


async def test_the_facts_are_told(modules: Modules) -> None:
    rules = rules_of(REGO)
    policy = WasmPolicy(modules.module(rules.custom), rules.data, rules.revision)
    [reason] = (await policy.decide(asked(5000))).verdict.reasons
    assert (reason.rule, reason.code) == ("tokens.ceiling", "custom_rule")
    assert reason.facts == {"tokens": 5000, "most": 4000}


async def test_what_takes_too_much_is_refused(modules: Modules) -> None:
    """By the count of instructions or the memory, and the next question is decided."""
    rules = rules_of(HEAD + SLOW)
    policy = WasmPolicy(modules.module(rules.custom), rules.data, rules.revision)
    for _ in range(2):
        with pytest.raises(Unavailable) as refused:
            await policy.decide(asked(1))
        assert refused.value.code is Code.POLICY_ERROR
