"""What no schema can say: names that are there twice, or point nowhere; days that never were."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from gateway.adapters.packs.custom import PREFIX, CustomKind
from gateway.adapters.packs.documents import Document, Where
from gateway.adapters.packs.problems import Code, Problem
from gateway.adapters.packs.schema import kinds, like
from gateway.adapters.packs.source import Source
from gateway.adapters.packs.suggestions import nearest


def mistakes(source: Source) -> Iterator[Problem]:
    """Everything of the sort that is wrong with documents whose shape is right."""
    yield from _twice(source.rules)
    yield from _twice(entry for entry in source.lists if entry.file.endswith(".yaml"))
    yield from _lists(source)
    yield from _custom(source)
    yield from _phrases(source.lists)
    yield from _validity(source.rules)
    yield from _exceptions(source)
    yield from _attachments(source)
    for document in _all(source):
        yield from _days(document, document.value, ())


def _all(source: Source) -> Iterator[Document]:
    yield from (*source.rules, source.exceptions, *source.tables)


def _twice(documents: Iterable[Document]) -> Iterator[Problem]:
    seen: dict[str, Document] = {}
    for document in documents:
        id = document.value["id"]
        first = seen.setdefault(id, document)
        if first is not document:
            where = first.place(["id"])
            yield Problem.at(
                document.place(["id"]), Code.ID_TWICE, "this id is there twice",
                why="An id names one thing everywhere: in records, exceptions and reports.",
                fix=f"Give one of them another id. The other is in {where.file}, "
                f"line {where.line}.",
            )  # fmt: skip


def _lists(source: Source) -> Iterator[Problem]:
    known = {entry.value["id"] for entry in source.lists}
    for rule in source.rules:
        name = rule.value.get("params", {}).get("list")
        if name is not None and name not in known:
            yield Problem.at(
                rule.place(["params", "list"]), Code.UNKNOWN_LIST,
                f"there is no list {name!r}",
                why="The rule would have no phrases to look for.",
                fix="Name a list of this pack, or add it to lists/."
                + (f" There are: {', '.join(sorted(known))}." if known else " There is none yet."),
                similar=nearest(name, known),
            )  # fmt: skip


def _custom(source: Source) -> Iterator[Problem]:
    """Rules of kinds that the pack does not bring, or that hold what these do not take."""
    for rule in source.rules:
        name = rule.value["kind"]
        kind = source.custom.get(name)
        if kind is None and name.startswith(PREFIX):
            yield Problem.at(
                rule.place(["kind"]), Code.UNKNOWN_KIND, f"this pack brings no kind {name!r}",
                why="The gateway would not know what to do with the rule.",
                fix=f"Add rego/{name.removeprefix(PREFIX)}.rego to the pack, or name another kind.",
                similar=nearest(name, [*source.custom, *kinds()]),
            )  # fmt: skip
        elif kind is not None:
            yield from _params(rule, kind)


def _params(rule: Document, kind: CustomKind) -> Iterator[Problem]:
    """What the schema of a kind says against the `params` of a rule of it."""
    for error in kind.params.iter_errors(rule.value.get("params", {})):
        where: Where = ("params", *error.instance_path) if "params" in rule.value else ("kind",)
        yield Problem.at(
            rule.place(where), Code.CUSTOM_PARAMS,
            f"it is not as schemas/{kind.type}.json says: {error.message[:300]}",
            why="The Rego of the kind could not answer for such a rule.",
            fix="Write what the schema of the kind asks for.",
        )  # fmt: skip


def _phrases(lists: Iterable[Document]) -> Iterator[Problem]:
    """Phrases of which nothing can be seen: they would be found everywhere, or nowhere."""
    for entry in lists:
        for language, phrases in entry.value["phrases"].items():
            for at, phrase in enumerate(phrases):
                if not any(sign.isprintable() and not sign.isspace() for sign in phrase):
                    yield Problem.at(
                        entry.place(["phrases", language, at]), Code.NO_PHRASE,
                        "this phrase has nothing in it that can be seen",
                        why="There is nothing to look for.", fix="Write the phrase, or remove it.",
                    )  # fmt: skip


def _validity(rules: Sequence[Document]) -> Iterator[Problem]:
    for rule in rules:
        valid = rule.value.get("valid", {})
        if valid.get("from") and valid.get("until") and valid["from"] >= valid["until"]:
            yield Problem.at(
                rule.place(["valid"]), Code.ENDS_BEFORE_IT_BEGINS, "it ends before it begins",
                why="The rule would never be in force.",
                fix="Put a later time under `until`, or an earlier one under `from`.",
            )  # fmt: skip


def _exceptions(source: Source) -> Iterator[Problem]:
    by_id = {rule.value["id"]: rule.value for rule in source.rules}
    seen: set[str] = set()
    for at, exception in enumerate(source.exceptions.value):
        id, rule = exception["id"], exception["rule"]
        if id in seen:
            yield Problem.at(
                source.exceptions.place([at, "id"]), Code.ID_TWICE, "this id is there twice",
                why="An id names one exception in every record and report.",
                fix="Give one of the two another id.",
            )  # fmt: skip
        seen.add(id)
        if rule not in by_id:
            yield _no_rule(source.exceptions, (at, "rule"), rule, by_id)
        elif by_id[rule].get("floor"):
            yield Problem.at(
                source.exceptions.place([at, "rule"]), Code.EXCEPTION_TO_FLOOR,
                f"{rule!r} is a floor",
                why="A floor holds for everyone: the exception would have no effect.",
                fix="Remove the exception. Whether the rule stays a floor is decided where "
                "the rule stands, with `floor`.",
            )  # fmt: skip


def _attachments(source: Source) -> Iterator[Problem]:
    if source.attachments is None:
        return
    ids = [rule.value["id"] for rule in source.rules]
    for at, attachment in enumerate(source.attachments.value):
        for index, pattern in enumerate(attachment.get("rules", [])):
            if not any(like(pattern, id) for id in ids):
                yield _no_rule(source.attachments, (at, "rules", index), pattern, ids)


def _no_rule(document: Document, where: Where, name: str, known: Iterable[str]) -> Problem:
    return Problem.at(
        document.place(where), Code.UNKNOWN_RULE, f"there is no rule {name!r}",
        why="This part would have no effect.",
        fix="Write the id of a rule of this pack, as it stands after `id:` in rules/.",
        similar=nearest(name, known),
    )  # fmt: skip


def _days(document: Document, value: Any, where: Where) -> Iterator[Problem]:
    """Times of the right form that no calendar has."""
    members: Iterable[tuple[str | int, Any]] = ()
    if isinstance(value, dict):
        members = value.items()
    elif isinstance(value, list):
        members = enumerate(value)
    for name, member in members:
        if name in ("from", "until", "time") and isinstance(member, str) and not _is_day(member):
            yield Problem.at(
                document.place((*where, name)), Code.NO_SUCH_DAY,
                f"{member} is in no calendar",
                why="Nobody could tell when it begins or ends to hold.",
                fix="Look at the month, the day and the hour: YYYY-MM-DDTHH:MM:SSZ.",
            )  # fmt: skip
        yield from _days(document, member, (*where, name))


def _is_day(time: str) -> bool:
    try:
        datetime.fromisoformat(time)
    except ValueError:
        return False
    return True
