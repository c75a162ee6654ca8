"""What can be asked of the record, what is answered, and who answers it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

import msgspec

COLUMNS = (
    "team",
    "app",
    "key",
    "session",
    "action",
    "model",
    "provider",
    "served_model",
    "outcome",
    "code",
    "effect",
    "revision",
    "purpose",
)
"""Dimensions of which an exchange has one value at most."""
TAGS = (
    "rule",
    "label",
    "finding",
    "tool",
    "called",
    "obligation",
    "cache",
    "unavailable",
    "tag",
)
"""Dimensions of which it may have several."""
DIMENSIONS = (*COLUMNS, *TAGS)
ID_TAG = "id"
"""The kind of tag that other ids of an exchange stand under, hashed."""

MOST_VALUES = 50
LONGEST_VALUE = 256
LONGEST_TEXT = 1_024
MOST_ROWS = 500
"""Exchanges of one page."""
MOST_COUNTED = 10_000
"""The newest exchanges that facets are counted over."""
MOST_TURNS = 500
"""Exchanges of a session that are shown."""


class Filters(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True
):
    """Which exchanges are wanted. The empty one wants all that are not hidden.

    Within a dimension any of its values will do; across dimensions all must hold; `exclude`
    names values, by dimension, of which none may stand. Times are half open, `since` included.
    Costs are micro-USD, both ends included. Raises `ValueError` for what can never be asked.
    """

    since: datetime | None = None
    until: datetime | None = None
    team: tuple[str, ...] = ()
    app: tuple[str, ...] = ()
    key: tuple[str, ...] = ()
    session: tuple[str, ...] = ()
    action: tuple[str, ...] = ()
    model: tuple[str, ...] = ()
    provider: tuple[str, ...] = ()
    served_model: tuple[str, ...] = ()
    outcome: tuple[str, ...] = ()
    code: tuple[str, ...] = ()
    effect: tuple[str, ...] = ()
    revision: tuple[str, ...] = ()
    purpose: tuple[str, ...] = ()
    rule: tuple[str, ...] = ()
    label: tuple[str, ...] = ()
    finding: tuple[str, ...] = ()
    tool: tuple[str, ...] = ()
    called: tuple[str, ...] = ()
    obligation: tuple[str, ...] = ()
    cache: tuple[str, ...] = ()
    unavailable: tuple[str, ...] = ()
    tag: tuple[str, ...] = ()
    exclude: dict[str, tuple[str, ...]] = {}
    user: str | None = None
    """Whose it is, by name, such as `user:ann`."""
    value: str | None = None
    """A value that was found in it, whole, such as an e-mail address."""
    text: str | None = None
    """Words of its masked text."""
    cost_from: int | None = None
    cost_to: int | None = None
    open: bool | None = None
    """Whether it has not ended."""
    hidden: bool = False
    """Whether those are wanted too that only discover what there is."""

    def __post_init__(self) -> None:
        for moment in (self.since, self.until):
            if moment is not None and moment.tzinfo is None:
                raise ValueError("a time needs its zone, such as 2026-11-22T10:00:00Z")
        if unknown := self.exclude.keys() - set(DIMENSIONS):
            raise ValueError(f"exclude: there is no dimension {min(unknown)!r}")
        for name in DIMENSIONS:
            check_values(name, (*self.wanted(name), *self.unwanted(name)))
        for name in ("user", "value", "text"):
            said = getattr(self, name)
            if said is not None and (len(said) > LONGEST_TEXT or "\x00" in said):
                raise ValueError(f"{name}: at most {LONGEST_TEXT} characters, none of them NUL")
        for cost in (self.cost_from, self.cost_to):
            if cost is not None and not 0 <= cost < 2**53:
                raise ValueError("a cost is in micro-USD, from 0")

    def wanted(self, dimension: str) -> tuple[str, ...]:
        """The values of a dimension of which one must stand; none asks for nothing."""
        values: tuple[str, ...] = getattr(self, dimension)
        return values

    def unwanted(self, dimension: str) -> tuple[str, ...]:
        """The values of a dimension of which none may stand."""
        return self.exclude.get(dimension, ())


def check_values(name: str, values: Collection[str]) -> None:
    """Raises `ValueError` unless these may be asked for together."""
    if len(values) > MOST_VALUES:
        raise ValueError(f"{name}: at most {MOST_VALUES} values")
    if any(not value or len(value) > LONGEST_VALUE or "\x00" in value for value in values):
        raise ValueError(f"{name}: a value has 1 to {LONGEST_VALUE} characters, none of them NUL")


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """An exchange in a list: nothing of what was said. `outcome` is None while it is open."""

    exchange_id: str
    ts: datetime
    ended_at: datetime | None
    team: str
    app: str
    key: str
    subject: str | None
    session: str | None
    action: str | None
    model: str | None
    provider: str | None
    served_model: str | None
    outcome: str | None
    code: str | None
    effect: str | None
    decision_id: str | None
    revision: str | None
    purpose: str | None
    hidden: bool
    cost_micro_usd: int
    input_tokens: int | None
    output_tokens: int | None
    elapsed_us: int | None
    tags: dict[str, list[str]]


class Page(msgspec.Struct, frozen=True):
    """Some exchanges, the newest first. `next` is where the page after it begins, if any."""

    exchanges: tuple[Listed, ...]
    next: str | None


class Facets(msgspec.Struct, frozen=True):
    """How often each value stands, by dimension, the most frequent first.

    Counted over the newest `counted` exchanges that match; `complete` when those are all.
    """

    counted: int
    complete: bool
    dimensions: dict[str, dict[str, int]]


class Session(msgspec.Struct, frozen=True):
    """The exchanges of one session, the oldest first; `complete` when those are all."""

    session: str
    turns: tuple[Listed, ...]
    complete: bool


class StoredQuery(msgspec.Struct, frozen=True):
    """A query that somebody keeps under a name."""

    name: str
    filters: Filters
    made_by: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Scope:
    """What somebody may see: an organisation, or one team of it."""

    org: str
    team: str | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """An entry of an exchange as it stands in the ledger, none of it decrypted.

    `intact` when its bytes have the hash that was stored; `position` is its place in the log,
    None while it has none; `erased` when the key of its parts is gone.
    """

    entry_id: str
    kind: str
    ts: datetime
    header: Mapping[str, Any]
    leaf: bytes
    intact: bool
    position: int | None
    erased: bool


class Search(Protocol):
    """Finds records. Each method raises `Unavailable`."""

    async def page(self, scope: Scope, filters: Filters, after: str | None, limit: int) -> Page:
        """The newest that match, after the place that a page before named.

        Raises `ValueError` for a place that is none.
        """

    async def facets(self, scope: Scope, filters: Filters) -> Facets:
        """What the matches are made of."""

    async def find(self, org: str, id: str) -> str | None:
        """The exchange that any id belongs to, whenever it was."""

    async def listed(self, scope: Scope, exchange_id: str) -> Listed | None:
        """One exchange of the index."""

    async def entries(self, scope: Scope, exchange_id: str) -> Sequence[Standing]:
        """The entries of an exchange in the order written; empty when it is not in scope."""

    async def session(self, scope: Scope, session: str) -> Session:
        """The exchanges of a session, by the caller's name for it or as `Listed` has it."""

    async def saved(self, org: str) -> Sequence[StoredQuery]:
        """Every kept query, by name."""

    async def save(self, org: str, query: StoredQuery) -> bool:
        """Keep a query, in place of one of the same name and maker; False for another's."""

    async def forget(self, org: str, name: str, made_by: str) -> bool:
        """Forget a query; False when the maker has none of that name."""


class StoredParts(Protocol):
    """An entry with its payloads; None where their key is gone."""

    @property
    def entry_id(self) -> str: ...

    @property
    def kind(self) -> str: ...

    @property
    def header(self) -> Mapping[str, Any]: ...

    @property
    def parts(self) -> Mapping[str, bytes] | None: ...

    @property
    def lacking(self) -> Collection[str]:
        """The payloads in which a value was erased: it reads `[erased]`, or all of it is gone."""


class Ledger(Protocol):
    """Reads payloads."""

    async def read_exchange(self, exchange_id: str) -> Sequence[StoredParts]:
        """The entries of an exchange in the order written, decrypted.

        Raises `ValueError` when one is not what was written.
        """


@dataclass(frozen=True, slots=True)
class Said:
    """What searches may know of an exchange's payloads: masked text, names and ids."""

    asked: Sequence[str] = ()
    """The texts of the request."""
    places: Sequence[str] = ()
    """Where each of those stands: JSON pointers (RFC 6901) into the request."""
    answered: Sequence[str] = ()
    """The texts of the answer."""
    tools: Iterable[str] = ()
    """Names of the tools that were offered."""
    called: Iterable[str] = ()
    """Names of the tools that the model called."""
    ids: Iterable[str] = ()
    """Other ids that it goes by: the answer's, the caller's."""
    tags: Iterable[str] = ()
    session: str | None = None
    purpose: str | None = None

    @property
    def texts(self) -> Sequence[str]:
        """All of them, the request's first."""
        return [*self.asked, *self.answered]


@dataclass(frozen=True, slots=True)
class Payloads:
    """The payloads of an exchange as an index reads them, and what its headers say of them.

    `request` is the body as it was sent, or as it was received where none was sent or both are
    the same: `found` are then the findings that its header names. What was `sent` was checked
    before.
    """

    action: str
    streamed: bool = False
    request: bytes | None = None
    sent: bool = False
    answer: bytes | None = None
    attributes: bytes | None = None
    found: Sequence[Mapping[str, Any]] = field(default=())


class Contents(Protocol):
    """Reads payloads for an index."""

    def read(self, payloads: Payloads) -> Said:
        """What may be searched. Raises `ValueError` for what cannot be read."""
