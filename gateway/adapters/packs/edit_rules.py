"""Edits of rules."""

from __future__ import annotations

import re

from gateway.adapters.packs.changes import AddRule, EditError, RemoveRule, RemoveValue, SetValue
from gateway.adapters.packs.documents import parse
from gateway.adapters.packs.edit_base import (
    appended,
    documents_of,
    named,
    put,
    with_value,
    without_value,
)
from gateway.adapters.packs.positions import Text
from gateway.adapters.packs.splicing import remove_value, set_value
from gateway.core.policies import PackFiles


def set_in_rule(files: PackFiles, change: SetValue) -> dict[str, str]:
    if not change.path:
        raise EditError("say which field of the rule is to be set")
    name, at, rule = named(files, "rules", "id", change.rule)
    text = set_value(Text(files[name]), at, change.path, change.value)
    return put(files, name, at, text, with_value(rule, change.path, change.value))


def remove_from_rule(files: PackFiles, change: RemoveValue) -> dict[str, str]:
    if not change.path:
        raise EditError("say which field of the rule is to be removed")
    name, at, rule = named(files, "rules", "id", change.rule)
    text = remove_value(Text(files[name]), at, change.path)
    return put(files, name, at, text, without_value(rule, change.path))


def add_rule(files: PackFiles, change: AddRule) -> dict[str, str]:
    if not re.fullmatch(r"rules/[^/]+\.yaml", change.file):
        raise EditError("a rule stands in a file of rules/ whose name ends in .yaml")
    id = change.rule.get("id")
    for name, _, document in documents_of(files, "rules"):
        if isinstance(document.value, dict) and document.value.get("id") == id:
            raise EditError(f"there is a rule {id!r} already, in {name}")
    return appended(files, change.file, change.rule)


def remove_rule(files: PackFiles, change: RemoveRule) -> dict[str, str]:
    name, at, _ = named(files, "rules", "id", change.rule)
    text, starts = Text(files[name]), Text(files[name]).starts()
    was = [document.value for document in parse(text.text, name)]
    if len(was) == 1:
        return {other: files[other] for other in files if other != name}
    last = at == len(starts) - 1
    end = len(text.text) if last else starts[at + 1]
    left = text.spliced(starts[at], end, "")
    if last and not text.text.endswith("\n"):
        left = Text(left.text.removesuffix("\n").removesuffix("\r"))
    if [document.value for document in parse(left.text, name)] != [*was[:at], *was[at + 1 :]]:
        raise EditError(f"{name} is written in a way that must be changed by hand")
    return {**files, name: left.text}
