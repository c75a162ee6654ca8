"""For how long payloads are kept: what a class is, and what is to be known of an exchange."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple, Protocol


class Filed(NamedTuple):
    """An exchange, or an act, as far as a class may ask."""

    team: str
    app: str
    labels: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class RetentionClass:
    """How long payloads are kept, of what, and why.

    Days count from the last entry of an exchange. `apps`, `teams` and `labels` are globs; of
    each that is given one must match. Without any, the class is for what no other is for.
    """

    name: str
    min_days: int
    max_days: int
    legal_basis: str
    apps: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()

    @property
    def is_default(self) -> bool:
        """Whether it is for what no other class is for."""
        return not (self.apps or self.teams or self.labels)


class Term(NamedTuple):
    """How long the payloads of one exchange are kept, and which classes say so."""

    min_days: int
    max_days: int
    minimum_of: str
    maximum_of: str


class Terms(Protocol):
    """What the classes say."""

    @property
    def shortest(self) -> int:
        """The fewest days after which any payload may go."""

    def of(self, filed: Filed) -> Term:
        """How long an exchange's payloads are kept."""
