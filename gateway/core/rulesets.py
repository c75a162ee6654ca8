"""What packs come to when they are read: rules, sentences, tests. Says nothing of YAML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from gateway.core.policies import PackFiles

Json: TypeAlias = Mapping[str, Any]


class Unfit(ValueError):
    """Files that are no packs, or packs that do not go together.

    `problems` holds everything that is wrong, as JSON: code, file, line, what, why, how to fix.
    """

    def __init__(self, problems: Sequence[Json], said: str) -> None:
        super().__init__(said)
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Rules:
    """What some packs say together."""

    revision: str
    """`sha256:…` over the rules and the library that interprets them."""
    rules: Mapping[str, Json]
    """Those that are not off, by id, as engines take them: `kind`, `mode`, `floor`, `from`,
    `until`, `when`, `attached`, `params`, `on_match`, `on_error`."""
    exceptions: Mapping[str, Json] = field(default_factory=dict)
    """Those of such rules, by id: `rule`, `until`, `when`."""
    phrases: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """The phrases of each list, by its id."""
    sentences: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By locale (`en`, `fr`): what each rule and exception says, by its id."""


@dataclass(frozen=True, slots=True)
class Tested:
    """A case of a test table after it was run. `failures` is empty where it passed."""

    pack: str
    suite: str
    name: str
    failures: Sequence[str] = ()


class Packs(Protocol):
    """Reads packs. What is slow is called in a thread. Each method but `digest` raises
    `Unfit`."""

    def digest(self, files: PackFiles) -> str:
        """`sha256:…` over the files: what a version of a pack is called."""

    def named(self, files: PackFiles) -> tuple[str, str]:
        """The id of the pack that these files are, and the number of its version."""

    def compose(self, packs: Sequence[PackFiles]) -> Rules:
        """What the packs say together. Slow."""

    def test(self, pack: PackFiles, among: Sequence[PackFiles]) -> Sequence[Tested]:
        """Run the test tables of a pack with the packs `among` in force. Slow.

        Raises `Unavailable` where the policy engine cannot answer.
        """

    def edit(self, files: PackFiles, changes: Sequence[Json]) -> PackFiles:
        """The files after some changes, the same but for those."""
