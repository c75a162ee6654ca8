"""What must be kept, whatever else says that it may go."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Protocol


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody wants kept: everything of an organisation of which each member that is
    given holds. `since` is included, `until` is not."""

    team: str | None = None
    app: str | None = None
    subject: str | None = None
    """Such as `user:ann`."""
    value: str | None = None
    """A value that stands in what was said, such as an e-mail address."""
    exchanges: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """The same as it is kept: people and values only as keyed hashes."""

    team: str | None = None
    app: str | None = None
    subject: bytes | None = None
    values: tuple[bytes, ...] = ()
    exchanges: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None

    def members(self) -> list[str]:
        """The names of what is given; without any, it is all of the organisation's."""
        return [name for name in self.__slots__ if getattr(self, name) not in (None, ())]

    def as_json(self) -> dict[str, Any]:
        """The scope as it is stored."""
        said: dict[str, Any] = {}
        for name in self.members():
            said[name] = _plain(getattr(self, name))
        return said

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Scope:
        """What `as_json` gave."""
        subject = said.get("subject")
        return cls(
            said.get("team"),
            said.get("app"),
            None if subject is None else bytes.fromhex(subject),
            tuple(bytes.fromhex(value) for value in said.get("values", ())),
            tuple(said.get("exchanges", ())),
            *(_moment(said.get(name)) for name in ("since", "until")),
        )


class Matter(NamedTuple):
    """One exchange, as far as a hold may ask. `values` are the keyed hashes of those in it."""

    exchange_id: str
    ts: datetime
    team: str
    app: str
    subject: bytes | None = None
    values: Collection[bytes] = ()


@dataclass(frozen=True, slots=True)
class Hold:
    """A hold, and what became of it. `placed_by` and the others are ids of principals."""

    id: str
    org: str
    scope: Scope
    reason: str
    placed_by: str
    placed_at: datetime
    lift_asked_by: str | None = None
    lift_asked_at: datetime | None = None
    lifted_by: str | None = None
    lifted_at: datetime | None = None


class HoldStore(Protocol):
    """Keeps holds. Every method raises `Unavailable`."""

    def scope(self, org: str, wanted: Wanted) -> Scope:
        """`wanted` as it is kept. Touches no disk. Raises `ValueError` for a value that is
        none."""

    async def add(self, hold: Hold) -> None:
        """Keep a new hold. Durable on return; whatever is erased from now on obeys it."""

    async def get(self, org: str, id: str) -> Hold | None: ...

    async def listed(self, org: str) -> Sequence[Hold]:
        """Every hold that there ever was, the newest first."""

    async def ask_lift(self, org: str, id: str, by: str) -> bool:
        """Note who wants it lifted; False unless it stands and nobody has asked."""

    async def lift(self, org: str, id: str, by: str) -> bool:
        """Lift it; False unless it stands, and another than `by` has asked for it."""


def covers(scope: Scope, matter: Matter) -> bool:
    """Whether an exchange must be kept."""
    return (
        scope.team in (None, matter.team)
        and scope.app in (None, matter.app)
        and scope.subject in (None, matter.subject)
        and (not scope.values or any(value in matter.values for value in scope.values))
        and (not scope.exchanges or matter.exchange_id in scope.exchanges)
        and (scope.since is None or matter.ts >= scope.since)
        and (scope.until is None or matter.ts < scope.until)
    )


def _plain(value: Any) -> Any:
    match value:
        case bytes():
            return value.hex()
        case datetime():
            return value.isoformat()
        case tuple():
            return [_plain(each) for each in value]
        case _:
            return value


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
