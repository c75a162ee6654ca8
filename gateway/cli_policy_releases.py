"""`govgate policy releases|approve|reject|shadow|canary|activate|rollback|break-glass` …"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import click

from gateway.cli_policy_desk import (
    actor,
    as_json,
    by,
    note,
    over,
    short,
    show_json,
    tell_change,
    why,
)
from gateway.core.policies import Canary, Rollout
from gateway.governance.policies.register import ReleaseLine
from gateway.lifecycle import Lifecycle

_release = click.argument("release")
_end = click.option("--end", is_flag=True, help="End it.")


@click.command("releases")
@as_json
def releases(as_json: bool) -> None:
    """Releases, the newest first, and how each stands."""
    found = over(lambda known: known.register.releases(by(None)))
    if as_json:
        show_json(found)
        return
    for one in found:
        click.echo(_line(one))


@click.command("release")
@_release
@as_json
def release(release: str, as_json: bool) -> None:
    """Show RELEASE: what changes, the tests, and what others said of it."""
    found = over(lambda known: known.register.release(release, by(None)))
    if as_json:
        show_json(found)
        return
    click.echo(_line(found))
    click.echo(f"worked on by: {', '.join(found.people)}")
    for change in found.evidence.get("diff", ()):
        tell_change(change)
    tests = found.evidence.get("tests")
    if tests:
        click.echo(f"tests: {tests['run']} run, {tests['failed']} failed")
    for said in found.approvals:
        what = "approved" if said.approved else "rejected"
        click.echo(f"{what} by {said.user or said.person}  {said.comment}".rstrip())


def _line(one: ReleaseLine) -> str:
    packs = ", ".join(f"{pack} {short(digest)}" for pack, digest in sorted(one.packs.items()))
    said = f"{len(one.approved_by)} of {one.needed} approvals"
    widens = "; more may pass" if one.widening else ""
    about = f"  {one.note}" if one.note else ""
    return f"{one.id}  {one.state:<8}  by {one.author}  {said}{widens}  [{packs}]{about}"


@click.command("approve")
@_release
@click.option("--revision", help="What you looked at; that of RELEASE, if not given.")
@click.option("--comment", default="", help="What you say of it. It is kept.")
@actor
def approve(release: str, revision: str | None, comment: str, actor: str | None) -> None:
    """Say yes to RELEASE, as somebody who did not work on it."""

    async def say(known: Lifecycle) -> tuple[int, int]:
        looked = revision or (await known.register.release(release, by(actor))).revision
        judged = await known.releases.approve(release, looked, by(actor), comment)
        return len(judged.approved), judged.needed

    given, needed = over(say)
    click.echo(f"approved: {release}, {given} of {needed}")


@click.command("reject")
@_release
@click.option("--revision", help="What you looked at; that of RELEASE, if not given.")
@click.option("--comment", required=True, help="Why. It is kept.")
@actor
def reject(release: str, revision: str | None, comment: str, actor: str | None) -> None:
    """Say no to RELEASE, and why. One no is enough."""

    async def say(known: Lifecycle) -> None:
        looked = revision or (await known.register.release(release, by(actor))).revision
        await known.releases.reject(release, looked, by(actor), comment)

    over(say)
    click.echo(f"rejected: {release}")


@click.command("reopen")
@_release
@actor
def reopen(release: str, actor: str | None) -> None:
    """Begin a draft of what RELEASE changed, on top of what is in force now. Prints its id."""
    click.echo(over(lambda known: known.drafts.reopen(release, by(actor))).id)


@click.command("retire")
@click.argument("pack")
@note
@actor
def retire(pack: str, note: str, actor: str | None) -> None:
    """Hand in a release without PACK. Prints the release's id."""
    click.echo(over(lambda known: known.releases.retire(pack, by(actor), note)).id)


@click.command("shadow")
@click.argument("release", required=False)
@_end
@why
@actor
def shadow(release: str | None, end: bool, why: str, actor: str | None) -> None:
    """Ask RELEASE beside what is in force, without any effect; or end that."""
    _one_of(release, end)
    _move(lambda known: known.rollouts.shadow(release, by(actor), why))


@click.command("canary")
@click.argument("release", required=False)
@click.option("--percent", type=click.IntRange(0, 100), default=0, help="Of the traffic.")
@click.option("--team", "teams", multiple=True, help="All that this team asks. Repeatable.")
@click.option("--key", "keys", multiple=True, help="All that comes with this key. Repeatable.")
@_end
@why
@actor
def canary(
    release: str | None,
    percent: int,
    teams: tuple[str, ...],
    keys: tuple[str, ...],
    end: bool,
    why: str,
    actor: str | None,
) -> None:
    """Try RELEASE, which is approved, on a part of the traffic; or end that."""
    _one_of(release, end)
    part = None if end else Canary(percent, teams, keys)
    _move(lambda known: known.rollouts.canary(release, part, by(actor), why))


@click.command("activate")
@_release
@why
@actor
def activate(release: str, why: str, actor: str | None) -> None:
    """Bring RELEASE into force: it is approved, and everything is looked at again."""
    _move(lambda known: known.rollouts.activate(release, by(actor), why))


@click.command("rollback")
@click.option("--to", help="A release that was in force once; what was before, if not given.")
@why
@actor
def rollback(to: str | None, why: str, actor: str | None) -> None:
    """Bring back what was in force before, in one step."""
    _move(lambda known: known.rollouts.roll_back(by(actor), why, to))


@click.command("break-glass")
@_release
@click.option("--reason", required=True, help="Why. It goes on record.")
@actor
def break_glass(release: str, reason: str, actor: str | None) -> None:
    """Bring RELEASE into force unapproved. It is a debt until somebody approves it."""
    _move(lambda known: known.rollouts.break_glass(release, by(actor), reason))


def _one_of(release: str | None, end: bool) -> None:
    if (release is None) is not end:
        raise click.UsageError("give RELEASE, or --end")


def _move(work: Callable[[Lifecycle], Awaitable[Rollout]]) -> None:
    """Do it, and say what is in force now."""
    moved = over(work)
    click.echo(f"rollout {moved.number}: {moved.active} is in force")
    if moved.canary is not None:
        part = moved.canary
        named = [*(f"team {team}" for team in part.teams), *(f"key {key}" for key in part.keys)]
        share = [f"{part.percent} percent"] if part.percent else []
        click.echo(f"  on trial: {moved.trying}, for {', '.join([*share, *named])}")
    if moved.shadow is not None:
        click.echo(f"  asked beside: {moved.shadow}")


COMMANDS = (
    releases, release, approve, reject, reopen, retire, shadow, canary, activate, rollback,
    break_glass,
)  # fmt: skip
