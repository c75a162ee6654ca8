"""`govgate policy`: look at packs, run their tests, read and change them. Serves nobody."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import click

from gateway.adapters.packs import (
    Case,
    Checked,
    Compiler,
    Modules,
    Pack,
    PackError,
    Problem,
    as_github,
    as_json,
    as_text,
    check,
    check_tables,
    compose,
    load_pack,
    read_folder,
    sentences,
    write_folder,
)
from gateway.cli_policy_edit import edit_group
from gateway.core.policies import PackFiles
from gateway.inspectors.labels import KNOWN_LABELS
from gateway.settings import shipped_packs

_FOLDER = click.Path(path_type=Path)
_OPA = click.option("--opa", envvar="GOVGATE_POLICY__OPA_BINARY", default="opa", metavar="PROGRAM",
                    show_default=True, help="Compiles Rego of the pack's own.")  # fmt: skip


@click.group()
def policy() -> None:
    """Look at policy packs, test them, read them and change them."""


@policy.command("shipped")
@click.argument("name", required=False)
@click.option("--to", type=_FOLDER, help="A directory that is not there yet.")
def shipped(name: str | None, to: Path | None) -> None:
    """List the packs that come with Govgate; with NAME and --to, copy one, to be adapted."""
    every = {path.name: path for path in sorted(shipped_packs().iterdir()) if path.is_dir()}
    if name is None:
        click.echo("\n".join(every))
        return
    if name not in every:
        raise click.BadParameter(f"there is no pack {name}: {', '.join(every)}")
    if to is None or to.exists():
        raise click.BadParameter("--to must name a directory that is not there yet")
    to.mkdir(parents=True)
    for file in write_folder(to, {}, read_folder(every[name])):
        click.echo(f"written: {to / file}")


@policy.command("check")
@click.argument("folder", metavar="DIR", type=_FOLDER)
@click.option("--format", "form", type=click.Choice(["text", "json", "github"]), default="text",
              show_default=True, help="For people, for programs, or for GitHub.")  # fmt: skip
@click.option("--strict", is_flag=True, help="Fail where there is advice, too.")
@_OPA
def check_pack(folder: Path, form: str, strict: bool, opa: str) -> None:
    """Say everything that is wrong with the pack in DIR, and what would be better.

    Exit code 1 when the pack cannot be used; with --strict also when there is advice.
    """
    found = _checked(folder, Compiler(opa))
    if form == "json":
        click.echo(as_json(found.problems))
    elif form == "github":
        click.echo(as_github(found.problems, _in_repository(folder)), nl=bool(found.problems))
    else:
        if found.problems:
            click.echo(as_text(found.problems) + "\n")
        click.echo(_summary(found))
    if found.errors or (strict and found.warnings):
        sys.exit(1)


def _checked(folder: Path, compiler: Compiler) -> Checked:
    try:
        return check(read_folder(folder), KNOWN_LABELS, compiler=compiler)
    except PackError as error:
        return Checked(None, error.problems)


def _in_repository(folder: Path) -> str:
    """Where the pack stands, as seen from the working directory."""
    return Path(os.path.relpath(folder)).as_posix().removeprefix("./").rstrip(".")


def _summary(found: Checked) -> str:
    advice = _count(len(found.warnings), "piece of advice", "pieces of advice")
    if found.errors:
        return f"{_count(len(found.errors), 'error', 'errors')}, {advice}: it cannot be used"
    named = f"{found.pack.id} {found.pack.version}: " if found.pack else ""
    return f"{named}no errors, {advice}"


def _count(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


@policy.command("test")
@click.argument("folder", metavar="DIR", type=_FOLDER)
@click.option("--with", "beside", metavar="DIR", multiple=True, type=_FOLDER,
              help="Another pack that is in force too. Repeatable.")  # fmt: skip
@_OPA
def test_pack(folder: Path, beside: Sequence[Path], opa: str) -> None:
    """Run the tests of the pack in DIR, as the gateway would decide.

    Exit code 1 when one fails, when there is none, or when a pack cannot be used.
    """
    from gateway.adapters.opa_wasm import WasmPolicy

    pack = _loaded(folder)
    try:
        rules = compose([pack, *map(_loaded, beside)])
        module = Modules(Compiler(opa)).module(rules.custom)
    except PackError as error:
        _refuse(error.problems)
    decides = WasmPolicy(module, rules.data, rules.revision)
    cases = asyncio.run(check_tables(pack.tables, decides))
    failed = [case for case in cases if case.failures]
    for case in failed:
        click.echo(_failure(case))
    click.echo(f"{_count(len(cases), 'test', 'tests')}, {len(failed)} failed")
    if failed or not cases:
        sys.exit(1)


def _failure(case: Case) -> str:
    lines = [f"failed: {case.suite}: {case.name}", *(f"  {what}" for what in case.failures)]
    return "\n".join(lines) + "\n"


@policy.command("sentences")
@click.argument("folder", metavar="DIR", type=_FOLDER)
@click.option("--locale", type=click.Choice(["en", "fr"]), default="en", show_default=True,
              help="The language of the sentences.")  # fmt: skip
def sentences_of(folder: Path, locale: str) -> None:
    """Say in plain words what each rule of the pack in DIR does.

    Exit code 1 when the pack cannot be used.
    """
    spoken = sentences(_loaded(folder), "fr" if locale == "fr" else "en")
    for id, sentence in spoken.items():
        click.echo(f"{id}\n  {sentence}")


@policy.command("entities")
def entities() -> None:
    """The labels that rules on personal data may name, one on a line."""
    for label in sorted(KNOWN_LABELS["pii"]):
        click.echo(label)


def _loaded(folder: Path) -> Pack:
    """The pack of a directory; an end with its problems where it cannot be used."""
    try:
        files: PackFiles = read_folder(folder)
        return load_pack(files)
    except PackError as error:
        _refuse(error.problems)


def _refuse(problems: Sequence[Problem]) -> NoReturn:
    click.echo(as_text(problems), err=True)
    sys.exit(1)


policy.add_command(edit_group)
