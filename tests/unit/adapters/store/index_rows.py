"""Rows of the index for tests, made directly, and what Python finds among them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from sqlalchemy import Connection, insert

from gateway.adapters.store.full_text import FullText
from gateway.adapters.store.indexing import Marks
from gateway.adapters.store.search_tables import ExchangeIndex, ExchangeTag
from gateway.adapters.store.tables import table
from gateway.adapters.store.words import terms, words
from gateway.core.audit import COLUMNS, TAGS, Filters

BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
VALUES: dict[str, Sequence[str | None]] = {
    "team": ("red", "blue"),
    "app": ("a", "b", "c"),
    "key": ("k1", "k2"),
    "session": ("s1", "s2", None),
    "action": ("chat.completions.create", "embeddings.create"),
    "model": ("m1", "m2", None),
    "provider": ("p1", "p2", None),
    "served_model": ("x", "y", None),
    "outcome": ("completed", "denied", "failed", None),
    "code": ("content_filter", None),
    "effect": ("allow", "deny", None),
    "revision": ("r1", "r2"),
    "purpose": ("help", None),
}
TAGGED = {name: (f"{name}-1", f"{name}-2", f"{name}-3") for name in TAGS}
SAID = ("red", "roses", "thorns", "東京", "self-hosted", "Straße", "12", "e5", "rosebud")
_STORED = {"key": "key_id", "provider": "upstream", "served_model": "upstream_model"}


@dataclass(frozen=True)
class Made:
    """An exchange as it was made up; times in seconds after `BEGIN`."""

    number: int
    org: str
    seconds: int
    columns: dict[str, str | None]
    tags: dict[str, list[str]]
    text: str | None
    cost: int
    hidden: bool

    @property
    def id(self) -> str:
        return f"exc_{self.number}"

    @property
    def ts(self) -> datetime:
        return BEGIN + timedelta(seconds=self.seconds)

    @property
    def order(self) -> tuple[datetime, int]:
        return self.ts, self.number


def made_up(chance: random.Random, numbers: Iterable[int]) -> list[Made]:
    """Exchanges of two organisations; times are not in the order of the log."""
    return [
        Made(
            number,
            chance.choice(["acme", "acme", "acme", "other"]),
            chance.randrange(50),
            {name: chance.choice(values) for name, values in VALUES.items()},
            {
                kind: sorted(chance.sample(values, chance.randrange(1, 3)))
                for kind, values in TAGGED.items()
                if chance.random() < 0.5
            },
            " ".join(chance.choices(SAID, k=6)) if chance.random() < 0.8 else None,
            chance.randrange(10),
            chance.random() < 0.2,
        )
        for number in numbers
    ]


def put(connection: Connection, made: Sequence[Made], marks: Marks) -> None:
    """Write exchanges into the index."""
    connection.execute(insert(table(ExchangeIndex)), [_row(one, marks) for one in made])
    tags = [
        {"org_id": one.org, "kind": kind, "value": value, "ts": one.ts, "number": one.number}
        for one in made
        for kind, values in one.tags.items()
        for value in values
    ]
    if tags:
        connection.execute(insert(table(ExchangeTag)), tags)
    texts = {one.number: list(words(one.text)) for one in made if one.text is not None}
    orgs = {one.number: one.org for one in made}
    FullText(connection.dialect.name).put(connection, texts, orgs)


def _row(one: Made, marks: Marks) -> dict[str, Any]:
    columns: dict[str, Any] = {_STORED.get(n, n): value for n, value in one.columns.items()}
    if columns["session"] is not None:
        columns["session"] = marks.session(one.org, columns["session"])
    return {
        "org_id": one.org, "number": one.number, "exchange_id": one.id, "ts": one.ts,
        "ended_at": one.ts if columns["outcome"] else None, "subject": None, "decision_id": None,
        "hidden": one.hidden, "cost_micro": one.cost, "input_tokens": 1, "output_tokens": 2,
        "elapsed_us": 3, "tags": one.tags, **columns,
    }  # fmt: skip


def asked(chance: random.Random) -> Filters:
    """Random filters; most of them leave something."""
    told: dict[str, Any] = {}
    exclude: dict[str, tuple[str, ...]] = {}
    dimensions = {name: [v for v in values if v] for name, values in VALUES.items()}
    for name, values in {**dimensions, **TAGGED}.items():
        some = tuple(chance.sample(values, chance.randrange(1, len(values) + 1)))
        if chance.random() < 0.07:
            told[name] = some
        if chance.random() < 0.04:
            exclude[name] = some
    for name in ("since", "until"):
        if chance.random() < 0.2:
            told[name] = BEGIN + timedelta(seconds=chance.randrange(50))
    for name in ("cost_from", "cost_to"):
        if chance.random() < 0.1:
            told[name] = chance.randrange(10)
    if chance.random() < 0.3:
        told["text"] = " ".join(
            chance.choice(["{}", "{}", "-{}", "{}*", '"{} {}"']).format(*chance.choices(SAID, k=2))
            for _ in range(chance.randrange(1, 3))
        )
    if chance.random() < 0.1:
        told["open"] = chance.random() < 0.5
    return Filters(**told, exclude=exclude, hidden=chance.random() < 0.5)


def matches(one: Made, org: str, team: str | None, filters: Filters) -> bool:
    """What a database must say, said slowly."""
    if one.org != org or (team is not None and one.columns["team"] != team):
        return False
    if one.hidden and not filters.hidden:
        return False
    if filters.since is not None and one.ts < filters.since:
        return False
    if filters.until is not None and one.ts >= filters.until:
        return False
    if filters.cost_from is not None and one.cost < filters.cost_from:
        return False
    if filters.cost_to is not None and one.cost > filters.cost_to:
        return False
    if filters.open is not None and filters.open is not (one.columns["outcome"] is None):
        return False
    for name in (*COLUMNS, *TAGS):
        has = set(one.tags.get(name, ())) if name in TAGS else {one.columns[name]}
        wanted, unwanted = filters.wanted(name), filters.unwanted(name)
        if (wanted and has.isdisjoint(wanted)) or not has.isdisjoint(unwanted):
            return False
    return filters.text is None or says(one.text, filters.text)


def says(text: str | None, query: str) -> bool:
    """Whether a text satisfies a query."""
    wanted = terms(query)
    if text is None or not wanted:
        return False
    said = list(words(text))
    return all(_stands(said, term.words, term.prefix) is not term.unwanted for term in wanted)


def _stands(said: list[str], run: tuple[str, ...], prefix: bool) -> bool:
    *first, last = run
    for start in range(len(said) - len(run) + 1):
        here = said[start : start + len(run)]
        ends = here[-1].startswith(last) if prefix else here[-1] == last
        if here[:-1] == first and ends:
            return True
    return False


def numbered() -> Iterable[int]:
    """Numbers of exchanges, each once."""
    return count()
