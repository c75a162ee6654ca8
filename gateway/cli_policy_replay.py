"""`govgate policy replay|effective`: what a change would have done, and which rules apply."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from gateway.adapters.packs import PackError, read_folder
from gateway.adapters.store.keys import KeyState, SqlKeys
from gateway.adapters.store.migrate import migrate
from gateway.commands import operator, settings, time_option
from gateway.core.audit import Filters
from gateway.core.errors import GatewayError
from gateway.core.policies import PackFiles
from gateway.core.ports import Model
from gateway.core.principal import Principal
from gateway.core.replays import MOST_REPLAYED, Wanted
from gateway.core.roles import Role
from gateway.governance.policies.effective import as_text as standing_text
from gateway.governance.policies.effective import effective as standing_of
from gateway.governance.policies.effective import who_asks
from gateway.governance.policies.replay_result import as_text as result_text
from gateway.replaying import Replaying, open_replaying
from gateway.settings import Settings
from gateway.stages.decide import as_listed
from gateway.upstreams import build_catalogue, load_routes
from gateway.wiring import DIALECTS, open_keyring

T = TypeVar("T")

_DRAFT = "drf_"
_form = click.option("--format", "form", type=click.Choice(["text", "json"]), default="text",
                     show_default=True, help="To people, or to programs.")  # fmt: skip
_org = click.option("--org", default="default", show_default=True)
_at = click.option("--at", callback=time_option, help="As if it were this time.")


@click.command("replay")
@click.argument("change", metavar="DIR|DRAFT")
@click.option("--since", callback=time_option, default="30d", show_default=True,
              help="From this time, or so long ago.")  # fmt: skip
@click.option("--until", callback=time_option, help="Before this time.")
@click.option("--app", multiple=True, help="Only this application. Repeatable, like the others.")
@click.option("--team", multiple=True, help="Only this team.")
@click.option("--key", multiple=True, help="Only this key.")
@click.option("--model", multiple=True, help="Only this model.")
@click.option("--most", type=click.IntRange(1, MOST_REPLAYED), default=100_000, show_default=True,
              help="The newest so many.")  # fmt: skip
@click.option("--sample", type=click.IntRange(1, MOST_REPLAYED),
              help="So many at random in place of the newest.")  # fmt: skip
@_at
@click.option("--as", "actor", help="Who does it; the default is the user of this system.")
@_org
@_form
def replay(
    change: str, most: int, sample: int | None, at: datetime | None, actor: str | None,
    org: str, form: str, **asked: Any,
) -> None:  # fmt: skip
    """What the pack in DIR, or a draft, would have decided of exchanges that were recorded.

    It is compared with what is in force. Requests are read only to look for phrases that nobody
    looked for then; nothing of them is told. That it was run is on record; of a draft, the result
    is kept with it.
    """
    wanted = _asked(lambda: Wanted(Filters(**asked), sample or most, sample is not None))
    who = replace(operator(actor, org), roles=(Role.POLICY_AUTHOR,))
    time = None if at is None else _rfc3339(at)
    files = None if _is_draft(change) else _files(change)

    async def run(known: Replaying) -> Any:
        if files is None:
            return await known.replays.of_draft(change, who, wanted, time)
        return await known.replays.of_files(files, who, wanted, time)

    told = _with(run)
    click.echo(json.dumps(told, indent=2) if form == "json" else result_text(told))


@click.command("effective")
@click.argument("folder", metavar="[DIR]", required=False)
@click.option("--app", help="The application that asks.")
@click.option("--team", help="Its team.")
@click.option("--key", help="A key: whose it is says application, team and tags.")
@click.option("--tag", "tags", multiple=True, help="A tag of the application. Repeatable.")
@click.option("--model", required=True, help="The model that it asks.")
@click.option("--hosting", help="Where the model runs, in place of what the catalogue says.")
@click.option("--region", help="In which region, in the same way.")
@_at
@click.option("--locale", type=click.Choice(["en", "fr"]), default="en", show_default=True,
              help="The language of the rules' sentences.")  # fmt: skip
@_org
@_form
def effective(
    folder: str | None, key: str | None, model: str, at: datetime | None, locale: str, org: str,
    form: str, **given: Any,
) -> None:  # fmt: skip
    """Which rules apply to an application and a model, which do not, and why.

    By the policy in force; with DIR, as if the pack in it were in force, too.
    """
    known = settings()
    who = _caller(known, key, org, given)
    files = None if folder is None else _files(folder)
    rules = _with(lambda replaying: replaying.rules(files))
    time = _rfc3339(at or datetime.now(UTC))
    told = []
    for hosting, region in _targets(known, model, given["hosting"], given["region"]):
        question = who_asks(
            who.app, model, time, team=who.team, tags=who.tags, hosting=hosting, region=region
        )
        told.append((hosting, region, standing_of(rules, question, locale)))
    may = key is None or who.may_use(model)
    if form == "json":
        rows = [
            {"hosting": hosting, "region": region, "rules": [one.told() for one in standings]}
            for hosting, region, standings in told
        ]
        body = {"app": who.app, "team": who.team, "tags": list(who.tags), "model": model}
        click.echo(json.dumps({**body, "key_may_use": may, "targets": rows}, indent=2))
        return
    if not may:
        click.echo(f"The key may not use {model}: it is refused before the policy is asked.\n")
    for hosting, region, standings in told:
        place = " ".join(word for word in (hosting, region) if word) or "a place not known"
        click.echo(f"{who.app} of team {who.team or '-'} asks {model} at {place}\n")
        click.echo(standing_text(standings))


def _caller(known: Settings, key: str | None, org: str, given: dict[str, Any]) -> Principal:
    """Who asks: as the key says, and as is said besides."""
    if key is None:
        if given["app"] is None:
            raise click.UsageError("say who asks: --app, or --key")
        return Principal(org, given["team"] or "", given["app"], "", tags=tuple(given["tags"]))
    found = [state.principal for state in _keys(known, org) if state.principal.key_id == key]
    if not found:
        click.echo(f"there is no key {key!r}", err=True)
        sys.exit(1)
    who = found[0]
    app, team = given["app"] or who.app, given["team"] or who.team
    return replace(who, app=app, team=team, tags=(*who.tags, *given["tags"]))


def _keys(known: Settings, org: str) -> Sequence[KeyState]:
    migrate(known.database_url)
    keyring = open_keyring(known)

    async def every() -> Sequence[KeyState]:
        keys = SqlKeys(known.database_url, keyring.pepper)
        try:
            return await keys.list(org)
        finally:
            await keys.stop()

    return asyncio.run(every())


def _targets(
    known: Settings, model: str, hosting: str | None, region: str | None
) -> list[tuple[str | None, str | None]]:
    """Where the model may be asked, each place once."""
    found = build_catalogue(known, load_routes(known)).find(model)
    targets: Sequence[Model] = [] if found is None else as_listed(found, None)
    places = [(hosting or each.hosting, region or each.region) for each in targets]
    if not places:
        click.echo(f"no model {model!r} is served here: its place is not known", err=True)
    return list(dict.fromkeys(places)) or [(hosting, region)]


def _is_draft(change: str) -> bool:
    return change.startswith(_DRAFT) and not Path(change).exists()


def _files(folder: str) -> PackFiles:
    try:
        return read_folder(Path(folder))
    except PackError as error:
        click.echo(str(error), err=True)
        sys.exit(1)


def _rfc3339(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _asked(make: Callable[[], T]) -> T:
    try:
        return make()
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _with(work: Callable[[Replaying], Awaitable[T]]) -> T:
    """Do `work` over the database of the settings; a refusal ends the command in words."""
    known = settings()
    migrate(known.database_url)
    keyring = open_keyring(known)

    async def run() -> T:
        async with open_replaying(known, keyring, DIALECTS) as replaying:
            return await work(replaying)

    try:
        return asyncio.run(run())
    except (GatewayError, ValueError) as error:
        click.echo(str(error), err=True)
        sys.exit(1)
