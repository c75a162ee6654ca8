"""Rego of packs, by the real `opa`: what is taken, what is refused, what is kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from gateway.adapters.packs import Compiler, Modules, PackError, check, engine, load_pack
from gateway.adapters.packs.custom import CustomKind
from gateway.adapters.packs.problems import Code
from tests.contracts.policy_server import opa_binary
from tests.unit.adapters.packs.rego import REGO, TESTS, pack_of

HEAD = "package govgate.custom.token_ceiling\n\n"
NULL = "default matched := null\n\n"


@pytest.fixture(scope="module")
def compiler() -> Compiler:
    return Compiler(opa_binary())


def kinds(rego: str = REGO) -> Sequence[CustomKind]:
    return load_pack(pack_of(rego)).custom


def test_a_pack_with_rego_and_tests_is_sound(compiler: Compiler) -> None:
    found = check(pack_of(), compiler=compiler)
    assert not found.errors
    assert found.pack is not None


REFUSED = {
    "no Rego": (HEAD + "matched := {", Code.CUSTOM_REFUSED, 3),
    "a name that is nowhere": (
        HEAD + NULL + "matched := {} if nowhere == 1\n", Code.CUSTOM_REFUSED, 5,
    ),
    "a clock": (HEAD + NULL + "matched := {} if time.now_ns() > 1\n", Code.CUSTOM_REFUSED, 5),
    "chance": (HEAD + NULL + 'matched := {} if rand.intn("a", 2) > 0\n', Code.CUSTOM_REFUSED, 5),
    "an id": (HEAD + NULL + 'matched := {} if uuid.rfc4122("a") == ""\n', Code.CUSTOM_REFUSED, 5),
    "the network": (
        HEAD + NULL + 'matched := {} if http.send({"method": "get", "url": "http://a"})\n',
        Code.CUSTOM_REFUSED, 5,
    ),
    "the environment": (
        HEAD + NULL + "matched := opa.runtime()\n", Code.CUSTOM_REFUSED, 5,
    ),
    "a round": (HEAD + NULL + "matched := a\n\na := b\n\nb := a\n", Code.CUSTOM_REFUSED, 7),
    "the other rules": (
        HEAD + NULL + "matched := {} if data.pack.rules\n", Code.CUSTOM_REACHES, 0,
    ),
    "data under another name": (
        HEAD + "import data.govgate as ours\n\n" + NULL + "matched := {} if ours.effect\n",
        Code.CUSTOM_REACHES, 0,
    ),
    "data put in its place": (
        HEAD + NULL + "matched := {} if a with data.pack as {}\n\na := true\n",
        Code.CUSTOM_REACHES, 0,
    ),
    "all of data": (HEAD + NULL + "matched := {} if {x | x := data[_]}\n", Code.CUSTOM_REACHES, 0),
    "no answer": (HEAD + "default other := null\n", Code.CUSTOM_REFUSED, 0),
    "another entrypoint": (
        "# METADATA\n# entrypoint: true\n" + HEAD + NULL, Code.CUSTOM_PACKAGE, 0,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("rego", "code", "line"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused(compiler: Compiler, rego: str, code: Code, line: int) -> None:
    """At its place, under its own name, and never compiled."""
    with pytest.raises(PackError) as refused:
        compiler.compile(kinds(rego))
    problem = refused.value.problems[0]
    assert problem.code is code
    assert problem.file == "rego/token_ceiling.rego"
    assert problem.line == line
    assert kinds(rego)[0].module not in problem.what
    assert problem.why
    assert problem.fix
    found = check(pack_of(rego), compiler=compiler)
    assert found.pack is None
    assert code in {one.code for one in found.errors}


def test_a_test_that_fails_is_told_with_its_place(compiler: Compiler) -> None:
    tests = TESTS.replace("asked(4001)\n", "asked(3999)\n")
    [problem] = check(pack_of(tests=tests), compiler=compiler).errors
    assert problem.code is Code.CUSTOM_TEST
    assert (problem.file, problem.line) == ("rego/token_ceiling_test.rego", 7)
    assert "test_a_long_request_is_found" in problem.what


@pytest.mark.parametrize(
    "tests", [None, "package govgate.custom.token_ceiling_test\n\nother := 1\n"]
)
def test_rego_without_tests_is_refused(compiler: Compiler, tests: str | None) -> None:
    [problem] = check(pack_of(tests=tests), compiler=compiler).errors
    assert problem.code is Code.CUSTOM_TEST
    assert problem.what == "nothing tests it"


def test_tests_that_cannot_be_read_are_told(compiler: Compiler) -> None:
    tests = "package govgate.custom.token_ceiling_test\n\ntest_it if {"
    [problem] = check(pack_of(tests=tests), compiler=compiler).errors
    assert problem.code is Code.CUSTOM_REFUSED
    assert problem.file == "rego/token_ceiling_test.rego"


def test_tests_may_call_no_more_than_rules(compiler: Compiler) -> None:
    tests = TESTS + '\ntest_out if http.send({"method": "get", "url": "http://localhost"})\n'
    [problem] = check(pack_of(tests=tests), compiler=compiler).errors
    assert problem.file == "rego/token_ceiling_test.rego"
    assert "http.send" in problem.what


def test_without_opa_it_is_said_what_to_do() -> None:
    nowhere = Compiler("no-such-opa")
    [problem] = check(pack_of(), compiler=nowhere).errors
    assert problem.code is Code.NO_COMPILER
    assert "no-such-opa" in problem.what
    assert "GOVGATE_POLICY__OPA_BINARY" in problem.fix
    with pytest.raises(PackError, match="no-such-opa"):
        Modules(nowhere).module(kinds())


def test_a_program_that_does_not_run_is_told(tmp_path: Path) -> None:
    program = tmp_path / "opa"
    program.write_text("no program")
    program.chmod(0o755)
    with pytest.raises(PackError, match="could not be run") as refused:
        Compiler(str(program)).compile(kinds())
    assert refused.value.problems[0].code is Code.NO_COMPILER


def test_packs_without_rego_need_no_opa() -> None:
    modules = Modules(Compiler("no-such-opa"))
    assert modules.module([]) == engine().read_bytes()
    plain = {name: text for name, text in pack_of().items() if "token" not in name}
    assert not check(plain, compiler=Compiler("no-such-opa")).errors
    modules.test([], {})


def test_what_was_compiled_is_kept_and_needs_no_opa(compiler: Compiler, tmp_path: Path) -> None:
    folder = tmp_path / "modules"
    made = Modules(compiler, folder).module(kinds())
    assert len(list(folder.iterdir())) == 1
    without = Modules(Compiler("no-such-opa"), folder)
    assert without.module(kinds()) == made != engine().read_bytes()
    with pytest.raises(PackError):
        without.module(kinds(REGO + "\n# Another text.\n"))


def test_tests_are_run_once_for_a_text(compiler: Compiler) -> None:
    modules = Modules(compiler)
    pack = load_pack(pack_of())
    modules.test(pack.custom, pack.source.custom_tests)
    modules._compiler = Compiler("no-such-opa")
    modules.test(pack.custom, pack.source.custom_tests)
    with pytest.raises(PackError):
        modules.test(pack.custom, {})


def test_the_modules_of_two_revisions_are_compiled_together(compiler: Compiler) -> None:
    both = [*kinds(), *kinds(REGO + "\n# Another text.\n")]
    assert len(compiler.compile(both)) > len(compiler.compile(kinds()))
