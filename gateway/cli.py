"""`govgate`: serve, see a tour, look after the database, the keys and the models."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import click
from pydantic import SecretStr
from sqlalchemy import make_url

from gateway.adapters.routing.routes import Routes
from gateway.adapters.store.credentials import SqlCredentials
from gateway.adapters.store.keys import KeyState, NewKey, SqlKeys
from gateway.cli_audit import audit
from gateway.cli_bundle_key import bundle_key
from gateway.cli_keyring import keyring
from gateway.cli_policy import policy
from gateway.cli_policy_drafts import COMMANDS as DRAFTS
from gateway.cli_policy_releases import COMMANDS as RELEASES
from gateway.cli_policy_replay import effective, replay
from gateway.cli_policy_state import COMMANDS as STATE
from gateway.cli_query import inspect
from gateway.cli_reports import report
from gateway.cli_stop import resume, stop, stops
from gateway.cli_upkeep import backup, database, restore
from gateway.cli_witness import witness
from gateway.commands import Commands, settings
from gateway.core.money import Money, dollars, usd
from gateway.core.principal import Limits
from gateway.core.roles import Role
from gateway.settings import Settings

T = TypeVar("T")

_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_LONGEST = timedelta(days=36_500)
_MOST = usd("1000000000")


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="govgate")
def main() -> None:
    """A governance and audit gateway for AI traffic."""


@main.command()
@click.option("--host", help="Where to listen; the default is GOVGATE_SERVER__HOST.")
@click.option(
    "--port", type=click.IntRange(0, 65_535), help="The port; the default is GOVGATE_SERVER__PORT."
)
def serve(host: str | None, port: int | None) -> None:
    """Bring the database up to date, then serve."""
    from gateway.running import serve as run
    from gateway.upstreams import load_routes

    told = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    known = settings()
    load_routes(known)
    run(known.model_copy(update={"server": known.server.model_copy(update=told)}))


@main.command()
@click.option("--once", is_flag=True, help="End after the tour.")
def demo(once: bool) -> None:
    """Serve, show five exchanges and their records, then go on serving."""
    from gateway.running import demo as run

    run(settings(), once=once)


@main.command()
def migrate() -> None:
    """Create the database, or bring it up to date."""
    from gateway.adapters.store.migrate import migrate as bring

    known = settings()
    bring(known.database_url)
    click.echo(f"up to date: {_without_password(known.database_url)}")


@main.command()
def doctor() -> None:
    """Look at every part a served exchange needs; exit code 1 when one is not ready."""
    from gateway.running import examine

    states = asyncio.run(examine(settings()))
    for name, state in states.items():
        click.echo(f"{name:<10} {state}")
    if any(state != "ok" for state in states.values()):
        sys.exit(1)


@main.group()
def keys() -> None:
    """API keys of applications."""


def _duration(context: click.Context, option: click.Parameter, value: str | None
              ) -> timedelta | None:  # fmt: skip
    if value is None:
        return None
    found = re.fullmatch(r"([0-9]{1,12})([smhd])", value)
    if found is None:
        raise click.BadParameter("give a number and s, m, h or d, such as 30d")
    seconds = int(found[1]) * _UNITS[found[2]]
    if seconds > _LONGEST.total_seconds():
        raise click.BadParameter(f"give at most {_LONGEST.days}d")
    return timedelta(seconds=seconds)


def _money(context: click.Context, option: click.Parameter, value: str | None) -> Money | None:
    if value is None:
        return None
    try:
        amount = usd(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    if not 0 <= amount <= _MOST:
        raise click.BadParameter(f"give from 0 to {dollars(_MOST)} dollars")
    return amount


@keys.command("create")
@click.option("--app", required=True, help="The application's name.")
@click.option("--team", default="default", show_default=True)
@click.option("--org", default="default", show_default=True)
@click.option("--model", "models", multiple=True, help="A model it may use; a glob. Repeatable.")
@click.option("--scope", "scopes", multiple=True, help="An action it may call; a glob.")
@click.option("--tag", "tags", multiple=True, help="A tag that policies may speak of.")
@click.option(
    "--role",
    "roles",
    multiple=True,
    type=click.Choice([role.value for role in Role]),
    help="What its holder may see of the record. Repeatable.",
)
@click.option("--requests", type=click.IntRange(1), help="Requests a minute.")
@click.option("--tokens", type=click.IntRange(1), help="Tokens a minute.")
@click.option("--budget", callback=_money, help="Dollars it may spend in all, such as 5.00.")
@click.option("--expires", callback=_duration, help="When it ends: 30d, 12h …")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def create(app: str, team: str, org: str, models: tuple[str, ...], scopes: tuple[str, ...],
           tags: tuple[str, ...], roles: tuple[str, ...], requests: int | None,
           tokens: int | None, budget: Money | None, expires: timedelta | None,
           as_json: bool) -> None:  # fmt: skip
    """Make a key. It is shown once, now."""
    limits = Limits(requests, tokens)
    key = NewKey(
        org=org,
        team=team,
        app=app,
        env=settings().env,
        scopes=scopes or ("*",),
        models=models or ("*",),
        tags=tags,
        roles=roles,
        limits=limits,
        budget=budget,
        expires_at=None if expires is None else datetime.now(UTC) + expires,
    )
    text, principal = _with_keys(lambda keys: keys.create(key))
    _show_new(text, principal.key_id, as_json)


@keys.command("list")
@click.option("--org", default="default", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(org: str, as_json: bool) -> None:
    """Every key of an organisation, and its state. Secrets are not kept."""
    rows = [_row(state) for state in _with_keys(lambda keys: keys.list(org))]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        owner = f"{row['org']}/{row['team']}/{row['app']}"
        click.echo(f"{row['id']:<10} {row['state']:<8} {owner:<40} {row['created']}")


@keys.command("revoke")
@click.argument("key_id")
def revoke(key_id: str) -> None:
    """End a key. Running gateways refuse it within a second."""
    if not _with_keys(lambda keys: keys.revoke(key_id)):
        click.echo(f"there is no valid key {key_id}", err=True)
        sys.exit(1)
    click.echo(f"revoked: {key_id}")


@keys.command("rotate")
@click.argument("key_id")
@click.option("--grace", callback=_duration, default="0s", show_default=True,
              help="How long the old secret stays valid.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def rotate(key_id: str, grace: timedelta, as_json: bool) -> None:
    """Give a key a new secret, shown once, now."""
    text = _with_keys(lambda keys: keys.rotate(key_id, grace))
    if text is None:
        click.echo(f"there is no valid key {key_id}", err=True)
        sys.exit(1)
    _show_new(text, key_id, as_json)


def _with_keys(work: Callable[[SqlKeys], Awaitable[T]]) -> T:
    """Do `work` over the database of the settings, which is brought up to date first."""
    from gateway.adapters.store.migrate import migrate as bring
    from gateway.wiring import open_keyring

    known = settings()
    bring(known.database_url)
    pepper = open_keyring(known).pepper

    async def run() -> T:
        keys = SqlKeys(known.database_url, pepper)
        try:
            return await work(keys)
        finally:
            await keys.stop()

    return asyncio.run(run())


def _row(state: KeyState) -> dict[str, Any]:
    who = state.principal
    now = datetime.now(UTC)
    expired = state.expires_at is not None and state.expires_at <= now
    return {
        "id": who.key_id,
        "state": "revoked" if state.revoked_at else "expired" if expired else "valid",
        "org": who.org,
        "team": who.team,
        "app": who.app,
        "env": state.env,
        "scopes": list(who.scopes),
        "models": list(who.models),
        "tags": list(who.tags),
        "roles": list(who.roles),
        "budget_id": who.budget_id,
        "created": state.created_at.isoformat(timespec="seconds"),
        "expires": state.expires_at and state.expires_at.isoformat(timespec="seconds"),
    }


def _show_new(text: str, key_id: str, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"id": key_id, "key": text}))
        return
    click.echo(f"{text}\n\nThis is the only time it is shown. Its id is {key_id}.")


@main.group()
def credentials() -> None:
    """Keys of providers, which a routes file names as {stored: NAME}."""


@credentials.command("set")
@click.argument("name")
def set_(name: str) -> None:
    """Store a credential, in place of the former one. It is asked for, or read from a pipe.

    It is encrypted under the keyring. Running gateways read it when they start again.
    """
    prompted = sys.stdin.isatty()
    text = click.prompt("Credential", hide_input=True) if prompted else sys.stdin.read()
    replaced = _with_credentials(lambda store: store.put(name, SecretStr(text.strip())))
    click.echo(f"{'replaced' if replaced else 'stored'}: {name}")


@credentials.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_credentials(as_json: bool) -> None:
    """The name of every credential, and when it was changed. None is ever shown."""
    rows = [
        {
            "name": state.name,
            "created": state.created_at.isoformat(timespec="seconds"),
            "changed": state.changed_at.isoformat(timespec="seconds"),
        }
        for state in _with_credentials(lambda store: store.list())
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        click.echo(f"{row['name']:<40} {row['changed']}")


@credentials.command("remove")
@click.argument("name")
def remove(name: str) -> None:
    """Forget a credential."""
    if not _with_credentials(lambda store: store.remove(name)):
        click.echo(f"there is no credential {name}", err=True)
        sys.exit(1)
    click.echo(f"removed: {name}")


def _with_credentials(work: Callable[[SqlCredentials], T]) -> T:
    """Do `work` over the database of the settings, which is brought up to date first."""
    from gateway.adapters.store.migrate import migrate as bring
    from gateway.wiring import open_keyring

    known = settings()
    bring(known.database_url)
    store = SqlCredentials(known.database_url, open_keyring(known))
    try:
        return work(store)
    except ValueError as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    finally:
        store.stop()


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def models(as_json: bool) -> None:
    """What callers may name, and the targets that serve it.

    Checks the routes file as `serve` does, credentials and addresses included; calls nobody.
    """
    from gateway.upstreams import described, load_routes

    known = settings()
    routes = load_routes(known)
    rows = described(known, routes)
    if wrong := _wrong(known, routes):
        click.echo("\n".join(wrong), err=True)
        sys.exit(1)
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        click.echo(f"{row['name']}  {row['strategy'] or ''}".rstrip())
        for target in row["targets"]:
            price = target["price"] or "no price"
            place = f"{target['hosting']} {target['region'] or ''}".rstrip()
            click.echo(f"    {target['provider']}/{target['model']}  {place}  {price}")


def _wrong(known: Settings, routes: Routes) -> list[str]:
    """What keeps providers from being built. The database is opened only for what it stores."""
    from gateway.upstreams import problems

    secrets = [secret for shape in routes.providers for secret in shape.secrets().values()]
    if any(secret.stored for secret in secrets):
        return _with_credentials(lambda store: problems(known, routes, store.get))
    return problems(known, routes, lambda name: None)


def _without_password(url: str) -> str:
    return make_url(url).render_as_string(hide_password=True)


main.add_command(audit)
main.add_command(inspect)
main.add_command(witness)
main.add_command(backup)
main.add_command(database)
main.add_command(restore)
main.add_command(report)
main.add_command(policy)
main.add_command(keyring)
policy.add_command(bundle_key)
for command in (stop, stops, resume, replay, effective, *DRAFTS, *RELEASES, *STATE):
    policy.add_command(command)
