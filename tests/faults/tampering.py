"""A finished ledger, and every way in which somebody may tamper with it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from typing import Any

from gateway.core.note_keys import Verifier
from gateway.verifier.databases import DatabaseSource
from gateway.verifier.report import Report
from gateway.verifier.verify import Trusted, verify


@dataclass(frozen=True)
class Tampering:
    """One deed: its statements, and the place in the log of the first thing that it harms.

    Without a place, the whole of the log is in doubt, and any is right. With `until`, nothing
    tells the first from those up to there: which of two writers was before the other is known
    only by the root, so that a swap may show first where one of them goes on.
    """

    name: str
    statements: Sequence[tuple[str, Sequence[Any]]]
    place: int | None
    until: int | None = None

    def named_by(self, place: int) -> bool:
        """Whether `place` is where it is first to be seen."""
        return self.place is None or self.place <= place <= (self.until or self.place)


class Victim:
    """A copy of a ledger in memory, tampered with and put right again, as often as one likes."""

    def __init__(self, path: str, vkey: str, kept: str) -> None:
        self._connection = sqlite3.connect(":memory:")
        source = sqlite3.connect(path)
        source.backup(self._connection)
        source.close()
        self._connection.isolation_level = None
        self._connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
        triggers = self.rows("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        for (name,) in triggers:
            self._connection.execute(f"DROP TRIGGER {name}")
        self._trusted = Trusted([Verifier.decoded(vkey)], notes=[kept])
        [(self.size,)] = self.rows("SELECT size FROM log_head")

    def close(self) -> None:
        self._connection.close()

    def rows(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        return list(self._connection.execute(statement, values))

    def verify(self) -> Report:
        source = DatabaseSource(lambda statement: iter(self._connection.execute(statement)))
        return verify(source, self._trusted)

    def after(self, tampering: Tampering) -> Report:
        """What a verification finds after `tampering`, which is then undone."""
        with self._undone():
            for statement, values in tampering.statements:
                self._connection.execute(statement, values)
            return self.verify()

    @contextmanager
    def _undone(self) -> Any:
        self._connection.execute("BEGIN")
        try:
            yield
        finally:
            self._connection.execute("ROLLBACK")


def tamper(victim: Victim, chance: Random) -> Tampering:
    """Some deed, chosen and aimed by `chance`."""
    return chance.choice(DEEDS)(victim, chance)


def _flipped(value: bytes, chance: Random) -> bytes:
    at = chance.randrange(len(value) * 8)
    changed = bytearray(value)
    changed[at // 8] ^= 1 << at % 8
    return bytes(changed)


def _some_leaf(victim: Victim, chance: Random) -> tuple[int, str]:
    place = chance.randrange(victim.size)
    [(entry_id,)] = victim.rows("SELECT entry_id FROM log_leaf WHERE leaf_index = ?", (place,))
    return place, entry_id


def flip_header(victim: Victim, chance: Random) -> Tampering:
    place, id = _some_leaf(victim, chance)
    [(header,)] = victim.rows("SELECT header FROM audit_entry WHERE entry_id = ?", (id,))
    change = "UPDATE audit_entry SET header = ? WHERE entry_id = ?"
    return Tampering("a bit of a header", [(change, (_flipped(header, chance), id))], place)


def forge_header(victim: Victim, chance: Random) -> Tampering:
    """Change a header and its hashes, everywhere they stand beside it."""
    from gateway.core.merkle import leaf_hash

    _, id = _some_leaf(victim, chance)
    [(header,)] = victim.rows("SELECT header FROM audit_entry WHERE entry_id = ?", (id,))
    forged = header.replace(b'"team":"', b'"team":"not-')
    leaf = leaf_hash(forged)
    statements = [
        ("UPDATE audit_entry SET header = ?, leaf_hash = ?, team = 'not-' || team"
         " WHERE entry_id = ?", (forged, leaf, id)),
        ("UPDATE log_leaf SET leaf_hash = ? WHERE entry_id = ?", (leaf, id)),
    ]  # fmt: skip
    return Tampering("a forged entry", statements, None)


def flip_part(victim: Victim, chance: Random) -> Tampering:
    rows = victim.rows(
        "SELECT l.leaf_index, p.entry_id, p.part FROM audit_part p"
        " JOIN log_leaf l ON l.entry_id = p.entry_id"
    )
    place, id, part = chance.choice(rows)
    column = chance.choice(["ciphertext", "nonce", "sha256_ct", "key_commit"])
    [(value,)] = victim.rows(
        f"SELECT {column} FROM audit_part WHERE entry_id = ? AND part = ?", (id, part)
    )
    change = f"UPDATE audit_part SET {column} = ? WHERE entry_id = ? AND part = ?"
    flip = (change, (_flipped(value, chance), id, part))
    return Tampering(f"a bit of a payload's {column}", [flip], place)


def delete_part(victim: Victim, chance: Random) -> Tampering:
    rows = victim.rows(
        "SELECT l.leaf_index, p.entry_id, p.part FROM audit_part p"
        " JOIN log_leaf l ON l.entry_id = p.entry_id"
    )
    place, id, part = chance.choice(rows)
    gone = "DELETE FROM audit_part WHERE entry_id = ? AND part = ?"
    return Tampering("a payload deleted", [(gone, (id, part))], place)


def delete_entry(victim: Victim, chance: Random) -> Tampering:
    place, id = _some_leaf(victim, chance)
    return Tampering(
        "an entry deleted", [("DELETE FROM audit_entry WHERE entry_id = ?", (id,))], place
    )


def delete_leaf(victim: Victim, chance: Random) -> Tampering:
    place, id = _some_leaf(victim, chance)
    statements = [("DELETE FROM log_leaf WHERE leaf_index = ?", (place,))]
    if chance.random() < 0.5:
        statements += [
            (f"DELETE FROM {table} WHERE entry_id = ?", (id,))
            for table in ("audit_entry", "audit_part")
        ]
    return Tampering("a leaf deleted", statements, place)


def swap_entries(victim: Victim, chance: Random) -> Tampering:
    one, other = sorted(chance.sample(range(victim.size), 2))
    rows = dict(victim.rows("SELECT leaf_index, entry_id FROM log_leaf"))
    statements: list[tuple[str, Sequence[Any]]] = [
        ("UPDATE log_leaf SET entry_id = 'moving' WHERE leaf_index = ?", (one,)),
        ("UPDATE log_leaf SET entry_id = ? WHERE leaf_index = ?", (rows[one], other)),
        ("UPDATE log_leaf SET entry_id = ? WHERE leaf_index = ?", (rows[other], one)),
    ]
    if chance.random() < 0.5:
        statements += [
            ("UPDATE log_leaf SET leaf_hash = (SELECT leaf_hash FROM audit_entry e"
             " WHERE e.entry_id = log_leaf.entry_id) WHERE leaf_index IN (?, ?)", (one, other)),
        ]  # fmt: skip
        return Tampering("two entries swapped, with their hashes", statements, one, other)
    return Tampering("two entries swapped", statements, one)


def swap_payloads(victim: Victim, chance: Random) -> Tampering:
    rows = victim.rows(
        "SELECT l.leaf_index, p.entry_id FROM audit_part p JOIN log_leaf l"
        " ON l.entry_id = p.entry_id WHERE p.part = 'answer_received'"
    )
    (one, id), (other, second) = chance.sample(rows, 2)
    columns = "ciphertext, nonce, sha256_ct, key_commit, alg, size"
    kept = victim.rows(
        f"SELECT {columns} FROM audit_part WHERE entry_id IN (?, ?) AND part = 'answer_received'"
        " ORDER BY entry_id = ?", (id, second, second),
    )  # fmt: skip
    change = (
        "UPDATE audit_part SET ciphertext = ?, nonce = ?, sha256_ct = ?, key_commit = ?, alg = ?,"
        " size = ? WHERE entry_id = ? AND part = 'answer_received'"
    )
    statements = [(change, (*kept[1], id)), (change, (*kept[0], second))]
    return Tampering("two payloads swapped", statements, min(one, other))


def truncate(victim: Victim, chance: Random) -> Tampering:
    """Take away the end of the log, and say that it was always so long."""
    from gateway.core.merkle import Frontier

    size = chance.randrange(victim.size)
    frontier = Frontier()
    for (leaf,) in victim.rows(
        "SELECT leaf_hash FROM log_leaf ORDER BY leaf_index LIMIT ?", [size]
    ):
        frontier.append(leaf)
    gone = "SELECT entry_id FROM log_leaf WHERE leaf_index >= ?"
    statements: list[tuple[str, Sequence[Any]]] = [
        (f"DELETE FROM audit_part WHERE entry_id IN ({gone})", (size,)),
        (f"DELETE FROM audit_entry WHERE entry_id IN ({gone})", (size,)),
        ("DELETE FROM log_leaf WHERE leaf_index >= ?", (size,)),
        ("DELETE FROM log_node WHERE (number + 1) * 256 > ?", (size,)),
        ("DELETE FROM checkpoint WHERE size > ?", (size,)),
        ("UPDATE log_head SET size = ?, frontier = ?", (size, frontier.encoded())),
    ]
    return Tampering("the end cut off, or an older database", statements, size)


def edit_column(victim: Victim, chance: Random) -> Tampering:
    place, id = _some_leaf(victim, chance)
    column = chance.choice(["exchange_id", "kind", "org_id", "team", "app", "key_id"])
    change = f"UPDATE audit_entry SET {column} = 'another' WHERE entry_id = ?"
    return Tampering(f"a row's {column}", [(change, (id,))], place)


def edit_checkpoint(victim: Victim, chance: Random) -> Tampering:
    size, note = chance.choice(victim.rows("SELECT size, note FROM checkpoint"))
    at = chance.randrange(len(note))
    other = chance.choice("AB0\n ")
    edited = note[:at] + (other if note[at] != other else "x") + note[at + 1 :]
    change = "UPDATE checkpoint SET note = ? WHERE size = ?"
    return Tampering("a checkpoint edited", [(change, (edited, size))], None)


def flip_tree(victim: Victim, chance: Random) -> Tampering:
    kind = chance.choice(["leaf", "node", "frontier"])
    if kind == "leaf":
        place, _ = _some_leaf(victim, chance)
        [(value,)] = victim.rows("SELECT leaf_hash FROM log_leaf WHERE leaf_index = ?", (place,))
        change = "UPDATE log_leaf SET leaf_hash = ? WHERE leaf_index = ?"
        return Tampering("a bit of a leaf", [(change, (_flipped(value, chance), place))], place)
    if kind == "node":
        height, number, value = chance.choice(
            victim.rows("SELECT height, number, hash FROM log_node")
        )
        change = "UPDATE log_node SET hash = ? WHERE height = ? AND number = ?"
        flip = (change, (_flipped(value, chance), height, number))
        return Tampering("a bit of a node", [flip], ((number + 1) << height) - 1)
    [(frontier,)] = victim.rows("SELECT frontier FROM log_head")
    flip = ("UPDATE log_head SET frontier = ?", (_flipped(frontier, chance),))
    return Tampering("a bit of the frontier", [flip], None)


DEEDS: Sequence[Callable[[Victim, Random], Tampering]] = (
    flip_header,
    forge_header,
    flip_part,
    delete_part,
    delete_entry,
    delete_leaf,
    swap_entries,
    swap_payloads,
    truncate,
    edit_column,
    edit_checkpoint,
    flip_tree,
)
