"""How long a replay takes: `python -m bench.replay`.

A ledger is made with recorded questions, encrypted as the gateway keeps them, and a draft of the
baseline is replayed over all of them in this process: read, decrypted, decided twice, compared.
With `--distinct` no two questions are alike, so that none is decided without the engine. What
reading alone takes is told besides.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import click
import msgspec
import orjson
from sqlalchemy import insert

from gateway.adapters.keyring import Keyring
from gateway.adapters.packs import question_of
from gateway.adapters.store.engine import for_writing, open_engine
from gateway.adapters.store.journal import SqlJournal
from gateway.adapters.store.migrate import migrate
from gateway.adapters.store.questions import SqlQuestions
from gateway.adapters.store.search_tables import ExchangeIndex
from gateway.adapters.store.tables import table
from gateway.core.audit import Filters, Scope
from gateway.core.ids import new_id
from gateway.core.money import ZERO
from gateway.core.policy import Question
from gateway.core.principal import Principal
from gateway.core.records import Entry, Kind
from gateway.core.replays import Wanted
from gateway.core.roles import Role
from gateway.governance.policies.replay_result import as_text
from gateway.governance.policies.replays import PAGE
from gateway.replaying import open_replaying, side_of
from gateway.settings import Settings, baseline_pack
from gateway.wiring import DIALECTS

WANTED = 60.0
"""Seconds of one processor that 100,000 questions may take."""
TOGETHER = 500
NOW = datetime(2026, 11, 22, tzinfo=UTC)
AUTHOR = Principal("default", "risk", "console", "k1", roles=(Role.POLICY_AUTHOR,))
LABELS = ("EMAIL_ADDRESS", "PHONE_NUMBER", "IBAN_CODE", "PERSON")


def question(dice: Random, *, distinct: bool) -> Question:
    """A question as applications make them: a few findings, a few tools."""
    labels = dice.sample(LABELS, dice.choice([0, 0, 0, 1, 1, 2, 3]) or int(distinct))
    scores = [round(dice.random(), 9) if distinct else dice.choice([0.4, 0.85, 1]) for _ in labels]
    return question_of(
        {
            "app": f"app-{dice.randrange(50)}",
            "team": f"team-{dice.randrange(10)}",
            "model": f"model-{dice.randrange(12)}",
            "time": (NOW - timedelta(seconds=dice.randrange(86_400 * 30))).strftime(
                "%Y-%m-%dT%H:%M:%SZ"
            ),
            "findings": [
                {"kind": "pii", "label": label, "score": score}
                for label, score in zip(labels, scores, strict=True)
            ],
            "tools": dice.sample(["search", "shell", "mail"], dice.choice([0, 0, 1, 2])),
        }
    )


async def fill(settings: Settings, keyring: Keyring, count: int, *, distinct: bool) -> None:
    """Write exchanges of the last month as the pipeline does, and their rows of the index."""
    migrate(settings.database_url)
    dice, side = Random(7), side_of([_files(baseline_pack())])
    journal = SqlJournal(settings.database_url, keyring)
    await journal.start()
    rows: list[dict[str, Any]] = []

    async def one(number: int) -> None:
        asked = question(dice, distinct=distinct)
        verdict = (await side.policy.decide(asked)).verdict
        id, who = new_id("exc"), Principal("default", "t", asked["subject"]["id"], "k1")
        record = journal.begin(id, who, Entry(Kind.OPENED, {"model": "m"}, {}))
        parts = {"question": orjson.dumps(asked), "decision": msgspec.json.encode(verdict)}
        await record.append(Entry(Kind.ATTEMPT, {"attempt": 1}, parts))
        await record.close(Entry(Kind.CLOSED, {"outcome": "completed"}, {}), ZERO)
        rows.append(_row(number, id, asked, side.rules.revision))

    for start in range(0, count, TOGETHER):
        async with asyncio.TaskGroup() as group:
            for number in range(start, min(start + TOGETHER, count)):
                group.create_task(one(number))
    await journal.stop()
    engine = open_engine(settings.database_url)
    with for_writing(engine).begin() as connection:
        connection.execute(insert(table(ExchangeIndex)), rows)
    engine.dispose()


def _row(number: int, id: str, asked: Question, revision: str) -> dict[str, Any]:
    ts = datetime.fromisoformat(asked["context"]["time"])
    return {
        "number": number, "exchange_id": id, "ts": ts, "ended_at": ts, "key_id": "k1",
        "team": asked["subject"]["properties"]["team"], "app": asked["subject"]["id"],
        "model": asked["resource"]["id"], "outcome": "completed", "effect": "allow",
        "revision": revision, "hidden": False, "cost_micro": 1_000, "tags": {},
    }  # fmt: skip


def _files(folder: Path) -> Mapping[str, str]:
    paths = [path for path in sorted(folder.rglob("*.yaml")) if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_text() for path in paths}


def changed(files: Mapping[str, str]) -> Mapping[str, str]:
    """The baseline with a rule that denies what it masked, where it is sure."""
    rule = (
        "---\nid: bench.deny\ntitle: No bank accounts\nkind: pii\nmode: enforce\n"
        "params: {direction: input, labels: [IBAN_CODE], min_score: 0.8}\non_match: deny\n"
        "message: {en: No bank accounts.}\n"
    )
    return {**files, "rules/bench.yaml": rule}


async def reading(settings: Settings, keyring: Keyring, wanted: Wanted) -> float:
    """Seconds that it takes to read and decrypt the questions, and no more."""
    questions, scope = SqlQuestions(settings.database_url, keyring), Scope("default")
    begun = time.perf_counter()
    numbers: Sequence[int] = (await questions.choose(scope, wanted)).numbers
    for start in range(0, len(numbers), PAGE):
        await questions.read(scope, numbers[start : start + PAGE])
    took = time.perf_counter() - begun
    await questions.stop()
    return took


async def measure(folder: Path, count: int, *, distinct: bool) -> float:
    """Make the ledger, replay it, say what was found; the seconds of a processor that it took."""
    settings = Settings(data_dir=folder)
    keyring = Keyring.open(settings.keyring_path, None)
    await fill(settings, keyring, count, distinct=distinct)
    wanted = Wanted(Filters(), count)
    read = await reading(settings, keyring, wanted)
    files = _files(baseline_pack())
    async with open_replaying(settings, keyring, DIALECTS) as replaying:
        wall, cpu = time.perf_counter(), time.process_time()
        told = await replaying.replays.of_files(changed(files), AUTHOR, wanted)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    click.echo(as_text(told))
    click.echo(
        f"\n{told['replayed']:,} questions in {wall:.1f} s ({cpu:.1f} s of processor time), of "
        f"which reading and decrypting {read:.1f} s"
    )
    if told["replayed"] != count:
        sys.exit("not every question was replayed")
    return cpu


@click.command()
@click.option("--questions", default=100_000, type=click.IntRange(1), help="How many.")
@click.option("--distinct", is_flag=True, help="No two of them alike.")
def main(questions: int, distinct: bool) -> None:
    """Measure a replay, and print what was found."""
    with tempfile.TemporaryDirectory(prefix="govgate-bench-") as folder:
        took = asyncio.run(measure(Path(folder), questions, distinct=distinct))
    if not distinct and took > WANTED * questions / 100_000:
        sys.exit(f"more than {WANTED:g} s for 100,000")


if __name__ == "__main__":
    main()
