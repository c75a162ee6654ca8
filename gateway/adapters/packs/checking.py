"""A pack looked at as a whole: everything that is wrong with it, and all advice."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.adapters.packs.compiling import Compiler
from gateway.adapters.packs.lint import advice, unknown_labels
from gateway.adapters.packs.loading import Pack, load_pack
from gateway.adapters.packs.problems import PackError, Problem
from gateway.core.policies import PackFiles


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found. `pack` is None when it cannot be used as it is."""

    pack: Pack | None
    problems: tuple[Problem, ...]
    """Errors and advice, in order of their places."""

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if not problem.warning)

    @property
    def warnings(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.warning)


def check(
    files: PackFiles,
    labels: Mapping[str, Collection[str]] | None = None,
    now: datetime | None = None,
    compiler: Compiler | None = None,
) -> Checked:
    """Look at the files of a pack. Raises nothing: what is wrong is in the answer.

    `labels` are those that inspectors know, by the kind of rule that speaks of them; without
    them labels are not looked at. `now` is the moment that is taken for the present. With a
    `compiler`, Rego of the pack's own is compiled and tested.
    """
    try:
        pack = load_pack(files)
    except PackError as error:
        return Checked(None, _ordered(error.problems))
    unknown = list(unknown_labels(pack, labels or {}))
    rego = _rego(pack, compiler) if compiler is not None else ()
    problems = _ordered([*unknown, *rego, *advice(pack, now)])
    usable = all(problem.warning for problem in problems)
    return Checked(pack if usable else None, problems)


def _rego(pack: Pack, compiler: Compiler) -> Sequence[Problem]:
    kinds = list(pack.source.custom.values())
    try:
        if kinds:
            compiler.test(kinds, pack.source.custom_tests)
            compiler.compile(kinds)
    except PackError as error:
        return error.problems
    return ()


def _ordered(problems: Collection[Problem]) -> tuple[Problem, ...]:
    return tuple(sorted(problems, key=lambda one: (one.file, one.line, one.column, one.code)))
