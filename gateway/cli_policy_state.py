"""`govgate policy status|history|shadow-report|packs|export|publish|own`: what is in force, Git."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import click

from gateway.adapters.packs import write_folder
from gateway.cli_policy_desk import (
    actor,
    as_json,
    by,
    files_of,
    folder,
    note,
    over,
    refuse,
    short,
    show_json,
)
from gateway.core.policies import Owner
from gateway.core.shadows import Report
from gateway.governance.policies.register import Status
from gateway.lifecycle import Lifecycle

_PAUSE = 0.2
"""Seconds between two looks at whether all gateways follow."""


@click.command("status")
@click.option("--wait", type=click.FloatRange(0, 600), default=0.0,
              help="Seconds to wait until every gateway runs what is in force.")  # fmt: skip
@as_json
def status(wait: float, as_json: bool) -> None:
    """What is in force, and what every gateway runs.

    With --wait, exit code 1 where not every gateway has said in time that it runs it.
    """
    found = over(lambda known: _until(known, wait))
    if as_json:
        show_json(found)
    else:
        _tell(found)
    if wait and not found.acknowledged:
        sys.exit(1)


async def _until(known: Lifecycle, seconds: float) -> Status:
    """What stands once every gateway follows, or that time is over."""
    end = asyncio.get_running_loop().time() + seconds
    while True:
        found = await known.register.status(by(None))
        if found.acknowledged or asyncio.get_running_loop().time() >= end:
            return found
        await asyncio.sleep(_PAUSE)


def _tell(found: Status) -> None:
    rollout, release = found.rollout, found.release
    if found.fixed is not None:
        click.echo(f"the files in {found.fixed} decide, and nothing else")
    elif rollout is None or release is None:
        click.echo("nothing is in force yet")
    else:
        click.echo(
            f"rollout {rollout.number}: {rollout.active}, revision {short(release.revision)}"
        )
        for what, id in (("on trial", rollout.trying), ("asked beside", rollout.shadow)):
            if id is not None:
                click.echo(f"  {what}: {id}")
    for debt in found.debts:
        click.echo(f"  came into force unapproved: {debt}")
    if found.stops:
        click.echo(f"  stops: {len(found.stops)}")
    for node in found.nodes:
        said = "follows" if node.follows else "does not follow yet"
        runs = f"rollout {node.rollout}, revision {short(node.revision)}, stops {node.stops}"
        click.echo(f"  {node.id} on {node.host}: {runs}: {said}")
        if node.problem:
            click.echo(f"    {node.problem}")
    if not found.nodes:
        click.echo("  no gateway runs")


@click.command("history")
@click.option("--limit", type=click.IntRange(1, 1_000), default=20, show_default=True,
              help="How many.")  # fmt: skip
@as_json
def history(limit: int, as_json: bool) -> None:
    """What was in force, the newest first: who changed it, when and why."""
    found = over(lambda known: known.register.rollouts(by(None), limit))
    if as_json:
        show_json(found)
        return
    for one in found:
        at = one.changed_at.isoformat(timespec="seconds") if one.changed_at else "-"
        who = one.changed_user or one.changed_by
        said = f"{one.number:>5}  {one.step:<11}  {one.active}  by {who} at {at}  {one.why}"
        click.echo(said.rstrip())


@click.command("shadow-report")
@click.argument("release", required=False)
@as_json
def shadow_report(release: str | None, as_json: bool) -> None:
    """How often RELEASE would decide otherwise, as every gateway counted it.

    Without RELEASE, the one that is asked beside now. Gateways keep their counts every few
    seconds.
    """
    found = over(lambda known: known.shadows.report(release, by(None)))
    if as_json:
        show_json(found)
    else:
        _tell_report(found)


def _tell_report(found: Report) -> None:
    if found.since is None:
        click.echo(f"{found.release}: nothing was counted yet")
        return
    click.echo(f"{found.release}, since {found.since.isoformat(timespec='seconds')}")
    for kind, count in found.counts.items():
        click.echo(f"  {kind:<14} {count:>9}  {found.shares.get(kind, 0.0):>7.2%}")
    click.echo(f"  {'left out':<14} {found.dropped:>9}")
    if found.rate is not None:
        between = f"{found.least:.2%} to {found.most:.2%} in 95 of 100 cases"
        click.echo(f"  decides otherwise: {found.rate:.2%} ({between})")
    for sample in found.samples:
        click.echo(f"  {sample.kind:<14} {sample.exchange}")


@click.command("packs")
@as_json
def packs(as_json: bool) -> None:
    """Every pack: where it is changed, and what of it is in force."""
    found = over(lambda known: known.register.packs(by(None)))
    if as_json:
        show_json(found)
        return
    for one in found:
        version = one.in_force
        what = f"{version.number} {short(version.digest)}" if version else "not in force"
        where = f"  {version.source}" if version and version.source else ""
        click.echo(f"{one.id:<24} {one.owner:<8} {what}{where}")


@click.command("export")
@click.argument("pack")
@click.option("--to", required=True, type=click.Path(file_okay=False, path_type=Path),
              help="A directory; what it holds of the pack is replaced.")  # fmt: skip
@actor
def export(pack: str, to: Path, actor: str | None) -> None:
    """Write the files of PACK as they are in force: the same bytes every time."""
    held = to.is_dir() and any(to.iterdir())
    before = files_of(to) if held else {}
    if held and "pack.yaml" not in before:
        refuse(f"{to} is not empty, and holds no pack")
    files = over(lambda known: known.ownership.export(pack, by(actor)))
    to.mkdir(parents=True, exist_ok=True)
    changed = write_folder(to, before, files)
    click.echo(f"written: {to}, {len(changed)} files changed")


@click.command("publish")
@folder
@click.option("--source", required=True, help="Where it stands in Git: the commit and the path.")
@note
@actor
@as_json
def publish(folder: Path, source: str, note: str, actor: str | None, as_json: bool) -> None:
    """Hand in the pack in DIR, which is changed in Git. Prints the release's id.

    For CI, after a merge.
    """
    files = files_of(folder)
    made = over(lambda known: known.releases.publish(files, source, by(actor), note))
    if as_json:
        show_json({"id": made.id, "revision": made.revision, "widening": made.widening})
        return
    click.echo(made.id)


@click.command("own")
@click.argument("pack")
@click.argument("owner", type=click.Choice([owner.value for owner in Owner]))
@actor
def own(pack: str, owner: str, actor: str | None) -> None:
    """Say that PACK is changed in Git, or in the console, from now on."""
    over(lambda known: known.ownership.switch(pack, Owner(owner), by(actor)))
    click.echo(f"{pack} is changed in {owner} from now on")


COMMANDS = (status, history, shadow_report, packs, export, publish, own)
