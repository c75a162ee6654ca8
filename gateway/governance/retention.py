"""Which class an exchange belongs to, and what holds where several claim it.

Of several classes the longest minimum wins, then the shortest maximum that is not below it:
what one law demands to be kept is kept, and nothing longer than that without a reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import combinations

from gateway.core.retention import Filed, RetentionClass, Term

DEFAULT = RetentionClass("default", 0, 180, "GDPR Art. 5(1)(e): no longer than necessary")
"""For what no class of the file is for."""

PRESETS = {
    "ai-act": RetentionClass("ai-act", 183, 400, "Regulation (EU) 2024/1689 Art. 19(1), 26(6)"),
    "financial": RetentionClass("financial", 2_192, 2_557, "17 CFR 240.17a-4; FINRA 4511"),
    "hipaa": RetentionClass("hipaa", 2_192, 2_557, "45 CFR 164.316(b)(2)(i)"),
}
"""What laws ask for. A class may keep longer than its preset's minimum, never shorter."""


class Conflict(ValueError):
    """Classes that cannot stand together. `place` is that of the class in its list."""

    def __init__(self, place: int, what: str) -> None:
        super().__init__(what)
        self.place = place


@dataclass(frozen=True, slots=True)
class Schedule:
    """All classes. Implements `Terms`. Raises `Conflict` when they cannot stand together."""

    classes: Sequence[RetentionClass] = ()

    def __post_init__(self) -> None:
        seen: dict[str, int] = {}
        for place, each in enumerate(self.classes):
            if each.max_days < each.min_days:
                raise Conflict(
                    place,
                    f"{each.name}: it may be kept for {each.max_days} days at the most, "
                    f"but must be for {each.min_days}",
                )
            if each.name in seen:
                raise Conflict(place, f"{each.name}: there is a class of this name already")
            if each.is_default and any(other.is_default for other in self.classes[:place]):
                raise Conflict(place, f"{each.name}: another class is for everything already")
            seen[each.name] = place

    @property
    def default(self) -> RetentionClass:
        """The class for what no other is for."""
        return next((each for each in self.classes if each.is_default), DEFAULT)

    @property
    def shortest(self) -> int:
        return min(each.max_days for each in (*self.classes, self.default))

    def of(self, filed: Filed) -> Term:
        found = [each for each in self.classes if not each.is_default and _is_for(each, filed)]
        return settled(found or [self.default])

    def overlaps(self) -> list[str]:
        """Which classes contradict each other where both are for an exchange, and which holds."""
        said = []
        for one, other in combinations([c for c in self.classes if not c.is_default], 2):
            longer, shorter = sorted((one, other), key=lambda each: each.min_days, reverse=True)
            if shorter.max_days < longer.min_days and _may_meet(one, other):
                said.append(
                    f"{shorter.name} lets go after {shorter.max_days} days, {longer.name} keeps "
                    f"for {longer.min_days}: where both are for an exchange, {longer.name} holds"
                )
        return said


def settled(classes: Sequence[RetentionClass]) -> Term:
    """What holds where all of these are for an exchange. There is at least one."""
    longest = max(classes, key=lambda each: each.min_days)
    kept = [each for each in classes if each.max_days >= longest.min_days]
    first = min(kept, key=lambda each: each.max_days)
    return Term(longest.min_days, first.max_days, longest.name, first.name)


def _is_for(each: RetentionClass, filed: Filed) -> bool:
    asked = ((each.apps, (filed.app,)), (each.teams, (filed.team,)), (each.labels, filed.labels))
    return all(
        not patterns or any(fnmatchcase(name, one) for name in names for one in patterns)
        for patterns, names in asked
    )


def _may_meet(one: RetentionClass, other: RetentionClass) -> bool:
    """Whether an exchange may belong to both. It has one app and one team, and any labels."""
    return all(
        not mine or not theirs or any(_meet(a, b) for a in mine for b in theirs)
        for mine, theirs in ((one.apps, other.apps), (one.teams, other.teams))
    )


def _meet(one: str, other: str) -> bool:
    """Whether some name may match both globs; of two globs that is taken for granted."""
    globs = [any(sign in each for sign in "*?[") for each in (one, other)]
    return all(globs) or fnmatchcase(one, other) or fnmatchcase(other, one)
