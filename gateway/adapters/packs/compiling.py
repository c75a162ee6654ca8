"""Rego of packs, checked and compiled by the `opa` program.

What is compiled may call what `policies/capabilities.json` lists, and nothing else: nothing that
reaches out, and nothing that is not the same each time.

Source: `opa check`, `opa parse`, `opa test`, `opa build`,
https://www.openpolicyagent.org/docs/cli
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from gateway.adapters.packs.custom import CustomKind
from gateway.adapters.packs.problems import Code, PackError, Place, Problem
from gateway.adapters.packs.schema import assets, engine

ENTRYPOINT = "govgate/decision"
LONGEST = 60.0
"""Seconds that one run of `opa` may take."""
_ENTRY = re.compile(r"^\s*#\s*entrypoint\s*:", re.MULTILINE)
_PLACED = re.compile(r"(\S+\.rego):(\d+)(?::(\d+))?: (.*)")


@dataclass(frozen=True, slots=True)
class _Ran:
    status: int
    out: bytes
    told: str


class Compiler:
    """Runs `binary`, a path or a name on PATH."""

    def __init__(self, binary: str = "opa") -> None:
        self._binary = binary

    def compile(self, kinds: Sequence[CustomKind]) -> bytes:
        """The rule library and these kinds as a Wasm module. Raises `PackError`."""
        with self._workshop(kinds) as folder:
            self._check(folder, kinds)
            ran = self._run(
                folder, "build", "--target", "wasm", "--entrypoint", ENTRYPOINT,
                "--capabilities", "capabilities.json", "--output", "bundle.tar.gz", "lib", "custom",
            )  # fmt: skip
            if ran.status:
                raise PackError([_refused(kinds, ran.told)])
            with tarfile.open(folder / "bundle.tar.gz") as bundle:
                member = bundle.extractfile("/policy.wasm")
                return member.read() if member else b""

    def test(self, kinds: Sequence[CustomKind], tests: Mapping[str, str]) -> None:
        """Check these kinds and run their tests. Raises `PackError`: also where a kind has no
        tests."""
        with self._workshop(kinds) as folder:
            self._check(folder, kinds)
        with tempfile.TemporaryDirectory(prefix="govgate-rego-") as name:
            folder = Path(name)
            _write(folder, {kind.file: kind.text for kind in kinds} | dict(tests))
            _write(folder, {"capabilities.json": _capabilities()})
            ran = self._run(
                folder, "test", "--format", "json", "--capabilities", "capabilities.json",
                "--timeout", "10s", "rego",
            )  # fmt: skip
        if problems := list(_failures(ran, kinds)):
            raise PackError(problems)

    @contextmanager
    def _workshop(self, kinds: Sequence[CustomKind]) -> Iterator[Path]:
        """A folder with the library, the kinds under the names of their modules, and what they
        may call."""
        with tempfile.TemporaryDirectory(prefix="govgate-rego-") as name:
            folder = Path(name)
            _write(folder, {f"lib/{file}": text for file, text in _library().items()})
            _write(folder, {f"custom/{kind.module}.rego": kind.compiled_text for kind in kinds})
            _write(folder, {"capabilities.json": _capabilities()})
            yield folder

    def _check(self, folder: Path, kinds: Sequence[CustomKind]) -> None:
        """Raises `PackError` for what is no Rego, calls what it may not, or looks further than
        the question and its own rules."""
        problems: list[Problem] = []
        for kind in kinds:
            file = f"custom/{kind.module}.rego"
            ran = self._run(folder, "parse", "--format", "json", file)
            if ran.status:
                ran = self._run(folder, "check", file)  # which says it in words
                problems.append(_refused(kinds, ran.told))
                continue
            problems += _looked_at(kind, orjson.loads(ran.out))
        if not problems:
            ran = self._run(
                folder, "check", "--strict", "--capabilities", "capabilities.json", "lib", "custom"
            )
            problems += [_refused(kinds, ran.told)] if ran.status else []
        if problems:
            raise PackError(problems)

    def _run(self, folder: Path, *arguments: str) -> _Ran:
        found = shutil.which(self._binary)
        if found is None:
            raise PackError([_no_compiler(self._binary)])
        try:
            ran = subprocess.run(  # noqa: S603 - the operator's program, our arguments
                [found, *arguments], cwd=folder, capture_output=True, timeout=LONGEST,
                check=False, stdin=subprocess.DEVNULL,
                env={"HOME": str(folder), "PATH": os.defpath},
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            raise PackError([_no_compiler(self._binary, type(error).__name__)]) from error
        return _Ran(ran.returncode, ran.stdout, ran.stderr.decode(errors="replace"))


class Modules:
    """The compiled rule library, together with the Rego of packs where they bring some.

    What was compiled once is kept in `folder`, by the digest of what it was made of, and is not
    compiled again: a node that has it there needs no `opa`. Safe to use from many threads.
    """

    def __init__(self, compiler: Compiler | None = None, folder: Path | None = None) -> None:
        self._compiler = compiler or Compiler()
        self._folder = folder
        self._made: dict[str, bytes] = {}
        self._tested: set[str] = set()

    def module(self, kinds: Sequence[CustomKind]) -> bytes:
        """The module that decides where these kinds are used. Raises `PackError`, which says
        what to do where there is no `opa`, and `OSError` where it cannot be kept."""
        if not kinds:
            return engine().read_bytes()
        key = _key(kinds)
        if key not in self._made:
            self._made[key] = self._kept(key) or self._keep(key, self._compiler.compile(kinds))
        return self._made[key]

    def test(self, kinds: Sequence[CustomKind], tests: Mapping[str, str]) -> None:
        """Run the tests of these kinds, once for each text of them. Raises `PackError`."""
        told = orjson.dumps([_key(kinds), dict(tests)], option=orjson.OPT_SORT_KEYS)
        key = hashlib.sha256(told).hexdigest()
        if kinds and key not in self._tested:
            self._compiler.test(kinds, tests)
            self._tested.add(key)

    def _kept(self, key: str) -> bytes | None:
        if self._folder is None or not (self._folder / f"{key}.wasm").is_file():
            return None
        return (self._folder / f"{key}.wasm").read_bytes()

    def _keep(self, key: str, module: bytes) -> bytes:
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self._folder, delete=False) as beside:
                beside.write(module)
            Path(beside.name).replace(self._folder / f"{key}.wasm")
        return module


def _key(kinds: Sequence[CustomKind]) -> str:
    """A digest of everything that a module is made of."""
    made_of = {
        "library": {name: text for name, text in _library().items()},
        "capabilities": _capabilities(),
        "kinds": {kind.module: kind.text for kind in kinds},
    }
    return hashlib.sha256(orjson.dumps(made_of, option=orjson.OPT_SORT_KEYS)).hexdigest()


@cache
def _library() -> Mapping[str, str]:
    return {
        path.name: path.read_text()
        for path in sorted((assets() / "lib").glob("*.rego"))
        if not path.name.endswith("_test.rego")
    }


@cache
def _capabilities() -> str:
    return (assets() / "capabilities.json").read_text()


def _write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(text.encode())


def _looked_at(kind: CustomKind, parsed: Any) -> Iterator[Problem]:
    """What a parsed module may not be or speak of, and what it lacks."""
    package = [part["value"] for part in parsed["package"]["path"]]
    if package != ["data", "govgate", "custom", kind.module] or _ENTRY.search(kind.text):
        yield Problem.at(
            Place(kind.file), Code.CUSTOM_PACKAGE,
            f"it is not the package `govgate.custom.{kind.type}`, or names an entrypoint",
            why="It would be asked as something that it is not.",
            fix=f"Begin it with `package govgate.custom.{kind.type}`, without `entrypoint:`.",
        )  # fmt: skip
    code = {"imports": parsed.get("imports", []), "rules": parsed.get("rules", [])}
    if any(var == "data" for var in _variables(code)):
        yield Problem.at(
            Place(kind.file), Code.CUSTOM_REACHES, "it speaks of `data`",
            why="What is decided may rest on the question and on the rule, and on nothing else: "
            "only so can it be tried on what was asked before.",
            fix="Take what is needed from `input`; what may differ from rule to rule stands in "
            "`input.params`. Its own rules are called by their names alone.",
        )  # fmt: skip
    if "matched" not in {rule["head"].get("name") for rule in code["rules"]}:
        yield Problem.at(
            Place(kind.file), Code.CUSTOM_REFUSED, "there is no rule `matched` in it",
            why="That is what is asked: without it every rule of this kind refuses.",
            fix="Write `default matched := null`, and `matched := {…} if …` with the facts that "
            "the rule rests on.",
        )  # fmt: skip


def _variables(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if part.get("type") == "var":
            yield str(part.get("value"))
        for member in part.values():
            yield from _variables(member)
    elif isinstance(part, list):
        for member in part:
            yield from _variables(member)


def _failures(ran: _Ran, kinds: Sequence[CustomKind]) -> Iterator[Problem]:
    """What `opa test` found."""
    try:
        cases = orjson.loads(ran.out) or []
    except orjson.JSONDecodeError:
        yield _refused(kinds, ran.told or ran.out.decode(errors="replace"))
        return
    for case in cases:
        if case.get("fail") or case.get("error") or case.get("skip"):
            yield Problem.at(
                Place(case["location"]["file"], case["location"]["row"], 1),
                Code.CUSTOM_TEST, f"{case['name']} fails",
                why="The kind does not do what is expected of it.",
                fix="Correct the Rego, or what the test expects.",
            )  # fmt: skip
    tested = {case["package"].removeprefix("data.govgate.custom.") for case in cases}
    for kind in kinds:
        if f"{kind.type}_test" not in tested:
            yield Problem.at(
                Place(kind.file), Code.CUSTOM_TEST, "nothing tests it",
                why="Nobody could tell whether it does what it is meant to.",
                fix=f"Write rego/{kind.type}_test.rego with a rule whose name begins with test_.",
            )  # fmt: skip


def _refused(kinds: Sequence[CustomKind], told: str) -> Problem:
    """What `opa` said, at the place that it names first."""
    files = {f"{kind.module}.rego": kind.file for kind in kinds}
    place, what = Place(kinds[0].file), told.strip().partition("\n")[0]
    if found := _PLACED.search(told):
        name = Path(found[1]).name
        file = files.get(name, f"rego/{name}")
        place, what = Place(file, int(found[2]), int(found[3] or 1)), found[4]
    for kind in kinds:
        what = what.replace(kind.module, kind.type)
    return Problem.at(
        place, Code.CUSTOM_REFUSED, f"this Rego is not taken: {what[:300]}",
        why="It cannot be compiled, or calls what no policy may: nothing that reaches out, or "
        "is not the same each time.",
        fix="Correct it; docs/howto/custom-rule.md says what may be called.",
    )  # fmt: skip


def _no_compiler(binary: str, why: str = "") -> Problem:
    return Problem.at(
        Place("rego"), Code.NO_COMPILER,
        f"Rego must be compiled here, and there is no program {binary!r} that does"
        if not why else f"the program {binary!r} could not be run ({why})",
        why="A pack with Rego of its own cannot be in force before.",
        fix="Install OPA (https://www.openpolicyagent.org/docs), or say where it is with "
        "GOVGATE_POLICY__OPA_BINARY.",
    )  # fmt: skip
