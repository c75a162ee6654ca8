"""Edits of exceptions, and of the cases of test tables."""

from __future__ import annotations

import re

from gateway.adapters.packs.changes import (
    AddCase,
    AddException,
    EditError,
    RemoveCase,
    RemoveException,
)
from gateway.adapters.packs.documents import Where, parse
from gateway.adapters.packs.edit_base import (
    appended,
    documents_of,
    put,
    sound,
    unknown,
    without_value,
)
from gateway.adapters.packs.positions import Text
from gateway.adapters.packs.schema import Json
from gateway.adapters.packs.splicing import insert_item, remove_item, remove_value
from gateway.core.policies import PackFiles

_EXCEPTIONS = "exceptions.yaml"


def add_exception(files: PackFiles, change: AddException) -> dict[str, str]:
    id = change.exception.get("id")
    text = files.get(_EXCEPTIONS, "[]\n")
    whole = {**files, _EXCEPTIONS: text}
    present = _listed(whole, _EXCEPTIONS)
    if id in [exception.get("id") for exception in present]:
        raise EditError(f"there is an exception {id!r} already")
    new = insert_item(Text(text), 0, (), len(present), change.exception)
    return put(whole, _EXCEPTIONS, 0, new, [*present, change.exception])


def remove_exception(files: PackFiles, change: RemoveException) -> dict[str, str]:
    present = _listed(files, _EXCEPTIONS) if _EXCEPTIONS in files else []
    ids = [str(exception.get("id")) for exception in present]
    if change.id not in ids:
        unknown("exception", change.id, ids)
    index = ids.index(change.id)
    new = remove_item(Text(files[_EXCEPTIONS]), 0, (), index)
    return put(files, _EXCEPTIONS, 0, new, [*present[:index], *present[index + 1 :]])


def _listed(files: PackFiles, name: str) -> list[Json]:
    documents = parse(files[name], name)
    value = documents[0].value if len(documents) == 1 else None
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise EditError(f"{name} is no list: check the pack first")
    return value


def add_case(files: PackFiles, change: AddCase) -> dict[str, str]:
    known = {document.value.get("suite") for _, _, document in documents_of(files, "tests")
             if isinstance(document.value, dict)}  # fmt: skip
    if change.suite not in known:
        stem = re.sub(r"[^a-z0-9]+", "_", change.suite.casefold()).strip("_") or "suite"
        return appended(
            files, f"tests/{stem}.yaml", {"suite": change.suite, "cases": [change.case]}
        )
    name, at, table = sound(files, "tests", "suite", change.suite)
    cases = table["cases"]
    if change.case.get("name") in [case.get("name") for case in cases]:
        raise EditError(f"the suite {change.suite!r} has a case of this name already")
    text = insert_item(Text(files[name]), at, ("cases",), len(cases), change.case)
    return put(files, name, at, text, {**table, "cases": [*cases, change.case]})


def remove_case(files: PackFiles, change: RemoveCase) -> dict[str, str]:
    name, at, table = sound(files, "tests", "suite", change.suite)
    names = [str(case.get("name")) for case in table["cases"]]
    if change.name not in names:
        unknown("case", change.name, names)
    if len(names) == 1:
        raise EditError("it is the last case of its suite: remove the file in its place")
    path: Where = ("cases", names.index(change.name))
    text = remove_value(Text(files[name]), at, path)
    return put(files, name, at, text, without_value(table, path))
