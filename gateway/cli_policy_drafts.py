"""`govgate policy new|import|save|draft|drafts|drop|diff|add-test|submit|propose`: drafts."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

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
    show_json,
    tell_change,
)
from gateway.core.policies import Draft, PackFiles, Release
from gateway.governance.policies.drafts import Checked
from gateway.lifecycle import Lifecycle, YamlPacks

_to = click.option(
    "--to", type=click.Path(file_okay=False, path_type=Path),
    help="A directory to write its files to.",
)  # fmt: skip


@click.command("new")
@click.argument("pack")
@_to
@click.option("--propose", is_flag=True, help="Of a pack of Git: the draft becomes a patch.")
@note
@actor
def new(pack: str, to: Path | None, propose: bool, note: str, actor: str | None) -> None:
    """Begin a draft of PACK, as it is in force. Prints the draft's id."""
    _check_free(to)
    made = over(lambda known: known.drafts.begin(pack, by(actor), proposing=propose, note=note))
    if to is not None:
        _write(to, made.files)
    click.echo(made.id)


@click.command("import")
@folder
@click.option("--check", is_flag=True, help="Only say whether DIR is what is in force.")
@click.option("--propose", is_flag=True, help="Of a pack of Git: the draft becomes a patch.")
@note
@actor
def import_(folder: Path, check: bool, propose: bool, note: str, actor: str | None) -> None:
    """Begin a draft of the pack in DIR. Prints the draft's id.

    With --check nothing is begun: exit code 1 where DIR is not what is in force, with the names
    of the files that differ.
    """
    files = files_of(folder)
    if check:
        _check(folder, files, actor)
        return

    async def begin(known: Lifecycle) -> Draft:
        pack = YamlPacks().named(files)[0]
        return await known.drafts.begin(pack, by(actor), files=files, proposing=propose, note=note)

    click.echo(over(begin).id)


def _check(folder: Path, files: PackFiles, actor: str | None) -> None:
    differs = over(lambda known: known.ownership.drift(files, by(actor)))
    for name in differs:
        click.echo(f"differs: {folder / name}")
    if differs:
        sys.exit(1)
    click.echo(f"{folder} is what is in force")


@click.command("save")
@click.argument("draft")
@folder
@click.option("--edition", type=int, help="The edition that DIR was made of; the newest if not.")
@actor
def save(draft: str, folder: Path, edition: int | None, actor: str | None) -> None:
    """Save the files in DIR as DRAFT."""
    files = files_of(folder)

    async def put(known: Lifecycle) -> Draft:
        newest = (await known.drafts.draft(draft)).edition
        return await known.drafts.save(draft, edition or newest, files, by(actor))

    click.echo(f"saved: {draft}, edition {over(put).edition}")


@click.command("draft")
@click.argument("draft")
@_to
@as_json
def show(draft: str, to: Path | None, as_json: bool) -> None:
    """Show DRAFT; with --to, write its files to a directory."""
    _check_free(to)
    found = over(lambda known: known.register.draft(draft, by(None)))
    if as_json:
        show_json(found)
    else:
        click.echo(f"{found.id}  {found.pack}  edition {found.edition}  {found.note}".rstrip())
        click.echo(f"saved by: {', '.join(found.people)}")
        for name in sorted(found.files):
            click.echo(f"  {name}")
    if to is not None:
        _write(to, found.files)


@click.command("drafts")
@as_json
def drafts(as_json: bool) -> None:
    """The drafts that are open, the newest first."""
    found = over(lambda known: known.register.drafts(by(None)))
    if as_json:
        show_json(found)
        return
    for one in found:
        at = one.updated_at.isoformat(timespec="seconds")
        said = f"{one.id}  {one.pack}  edition {one.edition}  by {one.author} at {at}  {one.note}"
        click.echo(said.rstrip())


@click.command("drop")
@click.argument("draft")
@actor
def drop(draft: str, actor: str | None) -> None:
    """Forget DRAFT. What was saved of it stays on record, by digest."""
    over(lambda known: known.drafts.drop(draft, by(actor)))
    click.echo(f"dropped: {draft}")


@click.command("diff")
@click.argument("draft")
@click.option("--locale", type=click.Choice(["en", "fr"]), default="en", show_default=True,
              help="The language of the sentences.")  # fmt: skip
@as_json
def diff(draft: str, locale: str, as_json: bool) -> None:
    """Say what DRAFT changes, a sentence for each rule, and where more may pass.

    Exit code 1 where it cannot be used.
    """
    checked = over(lambda known: known.drafts.compared(draft, by(None)))
    if as_json:
        show_json({"problems": checked.problems, "changes": checked.diff.evidence(),
                   "widening": checked.diff.widening})  # fmt: skip
    else:
        _tell(checked, locale)
    if checked.problems:
        sys.exit(1)


def _tell(checked: Checked, locale: str) -> None:
    for problem in checked.problems:
        place = ":".join(str(problem[part]) for part in ("file", "line") if problem.get(part))
        click.echo(f"{place}  {problem.get('what', '')}".strip())
    for change in checked.diff.evidence():
        tell_change(change, locale)
    if not checked.problems and not checked.diff.changes:
        click.echo("no rule changes")
    elif not checked.problems:
        wider = "more may pass" if checked.diff.widening else "nothing more may pass"
        click.echo(f"{len(checked.diff.changes)} changed; {wider} than before")


@click.command("add-test")
@click.argument("draft")
@click.argument("exchange_id", metavar="EXCHANGE")
@click.option("--name", required=True, help="What the test is called.")
@click.option("--effect", type=click.Choice(["allow", "deny", "review"]),
              help="What is expected; what was decided, if not given.")  # fmt: skip
@actor
def add_test(
    draft: str, exchange_id: str, name: str, effect: str | None, actor: str | None
) -> None:
    """Add an exchange that happened to DRAFT as a test: what was found, not what was said."""
    wanted: dict[str, Any] | None = {"effect": effect} if effect else None

    async def add(known: Lifecycle) -> Draft:
        edition = (await known.drafts.draft(draft)).edition
        return await known.drafts.add_test(draft, edition, exchange_id, name, by(actor), wanted)

    click.echo(f"saved: {draft}, edition {over(add).edition}")


@click.command("submit")
@click.argument("draft")
@click.option("--edition", type=int, help="The edition that you looked at; the newest if not.")
@note
@actor
@as_json
def submit(draft: str, edition: int | None, note: str, actor: str | None, as_json: bool) -> None:
    """Hand DRAFT in: its tests are run, and it becomes a release. Prints the release's id."""

    async def hand_in(known: Lifecycle) -> Release:
        newest = (await known.drafts.draft(draft)).edition
        return await known.releases.submit(draft, edition or newest, by(actor), note)

    made = over(hand_in)
    if as_json:
        show_json({"id": made.id, "revision": made.revision, "widening": made.widening})
        return
    click.echo(made.id)
    if made.widening:
        click.echo("under it something may pass that did not pass before", err=True)


@click.command("propose")
@click.argument("draft")
@actor
def propose(draft: str, actor: str | None) -> None:
    """Print DRAFT as a patch, for `git apply --directory` with the pack's folder."""
    click.echo(over(lambda known: known.ownership.propose(draft, by(actor))), nl=False)


def _check_free(to: Path | None) -> None:
    """Refuse to write where something is, before anything is done."""
    if to is not None and to.exists() and any(to.iterdir()):
        refuse(f"{to} is there already, and is not empty")


def _write(to: Path, files: PackFiles) -> None:
    to.mkdir(parents=True, exist_ok=True)
    write_folder(to, {}, files)
    click.echo(f"written: {to}, {len(files)} files", err=True)


COMMANDS = (new, import_, save, show, drafts, drop, diff, add_test, submit, propose)
