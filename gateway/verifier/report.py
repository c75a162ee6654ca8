"""What a verification found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

MOST = 1_000
"""Problems that are listed; all are counted."""


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """Something that is not as it was written. `index` is the place in the log where it shows."""

    index: int
    what: str
    entry_id: str = ""

    def __str__(self) -> str:
        named = f" ({self.entry_id})" if self.entry_id else ""
        return f"leaf {self.index}{named}: {self.what}"


@dataclass(slots=True)
class Report:
    """How much was verified, and every problem."""

    entries: int = 0
    parts: int = 0
    waiting: int = 0
    """Entries that are written, and not in the log yet."""
    pruned: int = 0
    """Entries whose payloads were deleted when their time was over, as the log says."""
    objects: int = 0
    """Payloads in object storage that were hashed again."""
    unchecked: int = 0
    """Payloads in object storage that were not there to be hashed."""
    erased: int = 0
    """Objects that were deleted after their keys were destroyed, as the log says."""
    open: int = 0
    """Exchanges that have not ended."""
    checkpoints: int = 0
    signed: int = 0
    """The size of the last checkpoint: what comes after it nobody has signed yet."""
    cosigned: dict[str, int] = field(default_factory=dict)
    """Each witness, and the largest size that it co-signed."""
    root: str = ""
    problems: list[Problem] = field(default_factory=list)
    problem_count: int = 0

    def add(self, index: int, what: str, entry_id: str = "") -> None:
        """Note a problem."""
        self.problem_count += 1
        if len(self.problems) < MOST:
            self.problems.append(Problem(index, what, entry_id))

    @property
    def first(self) -> Problem | None:
        """The problem that shows first in the log."""
        return min(self.problems, default=None)

    @property
    def good(self) -> bool:
        return not self.problem_count

    def as_json(self) -> dict[str, Any]:
        """The report as plain JSON."""
        return {
            "good": self.good,
            "entries": self.entries,
            "parts": self.parts,
            "waiting": self.waiting,
            "pruned": self.pruned,
            "objects": self.objects,
            "unchecked": self.unchecked,
            "erased": self.erased,
            "open": self.open,
            "checkpoints": self.checkpoints,
            "signed": self.signed,
            "cosigned": self.cosigned,
            "root": self.root,
            "problem_count": self.problem_count,
            "problems": [
                {"leaf": each.index, "entry_id": each.entry_id, "what": each.what}
                for each in sorted(self.problems)
            ],
        }
