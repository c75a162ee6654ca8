"""How long searches take among many records: `python -m bench.queries`.

Rows are made directly in the index, as if a year's exchanges had been indexed, and asked for as
the REST API asks. `--url` names an empty database besides the SQLite file that is made.
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import click
import orjson
from sqlalchemy import Connection, insert

from bench.figures import percentile
from gateway.adapters.keyring import Keyring
from gateway.adapters.store.engine import for_writing, open_engine
from gateway.adapters.store.full_text import FullText
from gateway.adapters.store.migrate import migrate
from gateway.adapters.store.naming import Names
from gateway.adapters.store.queries import SqlSearch
from gateway.adapters.store.search_tables import ExchangeIndex, ExchangeTag
from gateway.adapters.store.tables import table
from gateway.core.audit import Filters, Scope

CHUNK, ASKED = 20_000, 100
NOW = datetime(2026, 11, 22, tzinfo=UTC)
YEAR = timedelta(days=365)
ORG = "default"
ALL, TEAM = Scope(ORG), Scope(ORG, "team-7")
VOCABULARY = [f"word{number}" for number in range(20_000)]
APPS = [f"app-{number}" for number in range(50)]
MODELS = [f"model-{number}" for number in range(12)]
RULES = [f"rule.{number}" for number in range(20)]
OUTCOMES = {"completed": 960, "denied": 25, "failed": 10, "cancelled": 4, "filtered": 1}
Row = dict[str, Any]


def exchanges(rows: int, names: Names) -> Iterator[tuple[Row, list[Row], list[str]]]:
    """Made-up exchanges, the oldest first: a row, its tags, and its words."""
    chance = random.Random(1)
    for number in range(rows):
        app = min(int(chance.expovariate(0.15)), len(APPS) - 1)
        [outcome] = chance.choices(list(OUTCOMES), list(OUTCOMES.values()))
        refused = outcome in ("denied", "filtered")
        tags = {"rule": sorted({RULES[min(int(chance.expovariate(0.5)), 19)] for _ in "ab"})}
        if chance.random() < 0.2:
            tags["finding"] = ["pii:EMAIL_ADDRESS"]
        if chance.random() < 0.1:
            tags["tool"] = [f"tool-{chance.randrange(30)}"]
        tags["id"] = [names.marks.id(ORG, f"dec_{number}"), names.marks.id(ORG, f"leaf{number}")]
        ts = NOW - YEAR + YEAR * number / rows
        row = {
            "org_id": ORG, "number": number * 3, "exchange_id": f"exc_{number}", "ts": ts,
            "ended_at": ts, "team": f"team-{app % 10}", "app": APPS[app],
            "key_id": f"key-{app}-{chance.randrange(4)}", "subject": f"{chance.randrange(5_000)}",
            "session": names.marks.session(ORG, f"s{number // 5}"),
            "action": "chat.completions.create",
            "model": MODELS[min(int(chance.expovariate(0.5)), 11)], "upstream": "openai",
            "upstream_model": "gpt", "outcome": "lost" if number % 250_000 == 99 else outcome,
            "code": "content_filter" if refused else None,
            "effect": "deny" if refused else "allow", "decision_id": f"dec_{number}",
            "revision": f"sha256:{number // 50_000}", "purpose": None, "hidden": False,
            "cost_micro": int(chance.expovariate(1e-4)), "input_tokens": 200,
            "output_tokens": 80, "elapsed_us": 900_000, "tags": tags,
        }  # fmt: skip
        words = [VOCABULARY[min(int(chance.paretovariate(0.7)), 19_999)] for _ in range(40)]
        placed = [
            {"org_id": ORG, "kind": kind, "value": value, "ts": ts, "number": row["number"]}
            for kind, values in tags.items()
            for value in values
        ]
        yield row, placed, words


def fill(url: str, rows: int, names: Names) -> None:
    """Migrate the database and write the exchanges."""
    migrate(url)
    engine = open_engine(url, patience=120.0)
    made = exchanges(rows, names)
    while chunk := list(islice(made, CHUNK)):
        with for_writing(engine).begin() as connection:
            if engine.dialect.name == "postgresql":
                _copy(connection, chunk)
            else:
                connection.execute(insert(table(ExchangeIndex)), [row for row, _, _ in chunk])
                connection.execute(
                    insert(table(ExchangeTag)), [t for _, ts, _ in chunk for t in ts]
                )
                texts = {row["number"]: words for row, _, words in chunk}
                FullText("sqlite").put(connection, texts, dict.fromkeys(texts, ORG))
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")
    engine.dispose()


def _copy(connection: Connection, chunk: Sequence[tuple[Row, list[Row], list[str]]]) -> None:
    """Rows by PostgreSQL's COPY, which is several times as fast."""
    driver: Any = connection.connection.driver_connection
    rows = [{**row, "tags": orjson.dumps(row["tags"]).decode()} for row, _, _ in chunk]
    for name, written in (
        ("exchange_index", rows),
        ("exchange_tag", [tag for _, tags, _ in chunk for tag in tags]),
    ):
        columns = list(written[0])
        with driver.cursor().copy(f"COPY {name} ({', '.join(columns)}) FROM STDIN") as copy:
            for row in written:
                copy.write_row([row[column] for column in columns])
    texts = [(ORG, row["number"], " ".join(words)) for row, _, words in chunk]
    with driver.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE IF NOT EXISTS said (o varchar, n bigint, w text)")
        cursor.execute("TRUNCATE said")
        with cursor.copy("COPY said FROM STDIN") as copy:
            for text in texts:
                copy.write_row(text)
        cursor.execute("INSERT INTO exchange_text SELECT o, n, to_tsvector('simple', w) FROM said")


def questions(chance: random.Random) -> dict[str, Callable[[], tuple[Scope, Filters]]]:
    """What is asked, by what it is called; each with values of its own every time."""

    def day() -> dict[str, Any]:
        since = NOW - timedelta(days=chance.randrange(1, 360))
        return {"since": since, "until": since + timedelta(days=1)}

    def word(least: int, most: int) -> str:
        return VOCABULARY[chance.randrange(least, most)]

    def app() -> str:
        return chance.choice(APPS)

    return {
        "newest": lambda: (ALL, Filters()),
        "one app": lambda: (ALL, Filters(app=(app(),))),
        "app, refused": lambda: (ALL, Filters(app=(app(),), outcome=("denied", "filtered"))),
        "a day": lambda: (ALL, Filters(**day())),
        "a day, one model": lambda: (ALL, Filters(model=(chance.choice(MODELS),), **day())),
        "a session": lambda: (ALL, Filters(session=(f"s{chance.randrange(20_000)}",))),
        "lost": lambda: (ALL, Filters(outcome=("lost",))),
        "rule and finding": lambda: (
            ALL, Filters(rule=(chance.choice(RULES),), finding=("pii:EMAIL_ADDRESS",))),
        "dear": lambda: (ALL, Filters(cost_from=100_000)),
        "not an app": lambda: (ALL, Filters(exclude={"app": (app(),)}, effect=("deny",))),
        "old revision, failed": lambda: (
            ALL, Filters(revision=(f"sha256:{chance.randrange(20)}",), outcome=("failed",))),
        "rare words": lambda: (ALL, Filters(text=word(2_000, 20_000))),
        "common words": lambda: (ALL, Filters(text=f"{word(1, 20)} {word(1, 20)}")),
        "a phrase": lambda: (ALL, Filters(text=f'"{word(1, 50)} {word(1, 50)}"')),
        "team, app, words": lambda: (TEAM, Filters(app=("app-7",), text=word(5, 500))),
        "nothing": lambda: (ALL, Filters(app=("app-1",), tool=("tool-1",), code=("x",))),
    }  # fmt: skip


async def measure(url: str, rows: int, names: Names) -> list[tuple[str, float, float]]:
    """Milliseconds of each question: its name, the median and the 95th percentile."""
    search = SqlSearch(url, names, lambda name: name.encode())
    chance = random.Random(2)
    found: list[tuple[str, float, float]] = []

    async def timed(name: str, ask: Callable[[], Awaitable[object]], times: int = ASKED) -> None:
        took = []
        for _ in range(times):
            begun = time.perf_counter()
            await ask()
            took.append((time.perf_counter() - begun) * 1e3)
        found.append((name, percentile(took, 0.5), percentile(took, 0.95)))

    for name, question in questions(chance).items():

        async def page(question: Any = question) -> object:
            scope, filters = question()
            return await search.page(scope, filters, None, 50)

        async def facets(question: Any = question) -> object:
            return await search.facets(*question())

        await timed(name, page)
        await timed(f"{name}: facets", facets, ASKED // 5)
    deep: list[str | None] = [None]

    async def next_page() -> object:
        found = await search.page(ALL, Filters(), deep[0], 500)
        deep[0] = found.next
        return found

    await timed("page after page", next_page)
    await timed("any id", lambda: search.find(ORG, f"dec_{chance.randrange(rows)}"))
    await search.stop()
    return found


@click.command()
@click.option("--rows", default=1_000_000, show_default=True)
@click.option("--url", help="An empty database to measure besides.")
def main(rows: int, url: str | None) -> None:
    """Measure searches, and print a table."""
    with tempfile.TemporaryDirectory() as folder:
        names = Names(Keyring.open(Path(folder) / "keyring.json", None))
        for place in (f"sqlite:///{folder}/queries.db", *([url] if url else ())):
            begun = time.perf_counter()
            fill(place, rows, names)
            took = time.perf_counter() - begun
            sys.stdout.write(f"\n{place.partition(':')[0]}: {rows} rows in {took:.0f} s\n\n")
            for name, half, most in asyncio.run(measure(place, rows, names)):
                sys.stdout.write(f"| {name} | {half:.1f} | {most:.1f} |\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
