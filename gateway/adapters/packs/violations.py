"""What the schema says against a document, in words for people who know no schema."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import reduce
from typing import Any, TypeAlias

from jsonschema_rs import Draft202012Validator, ValidationError, ValidationErrorKind

from gateway.adapters.packs.documents import Document, Where
from gateway.adapters.packs.fields import alternatives, described, fields_at, where_it_belongs
from gateway.adapters.packs.problems import Code, Problem
from gateway.adapters.packs.schema import kinds
from gateway.adapters.packs.suggestions import nearest
from gateway.adapters.packs.wrong_text import pattern_problem

Kind: TypeAlias = ValidationErrorKind

_TYPES = {
    "array": "a list",
    "object": "a group of fields",
    "string": "text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "null": "nothing",
}
_TYPE_FIXES = {
    "array": "Put what belongs to it in brackets: [one, two].",
    "object": "Write the fields below it, each on a line of its own, two spaces further in.",
    "string": 'Put the text in quotes: "like this".',
    "number": "Write a number without quotes, with a point: 0.5.",
    "integer": "Write a whole number without quotes.",
    "boolean": "Write true or false, without quotes.",
}


def violations(document: Document, validator: Draft202012Validator) -> Iterator[Problem]:
    """What the schema says against the document, each thing once.

    That a field is missing is not said where it only has another name, or stands elsewhere.
    """
    said: dict[tuple[Where, Code], Problem] = {}
    for error in validator.iter_errors(document.value):
        for where, problem in _Explained(document, validator, error).problems():
            said.setdefault((where, problem.code), problem)
    meant = {
        name
        for (where, code), problem in said.items()
        if code is Code.UNKNOWN_FIELD
        for name in (where[-1], *problem.similar)
    }
    for (where, code), problem in said.items():
        if code is not Code.MISSING_FIELD or not where or where[-1] not in meant:
            yield problem


class _Explained:
    """One error of the validator, explained."""

    def __init__(
        self, document: Document, validator: Draft202012Validator, error: ValidationError
    ) -> None:
        self._document = document
        self._validator = validator
        self._error = error
        self._where: Where = tuple(error.instance_path)
        self._name = str(self._where[-1]) if self._where else ""

    def problems(self) -> Iterator[tuple[Where, Problem]]:
        kind = self._error.kind
        if isinstance(kind, Kind.AdditionalProperties):
            for name in kind.unexpected:
                yield (*self._where, name), self._unknown(name)
            return
        explain = _EXPLAINED.get(type(kind), _Explained._other)
        yield self._subject(), explain(self)

    def _subject(self) -> Where:
        """The field that is spoken of: one that is missing is not there to be pointed at."""
        kind = self._error.kind
        if isinstance(kind, Kind.Required):
            return (*self._where, kind.property)
        return self._where

    def _say(self, code: Code, what: str, why: str, fix: str, similar: Sequence[str] = (),
             at: Where | None = None) -> Problem:  # fmt: skip
        place = self._document.place(self._where if at is None else at)
        return Problem.at(place, code, what, why=why, fix=fix, similar=similar)

    def _unknown(self, name: str) -> Problem:
        known = sorted(fields_at(self._error.schema_path))
        elsewhere = where_it_belongs(self._document.value, self._where, name)
        similar = nearest(name, known)
        fix = f"Move it {elsewhere}." if elsewhere else "Correct the name, or remove the line."
        if not elsewhere and known:
            fix += f" Possible here: {', '.join(known)}."
        return self._say(
            Code.UNKNOWN_FIELD, f"there is no field {name!r} here",
            "It would have no effect, and somebody meant something by it.",
            fix, () if elsewhere else similar, (*self._where, name),
        )  # fmt: skip

    def _missing(self) -> Problem:
        name = self._error.kind.value
        if name == "en":
            return self._say(
                Code.NO_ENGLISH, "there is no message in English",
                "Whoever's language is not there reads the English one.",
                "Write the message under `message`, after `en:`.",
            )  # fmt: skip
        about = described(self._document.value, self._where, name)
        return self._say(
            Code.MISSING_FIELD, f"the field {name!r} is missing",
            f"{about} Without it nobody can tell what is meant.".strip(),
            f"Add a line that begins with `{name}:`.",
        )  # fmt: skip

    def _wrong_type(self) -> Problem:
        types = self._error.kind.value
        wanted = [name for name in types if name != "null"] or list(types)
        given = self._error.instance
        if given is None and not self._where:
            return self._say(
                Code.EMPTY, "there is nothing here", "A rule could have been lost.",
                "Remove the line with --- that has nothing after it, or write what is missing.",
            )  # fmt: skip
        if self._where == ("version",):
            return self._pattern()
        words = " or ".join(_TYPES[name] for name in wanted)
        return self._say(
            Code.WRONG_TYPE, f"{_called(self._name)} must be {words}, and this is {_said(given)}",
            "It cannot be understood as it stands.", self._how_to_write(wanted[0], given),
        )  # fmt: skip

    def _how_to_write(self, wanted: str, given: object) -> str:
        """How to write what was given as what is wanted."""
        if wanted == "object" and self._name == "message":
            return 'Write it by language: message: {en: "…", fr: "…"}.'
        if wanted == "object" and isinstance(given, list) and not self._where:
            return "Remove the dash at the beginning, and two spaces before each line below it."
        if wanted == "array" and isinstance(given, dict) and not self._where:
            return "Put a dash and a space before the first line, and two spaces before the others."
        if wanted == "array" and isinstance(given, str):
            return f"Put it in brackets: [{given[:60]}]."
        return _TYPE_FIXES.get(wanted, "Write it anew.")

    def _not_a_choice(self) -> Problem:
        given = self._error.instance
        options = [option for option in self._error.kind.value if self._would_do(option)]
        choices = ", ".join(map(str, options)) or "nothing that stands here"
        similar = nearest(str(given), [str(option) for option in options])
        return self._say(
            Code.NOT_A_CHOICE, f"{_said(given)} cannot stand under {self._name!r} here",
            f"Only what is listed has a meaning{self._given_the_rest()}.",
            f"Choose one of: {choices}.", similar,
        )  # fmt: skip

    def _unknown_kind(self) -> Problem:
        given = self._error.instance
        options = [option for option in kinds() if self._would_do(option)]
        return self._say(
            Code.UNKNOWN_KIND, f"{_said(given)} is no kind of rule",
            "The gateway would not know what to do with the rule.",
            f"Choose one of: {', '.join(options)}.", nearest(str(given), options),
        )  # fmt: skip

    def _given_the_rest(self) -> str:
        """What else of the rule narrows the choice."""
        value = self._document.value
        if self._name != "on_match" or not isinstance(value, dict):
            return ""
        params = value.get("params")
        direction = params.get("direction") if isinstance(params, dict) else None
        side = {"input": " that looks at requests", "output": " that looks at answers"}
        return f", in a rule of kind {value.get('kind')!r}{side.get(str(direction), '')}"

    def _would_do(self, option: object) -> bool:
        """Whether nothing would be said against `option` in this place."""
        if not self._where:
            return True
        other = copy.deepcopy(self._document.value)
        holder: Any = reduce(lambda value, part: value[part], self._where[:-1], other)
        holder[self._where[-1]] = option
        errors = self._validator.iter_errors(other)
        return not any(tuple(error.instance_path) == self._where for error in errors)

    def _constant(self) -> Problem:
        wanted = self._error.kind.value
        if self._where == ("mode",):
            return self._say(
                Code.FLOOR_NOT_ENFORCED, "a floor must be enforced",
                "A floor is what holds for everyone; one that only watches holds for nobody.",
                "Write `mode: enforce`, or remove the line `floor: true`.",
            )  # fmt: skip
        return self._say(
            Code.NOT_A_CHOICE, f"{_called(self._name)} must be {wanted}",
            "This version knows no other.", f"Write `{self._name}: {wanted}`.",
        )  # fmt: skip

    def _not_taken(self) -> Problem:
        kind = self._document.value.get("kind")
        return self._say(
            Code.NOT_TAKEN_HERE, f"a rule of kind {kind!r} takes no {self._name!r}",
            "It would have no effect: there is nothing to choose for this kind.",
            "Remove the line.",
        )  # fmt: skip

    def _any_of(self) -> Problem:
        if self._where == ("kind",):
            return self._unknown_kind()
        if names := alternatives(self._error.schema_path):
            return self._say(
                Code.MISSING_FIELD, f"one of these is missing: {', '.join(names)}",
                "Without one of them the rule demands nothing.", f"Add `{names[0]}:`, or another.",
            )  # fmt: skip
        return self._pattern()

    def _reserved(self) -> Problem:
        return self._say(
            Code.RESERVED_ID, f"no id may be `default`, or begin with `default.`, as "
            f"{_said(self._error.instance)} does",
            "Such names stand for what is refused when no rule says otherwise.",
            "Give the rule another id.",
        )  # fmt: skip

    def _pattern(self) -> Problem:
        path = list(map(str, self._error.schema_path))
        code, what, why, fix = pattern_problem(
            path, _called(self._name), _said(self._error.instance)
        )
        return self._say(code, what, why, fix)

    def _language(self) -> Problem:
        name = str(self._error.kind.value.instance)
        code, what, why, fix = pattern_problem(["locale"], name, repr(name))
        known = {"english": "en", "french": "fr", "german": "de", "spanish": "es", "italian": "it"}
        similar = [known[near] for near in nearest(name, known)]
        return self._say(code, what, why, fix, similar, (*self._where, name))

    def _empty(self) -> Problem:
        if not self._where:
            return self._say(
                Code.TOO_FEW, "there are no attachments in this file",
                "With such a file a rule applies only where an attachment says: here nowhere.",
                "Write where the rules apply, or delete the file: then they apply everywhere.",
            )  # fmt: skip
        return self._say(
            Code.TOO_FEW, f"{_called(self._name)} is empty",
            "Empty, it selects nothing and says nothing.",
            "Write what belongs here, or remove the whole field where it may be left out.",
        )  # fmt: skip

    def _same_twice(self) -> Problem:
        return self._say(
            Code.SAME_TWICE, f"{_called(self._name)} holds the same twice",
            "One of the two was perhaps meant to be something else.", "Remove one of them.",
        )  # fmt: skip

    def _number(self) -> Problem:
        kind = self._error.kind
        bound = "at most" if isinstance(kind, Kind.Maximum) else "at least"
        limit, given = kind.value, self._error.instance
        return self._say(
            Code.NOT_A_NUMBER_THERE,
            f"{_called(self._name)} must be {bound} {limit}, and this is {_said(given)}",
            "A certainty goes from 0 (never) to 1 (always)." if "score" in self._name
            else "Nothing could ever be that.",
            f"Write a number that is {bound} {limit}.",
        )  # fmt: skip

    def _too_many(self) -> Problem:
        return self._say(
            Code.OTHER_SHAPE, f"{_called(self._name)} has more than one name",
            "Nobody could tell in which order they are expected.",
            "Put each of them in brackets of its own: [{one: {}}, {other: {}}].",
        )  # fmt: skip

    def _other(self) -> Problem:
        return self._say(
            Code.OTHER_SHAPE, f"{_called(self._name)} is not of the shape that is expected",
            "It cannot be understood as it stands.",
            "Compare it with an example in docs/reference/policy.md.",
        )  # fmt: skip


def _called(name: str) -> str:
    if name.isdecimal():
        return f"number {int(name) + 1} of the list"
    return repr(name) if name else "this part"


def _said(value: object) -> str:
    """A value as people say it; one that is long is cut."""
    match value:
        case bool():
            return f"`{str(value).lower()}`"
        case None:
            return "empty"
        case str():
            return repr(value if len(value) <= 60 else f"{value[:60]}…")
        case list():
            return "a list"
        case dict():
            return "a group of fields"
        case _:
            return str(value)[:40]


_EXPLAINED: Mapping[type, Callable[[_Explained], Problem]] = {
    Kind.Required: _Explained._missing,
    Kind.Type: _Explained._wrong_type,
    Kind.Enum: _Explained._not_a_choice,
    Kind.Constant: _Explained._constant,
    Kind.FalseSchema: _Explained._not_taken,
    Kind.AnyOf: _Explained._any_of,
    Kind.Not: _Explained._reserved,
    Kind.Pattern: _Explained._pattern,
    Kind.PropertyNames: _Explained._language,
    Kind.MinLength: _Explained._empty,
    Kind.MinItems: _Explained._empty,
    Kind.MinProperties: _Explained._empty,
    Kind.MaxProperties: _Explained._too_many,
    Kind.UniqueItems: _Explained._same_twice,
    Kind.Minimum: _Explained._number,
    Kind.Maximum: _Explained._number,
}
