"""Edits of lists of phrases, in YAML or in plain text."""

from __future__ import annotations

from gateway.adapters.packs.changes import AddList, AddPhrase, EditError, RemovePhrase
from gateway.adapters.packs.documents import Where
from gateway.adapters.packs.edit_base import (
    documents_of,
    put,
    sound,
    with_value,
    without_value,
)
from gateway.adapters.packs.phrase_files import phrase_lines
from gateway.adapters.packs.positions import Text
from gateway.adapters.packs.splicing import insert_item, remove_item, remove_value, set_value
from gateway.adapters.packs.writing import lines, scalar
from gateway.core.policies import PackFiles


def add_list(files: PackFiles, change: AddList) -> dict[str, str]:
    name = f"lists/{change.id}.yaml"
    known = [document.value.get("id") for _, _, document in documents_of(files, "lists")
             if isinstance(document.value, dict)]  # fmt: skip
    if change.id in known or name in files:
        raise EditError(f"there is a list {change.id!r} already")
    written = [*lines({"id": change.id, "title": change.title}, 0), "phrases:"]
    for language, phrases in change.phrases.items():
        written += [f"  {scalar(language)}:", *lines(list(phrases), 4)]
    return {**files, name: "\n".join(written) + "\n"}


def add_phrase(files: PackFiles, change: AddPhrase) -> dict[str, str]:
    phrase_file = f"lists/{change.list}.{change.language}.txt"
    if phrase_file in files:
        return _add_line(files, phrase_file, change)
    name, at, entry = sound(files, "lists", "id", change.list)
    phrases = entry["phrases"].get(change.language, [])
    if change.phrase in phrases:
        raise EditError(f"{change.list!r} has {change.phrase!r} already")
    path: Where = ("phrases", change.language)
    if phrases:
        text = insert_item(Text(files[name]), at, path, len(phrases), change.phrase)
    else:
        text = set_value(Text(files[name]), at, path, [change.phrase])
    return put(files, name, at, text, with_value(entry, path, [*phrases, change.phrase]))


def _add_line(files: PackFiles, name: str, change: AddPhrase) -> dict[str, str]:
    text, phrase = files[name], change.phrase
    if phrase in (known for _, known in phrase_lines(text)):
        raise EditError(f"{change.list!r} has {phrase!r} already")
    if [known for _, known in phrase_lines(phrase)] != [phrase]:
        raise EditError(f"{phrase!r} cannot stand on a line of {name}")
    newline = Text(text).newline
    new = f"{text}{phrase}{newline}" if text.endswith("\n") else f"{text}{newline}{phrase}"
    return {**files, name: new}


def remove_phrase(files: PackFiles, change: RemovePhrase) -> dict[str, str]:
    gone = f"{change.list!r} has no {change.phrase!r} in {change.language!r}"
    name = f"lists/{change.list}.{change.language}.txt"
    if name in files:
        found = [line for line, phrase in phrase_lines(files[name]) if phrase == change.phrase]
        if not found:
            raise EditError(gone)
        kept = files[name].split("\n")
        del kept[found[0] - 1]
        return {**files, name: "\n".join(kept)}
    name, at, entry = sound(files, "lists", "id", change.list)
    phrases = entry["phrases"].get(change.language, [])
    if change.phrase not in phrases:
        raise EditError(gone)
    index, path = phrases.index(change.phrase), ("phrases", change.language)
    if len(phrases) == 1:
        text = remove_value(Text(files[name]), at, path)
        return put(files, name, at, text, without_value(entry, path))
    text = remove_item(Text(files[name]), at, path, index)
    return put(files, name, at, text, without_value(entry, (*path, index)))
