"""A pack looked at as a whole: everything that is wrong with it, and all advice."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

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
) -> Checked:
    """Look at the files of a pack. Raises nothing: what is wrong is in the answer.

    `labels` are those that inspectors know, by the kind of rule that speaks of them; without
    them labels are not looked at. `now` is the moment that is taken for the present.
    """
    try:
        pack = load_pack(files)
    except PackError as error:
        return Checked(None, _ordered(error.problems))
    unknown = list(unknown_labels(pack, labels or {}))
    problems = _ordered([*unknown, *advice(pack, now)])
    usable = all(problem.warning for problem in problems)
    return Checked(pack if usable else None, problems)


def _ordered(problems: Collection[Problem]) -> tuple[Problem, ...]:
    return tuple(sorted(problems, key=lambda one: (one.file, one.line, one.column, one.code)))
