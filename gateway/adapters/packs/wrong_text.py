"""Texts that are not of the form that they must have: ids, times, patterns, languages."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.adapters.packs.problems import Code


def pattern_problem(path: Sequence[str], name: str, said: str) -> tuple[Code, str, str, str]:
    """Code, what, why and fix of a text whose form the schema at `path` does not take.

    `name` is the field's as people are told it, `said` the text as it is to be shown.
    """
    for word, explained in _FORMS.items():
        if word in path:
            code, what, why, fix = explained
            return code, what.format(said=said, name=name), why, fix
    return (
        Code.BAD_TEXT, f"{said} cannot stand under {name}",
        "It is sent on to programs, which take plain words only.",
        "Use letters, digits and the marks . _ - only, and begin with a letter.",
    )  # fmt: skip


_FORMS = {
    "time": (
        Code.BAD_TIME, "{said} is no moment as it must be written",
        "Whether the rule holds must not depend on anybody's time zone.",
        'Write year, month, day, hour, minute and second, in UTC: "2027-01-31T00:00:00Z".',
    ),
    "valid": (
        Code.BAD_TIME, "{said} is no moment as it must be written",
        "Whether the rule holds must not depend on anybody's time zone.",
        'Write year, month, day, hour, minute and second, in UTC: "2027-01-31T00:00:00Z".',
    ),
    "patterns": (
        Code.BAD_PATTERN, "{said} has more than two stars",
        "A pattern is compared with every request, and must be quick to compare.",
        "Write a pattern with at most two stars, or several patterns.",
    ),
    "locale": (
        Code.BAD_LOCALE, "{said} is no code of a language",
        "Readers are told in their language, which is found by its code.",
        "Write two small letters, such as en or fr; with a country: fr-CA.",
    ),
    "version": (
        Code.BAD_VERSION, "{said} is no version",
        "Versions tell which pack is newer.",
        "Write three numbers with points between them: 1.0.0.",
    ),
    "id": (
        Code.BAD_ID, "{said} cannot be an id",
        "Ids stand in records, reports and headers, and must be easy to search for.",
        "Use small letters and digits, with . _ or - between them: pii.contact.mask.",
    ),
}  # fmt: skip
