"""The entries of one commit: headers chained in the order in which they are written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, NamedTuple

import orjson

from gateway.adapters.store.cutting import Cut, Known
from gateway.adapters.store.sealed_entry import Sealed, ValueKeys, seal_entry
from gateway.adapters.store.sealing import Seal, SealedPart
from gateway.adapters.store.statements import Cursor, Statements, Values
from gateway.core.errors import Code, Unavailable
from gateway.core.principal import Principal
from gateway.core.records import Entry, Receipt, canonical, leaf_hash

SCHEMA_VERSION = 1
MOST_HEADER_BYTES = 60 * 1024
_MOST_COLUMN = 256


class Tail(NamedTuple):
    """The last entry that a writer wrote: its epoch, number and leaf hash."""

    epoch: str
    seq: int
    leaf: bytes | None

    def facts(self) -> dict[str, Any]:
        """The tail as it stands in a header."""
        return {
            "epoch": self.epoch,
            "seq": self.seq,
            "leaf": self.leaf.hex() if self.leaf else None,
        }


class Subject(NamedTuple):
    """Whose entry it is, and of which exchange."""

    exchange_id: str
    org: str
    team: str
    app: str
    key_id: str

    @classmethod
    def of(cls, exchange_id: str, principal: Principal) -> Subject:
        return cls(exchange_id, principal.org, principal.team, principal.app, principal.key_id)


class Stowed(NamedTuple):
    """A payload that is in object storage: its object's hash, and its own size in bytes."""

    digest: bytes
    size: int


_NOTHING_STOWED: Mapping[str, Stowed] = MappingProxyType({})


class Staged(NamedTuple):
    """An entry that has an id and a time, and is not written yet; its parts without values.

    Of the parts that are `stowed`, `cut` holds what is stored in their place.
    """

    entry_id: str
    ts: datetime
    entry: Entry
    cut: Cut
    stowed: Mapping[str, Stowed] = _NOTHING_STOWED


class Keyed(NamedTuple):
    """The keys that an exchange rests under, and what stands for its subject in headers."""

    seal: Seal
    pseudonym: str | None
    values: ValueKeys


class Page:
    """Rows for one commit. Entries get their place in the chain as they are added.

    `tail` is the last entry before this page, and moves with it. `follows` is the last entry
    that another writer had written when this one began: its first entry names it.
    """

    def __init__(self, statements: Statements, tail: Tail, follows: Tail | None) -> None:
        self._statements = statements
        self._follows = follows
        self._entries: list[Values] = []
        self._parts: list[Values] = []
        self._keys: list[Values] = []
        self._index: dict[tuple[str, bytes, str], tuple[str, bool]] = {}
        self.tail = tail
        self.last_entry_id: str | None = None

    def add(
        self, subject: Subject, keyed: Keyed, staged: Sequence[Staged], *, opens: bool
    ) -> list[Receipt]:
        """Add entries of one exchange, all or none; the receipt of each.

        `opens` stores the exchange's key. Raises `Unavailable` for a header above 60 KiB,
        `TypeError` for facts that have no canonical form.
        """
        tail, entries, parts = self.tail, [], []
        receipts: list[Receipt] = []
        for one in staged:
            sealed = seal_entry(one.entry_id, one.cut, keyed.seal, keyed.values)
            if one.stowed:
                sealed = [_sized(part, one.stowed.get(part.part.part)) for part in sealed]
            facts = [_part_facts(keyed.seal.kek_id, part, one.stowed) for part in sealed]
            header = self._header(subject, one, tail, facts, keyed.pseudonym)
            tail = Tail(tail.epoch, tail.seq + 1, leaf_hash(header))
            entries.append(self._entry_row(subject, one, tail, header))
            parts += [_part_row(subject.org, one, part.part) for part in sealed]
            receipts.append(Receipt(one.entry_id, tail.leaf or b""))
        self._take(tail, entries, parts)
        if opens and any(one.entry.parts for one in staged):
            key = (subject.org, subject.exchange_id, keyed.seal.kek_id, keyed.seal.wrapped)
            self._keys.append(key)
        return receipts

    def index(self, subject: Subject, known: Iterable[Known], *, whole: bool) -> None:
        """Say that values stand in an exchange; `whole` where they go only with all of it."""
        for value, mac in known:
            place = (subject.org, mac, subject.exchange_id)
            label, before = self._index.get(place, (value.label, False))
            self._index[place] = (label, whole or before)

    def add_bare(self, subject: Subject, one: Staged) -> Receipt:
        """Add an entry without parts."""
        header = self._header(subject, one, self.tail, [], None)
        tail = Tail(self.tail.epoch, self.tail.seq + 1, leaf_hash(header))
        return self._take(tail, [self._entry_row(subject, one, tail, header)], [])

    def _take(self, tail: Tail, entries: list[Values], parts: list[Values]) -> Receipt:
        self._entries += entries
        self._parts += parts
        self.tail, self.last_entry_id = tail, entries[-1][1]
        return Receipt(entries[-1][1], tail.leaf or b"")

    def write(self, cursor: Cursor) -> None:
        """Write the rows, in the caller's transaction."""
        self._statements.entry.run(cursor, self._entries)
        self._statements.part.run(cursor, self._parts)
        self._statements.record_key.run(cursor, self._keys)
        index = [(*place, *said) for place, said in self._index.items()]
        self._statements.value_index.run(cursor, index)

    def _header(
        self,
        subject: Subject,
        one: Staged,
        tail: Tail,
        parts: list[dict[str, Any]],
        pseudonym: str | None,
    ) -> bytes:
        """The canonical bytes. All but the facts is canonical by its making."""
        writer: dict[str, Any] = {
            "epoch": tail.epoch,
            "seq": tail.seq + 1,
            "prev_leaf": tail.leaf.hex() if tail.leaf else None,
        }
        if tail.leaf is None:
            writer["follows"] = self._follows.facts() if self._follows else None
        header = orjson.dumps(
            {
                "schema_version": SCHEMA_VERSION,
                "entry_id": one.entry_id,
                "kind": str(one.entry.kind),
                "exchange_id": subject.exchange_id,
                "org": subject.org,
                "team": subject.team,
                "app": subject.app,
                "key_id": subject.key_id,
                "subject": pseudonym,
                "ts": one.ts.astimezone(UTC).isoformat(timespec="microseconds")[:26] + "Z",
                "writer": writer,
                "facts": orjson.Fragment(canonical(one.entry.facts)),
                "parts": parts,
            },
            option=orjson.OPT_SORT_KEYS,
        )
        if len(header) > MOST_HEADER_BYTES:
            raise Unavailable(
                Code.AUDIT_UNAVAILABLE, f"A record's header would take {len(header)} bytes."
            )
        return header

    def _entry_row(self, subject: Subject, one: Staged, tail: Tail, header: bytes) -> Values:
        facts = one.entry.facts
        decision = facts.get("decision")
        return (
            subject.org,
            one.entry_id,
            subject.exchange_id,
            str(one.entry.kind),
            tail.epoch,
            tail.seq,
            self._statements.time(one.ts),
            header,
            tail.leaf,
            subject.team,
            subject.app,
            subject.key_id,
            _text(facts.get("model")),
            _text(facts.get("outcome")),
            _text(decision.get("id")) if isinstance(decision, dict) else None,
        )


def _sized(sealed: Sealed, stowed: Stowed | None) -> Sealed:
    """The size that is told is the payload's, not its reference's."""
    if stowed is None:
        return sealed
    return sealed._replace(part=sealed.part._replace(size=stowed.size))


def _part_row(org: str, one: Staged, part: SealedPart) -> Values:
    stowed = one.stowed.get(part.part)
    return (org, one.entry_id, *part, stowed.digest if stowed else None)


def _part_facts(kek_id: str, sealed: Sealed, stowed: Mapping[str, Stowed]) -> dict[str, Any]:
    part: SealedPart = sealed.part
    facts = {
        "part": part.part,
        "alg": part.alg,
        "key_id": kek_id,
        "size": part.size,
        "sha256_ct": part.sha256_ct.hex(),
        "key_commit": part.key_commit.hex(),
    }
    if part.part in stowed:
        facts["object_sha256"] = stowed[part.part].digest.hex()
    return facts | {"bound": list(sealed.bound)} if sealed.bound else facts


def _text(value: object) -> str | None:
    """A fact for a column that is searched; whole in the header, as a caller may have said it."""
    return None if value is None else str(value)[:_MOST_COLUMN].replace("\x00", "\ufffd")
