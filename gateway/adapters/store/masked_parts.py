"""Payloads of several exchanges at once, as an index may read them: without found values.

Where a value was cut out stands its label. A payload that holds one which could not be cut out
is not read at all, nor anything of an exchange with values that are not known to be cut out.
What nobody asks for is not decrypted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple, TypeAlias

import msgspec
import orjson
import structlog
from sqlalchemy import Connection, Select, select

from gateway.adapters.store.erasure_tables import ValueIndex
from gateway.adapters.store.lists import among, listed
from gateway.adapters.store.opening import Opener
from gateway.adapters.store.sealed_entry import VALUES, cut_out
from gateway.adapters.store.sealing import Seal, SealedPart, Vault
from gateway.adapters.store.tables import AuditPart, table
from gateway.core.objects import PayloadObjects

READ = ("request_received", "request_sent", "answer_received", "attributes")
"""The parts that an index is made of. Of the answer it is what the provider said: masked."""
_PART, _VALUE = table(AuditPart), table(ValueIndex)
_log = structlog.get_logger(__name__)
_TOKEN = re.compile(rb"\x00([0-9]+)\x00")
_STAND_IN = b"1"
"""What stands for a value where a label cannot: in place of a number."""


class Promised(msgspec.Struct, frozen=True):
    """What a header says of a part."""

    part: str
    size: int = 0
    bound: tuple[str, ...] = ()
    """The keys of values that could not be cut out of it."""
    object_sha256: str | None = None
    """The hash of the object that it is in, if it is in one."""


Parts: TypeAlias = Mapping[str, Sequence[Promised]]
"""Parts of one exchange by the ids of their entries, in order."""


def to_read(parts: Parts) -> Parts:
    """Those of `parts` that an index is made of: what was received only where nothing was sent."""
    every = [part for some in parts.values() for part in some if not part.bound]
    sent = any(part.part == "request_sent" for part in every)
    names = [name for name in READ if not (sent and name == "request_received")]
    found = {
        id: [part for part in some if part.part in names and not part.bound]
        for id, some in parts.items()
    }
    return {id: some for id, some in found.items() if some}


def size_of(parts: Parts) -> int:
    """Bytes of these payloads."""
    return sum(part.size for some in parts.values() for part in some)


class Stored(NamedTuple):
    """A sealed part of an entry, and the values that were cut out of the entry's parts.

    `object` is the hash of the object that it is in, if it is in one.
    """

    entry_id: str
    part: SealedPart
    values: SealedPart | None
    object: str | None = None


class Masked:
    """The parts of one exchange, the last of each name; opened when they are asked for."""

    def __init__(
        self,
        seal: Seal | None = None,
        stored: Mapping[str, Stored] | None = None,
        opener: Opener | None = None,
    ) -> None:
        self._seal = seal
        self._stored = stored or {}
        self._opener = opener
        self._opened: dict[str, bytes] = {}
        self._cut: set[str] = set()

    def __bool__(self) -> bool:
        return self._seal is not None and bool(self._stored)

    def get(self, name: str) -> bytes | None:
        """A part; None where there is none that may be read.

        Raises `Tampered`; `Unavailable` while it cannot be read from object storage.
        """
        stored = self._stored.get(name)
        if stored is None or self._seal is None:
            return None
        if name not in self._opened:
            self._opened[name] = self._named(name, stored, self._seal)
        return self._opened[name]

    def cut(self, name: str) -> bool:
        """Whether a value was cut out of this part. Raises `Tampered`."""
        self.get(name)
        return name in self._cut

    def _named(self, name: str, stored: Stored, seal: Seal) -> bytes:
        payload = seal.unseal(stored.entry_id, stored.part)
        if self._opener is not None:
            payload = self._opener.whole(stored.entry_id, name, stored.object, payload)
        if stored.values is None or not _TOKEN.search(payload):
            return payload
        self._cut.add(name)
        kept = cut_out(seal.unseal(stored.entry_id, stored.values)).pieces
        return _with(payload, [" ".join(piece.labels).encode() for piece in kept])


class MaskedParts:
    """Decrypts under the keys that `vault` wrapped. `objects` has large payloads."""

    def __init__(self, vault: Vault, objects: PayloadObjects | None = None) -> None:
        self._opener = Opener(vault, objects)

    def fetch(self, connection: Connection, exchanges: Mapping[str, Parts]) -> SealedParts:
        """What is stored of these parts of these exchanges, still sealed."""
        if not exchanges:
            return SealedParts()
        dialect, ids = connection.dialect.name, list(exchanges)
        entries = listed(dialect, (id for parts in exchanges.values() for id in parts))
        stored: dict[str, dict[str, SealedPart]] = {}
        for id, *part in connection.execute(_stored(dialect), {"entries": entries}).all():
            stored.setdefault(id, {})[part[0]] = SealedPart._make(part)
        uncut = set(connection.scalars(_uncut(dialect), {"ids": listed(dialect, ids)}))
        last = {id: _last(parts, stored) for id, parts in exchanges.items() if id not in uncut}
        return SealedParts(self._seals(connection, ids), last, self._opener)

    def _seals(self, connection: Connection, ids: list[str]) -> dict[str, Seal]:
        """The keys of exchanges. One that was altered keeps nobody from the others."""
        try:
            return self._opener.seals(connection, ids)
        except (ValueError, RuntimeError) as error:
            if len(ids) == 1:
                _log.error("key_unreadable", exchange_id=ids[0], why=type(error).__name__)
                return {}
        half = len(ids) // 2
        return self._seals(connection, ids[:half]) | self._seals(connection, ids[half:])


class SealedParts:
    """Parts of exchanges that were read and not yet opened."""

    def __init__(
        self,
        seals: Mapping[str, Seal] | None = None,
        stored: Mapping[str, Mapping[str, Stored]] | None = None,
        opener: Opener | None = None,
    ) -> None:
        self._seals = seals or {}
        self._stored = stored or {}
        self._opener = opener

    def withheld(self, exchange_id: str) -> bool:
        """Whether a value stands in an exchange that was not cut out: none of it is told."""
        return exchange_id not in self._stored

    def of(self, exchange_id: str) -> Masked:
        """The parts of an exchange; none where its key is gone."""
        seal, stored = self._seals.get(exchange_id), self._stored.get(exchange_id)
        return Masked(seal, stored, self._opener)


def _last(parts: Parts, stored: Mapping[str, Mapping[str, SealedPart]]) -> Mapping[str, Stored]:
    """Of each name, the last part that is still there."""
    found: dict[str, Stored] = {}
    for id, some in parts.items():
        there = stored.get(id, {})
        for part in some:
            if part.part in there:
                place = part.object_sha256
                found[part.part] = Stored(id, there[part.part], there.get(VALUES), place)
    return found


@cache
def _stored(dialect: str) -> Select[Any]:
    """The parts of the entries that the parameter `entries` lists."""
    return select(_PART.c.entry_id, *(_PART.c[name] for name in SealedPart._fields)).where(
        among(dialect, _PART.c.entry_id, "entries"), _PART.c.part.in_((*READ, VALUES))
    )


@cache
def _uncut(dialect: str) -> Select[Any]:
    """Those of the exchanges `ids` in which a value stands that was not cut out."""
    return select(_VALUE.c.exchange_id).where(
        among(dialect, _VALUE.c.exchange_id, "ids"), _VALUE.c.whole.is_(True)
    )


def _with(payload: bytes, labels: Sequence[bytes]) -> bytes:
    """`payload` with labels where values were cut out of it."""
    named = _TOKEN.sub(lambda token: b" %b " % labels[int(token[1])], payload)
    if _is_json(named):
        return named
    standing = _TOKEN.sub(_STAND_IN, payload)
    return standing if _is_json(standing) else named


def _is_json(payload: bytes) -> bool:
    try:
        for line in payload.split(b"\n"):
            orjson.loads(line or b"0")
    except ValueError:
        return False
    return True
