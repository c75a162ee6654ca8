"""`govgate audit query|show|explain|session|reindex` and `govgate inspect`: finding records."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar

import click
import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gateway.adapters.store.journal import SqlJournal
from gateway.adapters.store.migrate import migrate
from gateway.adapters.store.policies import SqlPolicies
from gateway.adapters.store.queries import ReadingLedger
from gateway.adapters.store.records import SqlRecords
from gateway.auditing import open_indexer, open_search, personal
from gateway.commands import operator, settings, time_option
from gateway.compiling import modules_of
from gateway.core.audit import DIMENSIONS, MOST_ROWS, Filters, Listed
from gateway.core.errors import GatewayError
from gateway.core.money import Money, dollars, usd
from gateway.core.roles import Role
from gateway.governance.audits import Audits
from gateway.governance.policies.desk import Desk
from gateway.governance.policies.history import History
from gateway.lifecycle import YamlPacks
from gateway.payloads import open_payloads
from gateway.wiring import DIALECTS, open_keyring

T = TypeVar("T")
Options = Callable[[Callable[..., None]], Callable[..., None]]

_COLUMNS = {
    "exchange": 36, "time (UTC)": 19, "app": 8, "model": 8, "outcome": 9, "effect": 6,
    "USD": 8, "rules": 10,
}  # fmt: skip
"""What a list shows, and the characters that each column takes at least: ids stay whole."""
_LEAST_WIDTH = 130


def _micro(context: click.Context, option: click.Parameter, value: str | None) -> int | None:
    try:
        return None if value is None else usd(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def _excluded(
    context: click.Context, option: click.Parameter, values: tuple[str, ...]
) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for value in values:
        name, _, unwanted = value.partition("=")
        if not unwanted:
            raise click.BadParameter("give a dimension and a value, such as app=shop")
        found.setdefault(name, []).append(unwanted)
    return found


def _filtered(command: Callable[..., None]) -> Callable[..., None]:
    """The options that say which exchanges are wanted."""
    options: list[Options] = [
        click.option(
            "--since", callback=time_option, help="From this time, or so long ago: 24h, 7d."
        ),
        click.option("--until", callback=time_option, help="Before this time."),
        *(
            click.option(f"--{name.replace('_', '-')}", name, multiple=True, help="Repeatable.")
            for name in DIMENSIONS
        ),
        click.option("--exclude", multiple=True, callback=_excluded, help="DIMENSION=VALUE."),
        click.option("--user", help="Whose it is, such as user:ann."),
        click.option("--value", help="A value that was found in it, whole, such as an e-mail."),
        click.option("--text", help='Words of its masked text: one, "two words", begin*, -not.'),
        click.option("--cost-from", callback=_micro, help="Dollars, at least."),
        click.option("--cost-to", callback=_micro, help="Dollars, at most."),
        click.option("--open/--ended", "open", default=None, help="Whether it has not ended."),
        click.option("--hidden", is_flag=True, help="Also calls that only discover."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


_org = click.option("--org", default="default", show_default=True)
_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.command()
@_filtered
@_org
@click.option("--limit", type=click.IntRange(1, MOST_ROWS), default=20, show_default=True)
@click.option("--after", help="The place where the page before ended.")
@_as_json
def query(org: str, limit: int, after: str | None, as_json: bool, **asked: Any) -> None:
    """The newest exchanges that match."""
    told = {name: value for name, value in asked.items() if value not in (None, (), {}, False)}
    filters = msgspec.convert(told, Filters)
    who = replace(operator(None, org), roles=(Role.AUDITOR,))
    page = _ask(lambda audits: audits.page(who, filters, after, limit))
    if as_json:
        _print(page)
        return
    _table(page.exchanges)
    if page.next:
        click.echo(f"more: --after {page.next}")


@click.command()
@click.argument("id")
@_org
@_as_json
def show(id: str, org: str, as_json: bool) -> None:
    """What happened in an exchange, by any id of it; nothing of what was said."""
    who = replace(operator(None, org), roles=(Role.AUDITOR,))

    async def find(audits: Audits) -> Any:
        return await audits.exchange(who, await audits.find(who, id))

    timeline = _ask(find)
    if as_json:
        _print(timeline)
        return
    click.echo(timeline.exchange_id + ("  (what was said is erased)" if timeline.erased else ""))
    for step in timeline.entries:
        altered = "" if step.intact else "  ALTERED"
        place = "not in the log yet" if step.position is None else f"leaf {step.position}"
        click.echo(f"\n{step.kind}  {_at(step.ts)}  {step.entry_id}  {place}{altered}")
        for name, fact in step.facts.items():
            click.echo(f"  {name:<18} {json.dumps(fact, ensure_ascii=False)}")
        for part in step.parts:
            click.echo(f"  {'part':<18} {part['part']} ({part['size']} bytes)")


@click.command()
@click.argument("id")
@_org
@_as_json
def explain(id: str, org: str, as_json: bool) -> None:
    """Why an exchange was decided as it was, by any id of it."""
    who = replace(operator(None, org), roles=(Role.AUDITOR,))

    async def find(audits: Audits) -> Any:
        return await audits.explain(who, await audits.find(who, id))

    explanation = _ask(find)
    if as_json:
        _print(explanation)
        return
    click.echo("\n".join([explanation.exchange_id, *explanation.sentences]))


@click.command()
@click.argument("id")
@_org
@_as_json
def session(id: str, org: str, as_json: bool) -> None:
    """The exchanges of a session in order, by the caller's name for it or its mark."""
    who = replace(operator(None, org), roles=(Role.AUDITOR,))
    found = _ask(lambda audits: audits.session(who, id))
    if as_json:
        _print(found)
        return
    click.echo(found.session)
    _table(found.turns)
    if not found.complete:
        click.echo(f"only the first {len(found.turns)} are shown")


@click.command()
def reindex() -> None:
    """Make the index that searches read anew, from all of the log."""
    known = settings()
    migrate(known.database_url)
    indexer = open_indexer(known, open_keyring(known), DIALECTS)
    try:
        indexer.rebuild()
        done = 0
        while more := indexer.step():
            done += more
        left = indexer.behind()
    finally:
        indexer.stop()
    click.echo(f"indexed: {done} entries of the log")
    if left > 0:
        click.echo(f"a running gateway goes on with the other {left}")


@click.command()
@click.argument("id")
@click.option("--reason", required=True, help="Why it must be read. It goes on record first.")
@click.option("--part", "parts", multiple=True, help="A payload; all, when not given. Repeatable.")
@click.option("--as", "actor", help="Who reads it; the default is the user of this system.")
@_org
@_as_json
def inspect(
    id: str, reason: str, parts: tuple[str, ...], actor: str | None, org: str, as_json: bool
) -> None:
    """What was said in an exchange, in clear. That it is read is recorded before it is shown."""
    who = replace(operator(actor, org), roles=(Role.INVESTIGATOR,))

    async def read(audits: Audits) -> Any:
        return await audits.content(who, await audits.find(who, id), reason, parts)

    content = _ask(read, writes=True)
    if as_json:
        _print(content)
        return
    click.echo(f"{content.exchange_id}  (this reading is entry {content.read})")
    for piece in content.parts:
        click.echo(f"\n--- {piece.kind} {piece.part}  {piece.entry_id}")
        click.echo(_visible(piece.text) if piece.text is not None else f"base64 {piece.base64}")
    for name in content.lacking:
        click.echo(f"\n--- {name}: a value in it was erased")


def _ask(work: Callable[[Audits], Awaitable[T]], *, writes: bool = False) -> T:
    """Do `work` over the database of the settings; a refusal ends the command in words."""
    known = settings()
    migrate(known.database_url)
    keyring = open_keyring(known)

    async def run() -> T:
        search = open_search(known, keyring)
        records = SqlRecords(known.database_url, keyring, objects=open_payloads(known))
        journal = SqlJournal(known.database_url, keyring)
        policies = SqlPolicies(known.database_url)
        history = History(Desk(policies, YamlPacks(modules_of(known)), journal))
        try:
            if writes:
                await journal.start()
            ledger = ReadingLedger(records)
            return await work(Audits(search, ledger, journal, personal, history.sentences))
        finally:
            await policies.stop()
            await journal.stop()
            await records.stop()
            await search.stop()

    try:
        return asyncio.run(run())
    except GatewayError as error:
        click.echo(error.message, err=True)
        sys.exit(1)


def _print(body: object) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(body), indent=2).decode())


def _table(rows: tuple[Listed, ...]) -> None:
    table = Table(box=None, pad_edge=False)
    for name, least in _COLUMNS.items():
        table.add_column(name, min_width=least, overflow="fold")
    for row in rows:
        cells = (
            row.exchange_id,
            _at(row.ts),
            row.app,
            row.model or "",
            row.outcome or "open",
            row.effect or "",
            dollars(Money(row.cost_micro_usd)),
            ", ".join(row.tags.get("rule", ())),
        )
        table.add_row(*(Text(_visible(cell)) for cell in cells))
    Console(width=max(_LEAST_WIDTH, Console().width)).print(table)


def _at(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def _visible(text: str) -> str:
    """`text` with control characters spelled out: what was said must not steer a terminal."""
    return "".join(
        one if one in "\n\t" or one.isprintable() else one.encode("unicode_escape").decode()
        for one in text
    )
