"""`govgate policy edit`: changes of a pack in a directory that leave the rest of it as it is."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

from gateway.adapters.packs import (
    AddCase,
    AddException,
    AddList,
    AddPhrase,
    AddRule,
    Change,
    EditError,
    PackError,
    RemoveException,
    RemovePhrase,
    RemoveRule,
    RemoveValue,
    SetValue,
    as_text,
    check,
    edit,
    new_pack,
    read_folder,
    sentences,
    write_folder,
)
from gateway.adapters.packs.documents import parse
from gateway.core.policies import PackFiles
from gateway.inspectors.labels import KNOWN_LABELS

_FOLDER = click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
_PLACES = ("app", "team", "tag", "model")


@click.group("edit")
def edit_group() -> None:
    """Change a pack in a directory. Comments and everything else in its files stay.

    A change after which the pack has an error that it did not have is not made. Exit code 1
    when nothing was changed.
    """


@edit_group.command("new-pack")
@_FOLDER
@click.option("--title", required=True, help="What the pack is for.")
@click.option("--id", "id", help="Its id; the default is the name of DIR.")
@click.option("--owner", help="Who answers for it.")
def new_pack_command(folder: Path, title: str, id: str | None, owner: str | None) -> None:
    """Begin a pack without rules in DIR."""
    if (folder / "pack.yaml").exists():
        _refuse(f"there is a pack in {folder} already")
    try:
        files = new_pack(id or folder.resolve().name, title, owner)
    except EditError as error:
        _refuse(str(error))
    folder.mkdir(parents=True, exist_ok=True)
    for name in write_folder(folder, {}, files):
        click.echo(f"written: {folder / name}")


@edit_group.command("set")
@_FOLDER
@click.argument("rule")
@click.argument("path")
@click.argument("value")
def set_value(folder: Path, rule: str, path: str, value: str) -> None:
    """Put VALUE at PATH of RULE, such as: set DIR pii.mask params.min_score 0.7

    VALUE is read as in a pack: a word, a number, or [a, list].
    """
    _change(folder, SetValue(rule, _path(path), _value(value)))


@edit_group.command("unset")
@_FOLDER
@click.argument("rule")
@click.argument("path")
def unset(folder: Path, rule: str, path: str) -> None:
    """Remove what stands at PATH of RULE."""
    _change(folder, RemoveValue(rule, _path(path)))


@edit_group.command("add-rule")
@_FOLDER
@click.argument("file")
def add_rule(folder: Path, file: str) -> None:
    """Add the rule on standard input at the end of FILE, such as rules/words.yaml."""
    _change(folder, AddRule(file, _document("a rule")))


@edit_group.command("remove-rule")
@_FOLDER
@click.argument("rule")
def remove_rule(folder: Path, rule: str) -> None:
    """Remove RULE."""
    _change(folder, RemoveRule(rule))


@edit_group.command("add-list")
@_FOLDER
@click.argument("list_id", metavar="LIST")
@click.option("--title", required=True, help="What the phrases are about.")
@click.option("--language", default="en", show_default=True, help="Of the phrases.")
@click.option("--phrase", "phrases", multiple=True, required=True, help="A phrase. Repeatable.")
def add_list(
    folder: Path, list_id: str, title: str, language: str, phrases: tuple[str, ...]
) -> None:
    """Add a list of phrases, which a rule of kind phrase can name."""
    _change(folder, AddList(list_id, title, {language: phrases}))


@edit_group.command("add-phrase")
@_FOLDER
@click.argument("list_id", metavar="LIST")
@click.argument("language")
@click.argument("text")
def add_phrase(folder: Path, list_id: str, language: str, text: str) -> None:
    """Add the phrase TEXT to LIST, in LANGUAGE, such as en."""
    _change(folder, AddPhrase(list_id, language, text))


@edit_group.command("remove-phrase")
@_FOLDER
@click.argument("list_id", metavar="LIST")
@click.argument("language")
@click.argument("text")
def remove_phrase(folder: Path, list_id: str, language: str, text: str) -> None:
    """Remove the phrase TEXT from LIST."""
    _change(folder, RemovePhrase(list_id, language, text))


@edit_group.command("add-exception")
@_FOLDER
@click.argument("id")
@click.option("--rule", required=True, help="The rule that is set aside.")
@click.option("--until", required=True, help='When it ends, such as "2027-01-31T00:00:00Z".')
@click.option("--why", required=True, help="The reason.")
@click.option("--approved-by", required=True, help="Who approved it.")
@click.option("--app", multiple=True, help="For this application. Repeatable, like the others.")
@click.option("--team", multiple=True, help="For this team.")
@click.option("--tag", multiple=True, help="For applications with this tag.")
@click.option("--model", multiple=True, help="For this model.")
def add_exception(
    folder: Path, id: str, rule: str, until: str, why: str, approved_by: str,
    **places: Sequence[str],
) -> None:  # fmt: skip
    """Set a rule aside for some, until a day."""
    when = {f"{place}s": list(places[place]) for place in _PLACES if places[place]}
    if not when:
        _refuse("say for whom: --app, --team, --tag or --model")
    told = {"rule": rule, "when": when, "until": until, "why": why, "approved_by": approved_by}
    _change(folder, AddException({"id": id, **told}))


@edit_group.command("remove-exception")
@_FOLDER
@click.argument("id")
def remove_exception(folder: Path, id: str) -> None:
    """Remove an exception: its rule holds for everyone again."""
    _change(folder, RemoveException(id))


@edit_group.command("add-case")
@_FOLDER
@click.argument("suite")
def add_case(folder: Path, suite: str) -> None:
    """Add the test case on standard input to SUITE."""
    _change(folder, AddCase(suite, _document("a test case")))


def _path(text: str) -> tuple[str | int, ...]:
    """`params.labels[2]` as the parts that it names."""
    parts = re.findall(r"\[(\d+)\]|([^.\[\]]+)", text)
    return tuple(int(index) if index else name for index, name in parts)


def _value(text: str) -> Any:
    documents = _read(text, "the value")
    return documents[0] if documents else ""


def _document(what: str) -> dict[str, Any]:
    documents = _read(sys.stdin.read(), what)
    if len(documents) != 1 or not isinstance(documents[0], dict):
        _refuse(f"standard input must hold {what}, as it stands in a pack")
    return documents[0]


def _read(text: str, what: str) -> list[Any]:
    try:
        return [document.value for document in parse(text, what)]
    except PackError as error:
        _refuse(as_text(error.problems))


def _change(folder: Path, change: Change) -> None:
    """Make the change, and say what became of the rules; or say why not, and change nothing."""
    try:
        before = read_folder(folder)
        after = edit(before, [change])
    except PackError as error:
        _refuse(as_text(error.problems))
    except EditError as error:
        _refuse(str(error))
    old = {str(problem) for problem in check(before, KNOWN_LABELS).errors}
    if new := [one for one in check(after, KNOWN_LABELS).errors if str(one) not in old]:
        _refuse(f"{as_text(new)}\n\nnothing was changed")
    for name in write_folder(folder, before, after):
        click.echo(f"changed: {folder / name}")
    for line in _told(before, after):
        click.echo(line)


def _told(before: PackFiles, after: PackFiles) -> list[str]:
    """The sentences that are other than they were."""
    was, now = _sentences(before), _sentences(after)
    lines = []
    for id in dict.fromkeys([*was, *now]):
        if was.get(id) != now.get(id):
            lines += [f"{id}"]
            lines += [f"  - {was[id]}"] if id in was else []
            lines += [f"  + {now[id]}"] if id in now else []
    return lines


def _sentences(files: PackFiles) -> Mapping[str, str]:
    pack = check(files).pack
    return {} if pack is None else sentences(pack, "en")


def _refuse(why: str) -> NoReturn:
    click.echo(why, err=True)
    sys.exit(1)
