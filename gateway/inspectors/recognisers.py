"""What personal data looks like: one line for each kind, on in every language.

A pattern proposes a candidate, `judge` says how much of it counts and how sure it is: from
check digits where the number has them, from its shape where not. Words beside it may raise
the score. Patterns are RE2, so that no text can make them slow.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass

import re2  # type: ignore[import-untyped]

from gateway.inspectors import checksums, phones, words

Judge = Callable[[str], tuple[int, float]]
"""How many characters of a candidate count, from its start, and the score; 0 for none."""

Edges = Callable[[str, int, int, int], float]
"""The most that `text[start:end]` may score, by what it touches: 0 for part of something longer.

What lies before `since` belongs to the last one found, and is no part of this one.
"""


def _word(text: str, start: int, end: int, since: int) -> float:
    """Touches no letter or digit."""
    joined = (start > since and _joins(text[start - 1])) or _joins(text[end : end + 1])
    return 0.0 if joined else 1.0


def _number(text: str, start: int, end: int, since: int) -> float:
    """As a word, and no part of a decimal or of a longer dotted or dashed number."""
    before, after = text[max(since, start - 2) : start], text[end : end + 2]
    longer = before[:1].isdigit() and before[1:] in {".", "+", "-"}
    goes_on = after[:1] in {".", "-"} and after[1:].isdigit()
    return 0.0 if longer or goes_on else _word(text, start, end, since)


def _grouped(text: str, start: int, end: int, since: int) -> float:
    """As a number, and doubtful where it may end a longer one in groups of digits."""
    before = text[max(since, start - 2) : start]
    doubtful = before[:1].isdigit() and before[1:] == " " and " " in text[start:end]
    return min(_number(text, start, end, since), 0.4 if doubtful else 1.0)


def _address(text: str, start: int, end: int, since: int) -> float:
    """As a number, and not after a name and a slash, where a version stands (Chrome/1.2.3.4)."""
    before = text[max(since, start - 2) : start]
    version = before[-1:] == "/" and before[:1].isalnum()
    return 0.0 if version else _number(text, start, end, since)


def _anywhere(text: str, start: int, end: int, since: int) -> float:
    return 1.0


def _joins(character: str) -> bool:
    return character == "_" or (character.isalnum() and not _ideographic(character))


def _ideographic(character: str) -> bool:
    """Scripts that put no space between words, so that a number may touch them."""
    return "\u0e00" <= character <= "\u0eff" or "\u3040" <= character <= "\u9fff"


@dataclass(frozen=True, slots=True)
class Recogniser:
    """One kind of personal data."""

    label: str
    pattern: str
    judge: Judge
    edges: Edges = _number
    words: frozenset[str] = frozenset()
    """Lower case; any of them nearby lifts the score to `lifted`."""
    lifted: float = 0.0
    doubts: frozenset[str] = frozenset()
    """Lower case; any of them just before makes it something else."""
    bounded: bool = True
    """Whether a candidate has a greatest length, so that a rejected one may be looked into."""


def _checked(check: Callable[[str], bool], score: float) -> Judge:
    """Judge the whole candidate by its check digits."""

    def judge(text: str) -> tuple[int, float]:
        return (len(text), score) if check(_compact(text)) else (0, 0.0)

    return judge


def _checked_groups(check: Callable[[str], bool], alone: float, grouped: float) -> Judge:
    """As `_checked`; a number written in its usual groups is surer than a run of digits."""

    def judge(text: str) -> tuple[int, float]:
        score = alone if text.isalnum() else grouped
        return (len(text), score) if check(_compact(text)) else (0, 0.0)

    return judge


def _compact(text: str) -> str:
    return "".join(character for character in text if character.isalnum()).upper()


_FILES = re2.compile(
    "png|jpe?g|gif|webp|svg|bmp|m?jsx?|tsx?|s?css|html?|php|json|xml|ya?ml|toml|txt|log|csv|pdf"
    "|exe|dll|so|jar|zip|gz|tar|bak|tmp|conf|cfg|ini|lock"
)
"""Endings of files, of which none is a top-level domain that people have mail under."""


def _email(text: str) -> tuple[int, float]:
    local, _, domain = text.partition("@")
    tail = domain.rpartition(".")[2].lower()
    if _FILES.fullmatch(tail) or ".." in local or local.endswith("."):
        return 0, 0.0
    return len(text), 0.3 if local == "git" else 0.95


def _spelled_email(text: str) -> tuple[int, float]:
    return len(text), 0.7


def _card(text: str) -> tuple[int, float]:
    """The longest card number that begins here; its groups count when they are written."""
    for end in range(min(len(text), 19 + 6), 12, -1):
        if not text[end - 1].isdigit() or text[end : end + 1].isdigit():
            continue
        digits = _compact(text[:end])
        if len(digits) <= 19 and checksums.card(digits):
            if len(digits) < end:
                return end, 1.0
            return end, 0.95 if end in {15, 16} else 0.6
    return 0, 0.0


def _iban(text: str) -> tuple[int, float]:
    length = checksums.IBAN_LENGTHS.get(text[:2].upper(), 0)
    places = [place for place, character in enumerate(text, 1) if character.isalnum()]
    if not length or len(places) < length or not checksums.iban(_compact(text)[:length]):
        return 0, 0.0
    return places[length - 1], 1.0


def _ssn(text: str) -> tuple[int, float]:
    if not checksums.ssn(_compact(text)):
        return 0, 0.0
    return len(text), 0.7 if "-" in text else 0.4 if " " in text else 0.1


def _ip(text: str) -> tuple[int, float]:
    """An address; one that names no machine of its own scores low."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return 0, 0.0
    if address.is_unspecified or address.is_loopback or address.is_multicast or text[:4] == "255.":
        return len(text), 0.3
    if isinstance(address, ipaddress.IPv6Address) and not address.ipv4_mapped:
        groups = sum(1 for group in text.split(":") if group)
        return len(text), 0.85 if groups >= 3 or text[:1] in "23fF" else 0.3
    return len(text), 0.2 if text.endswith(".0.0.0") else 0.75


def _url(text: str) -> tuple[int, float]:
    return len(text), 0.95


RECOGNISERS: tuple[Recogniser, ...] = (
    Recogniser(
        "URL_CREDENTIALS",
        r"\b[A-Za-z][A-Za-z0-9+.\-]{1,30}://[^\s/:@\[\]'\"<>]*:[^\s/'\"<>]+"
        r"@(?:[\pL\pN.\-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?",
        _url, _anywhere, bounded=False,
    ),
    Recogniser(
        "EMAIL_ADDRESS",
        r"[\pL\pN_](?:[\pL\pN._%+'&\-]*[\pL\pN_+\-])?"
        r"@(?:[\pL\pN](?:[\pL\pN\-]*[\pL\pN])?\.)+(?:xn--[A-Za-z0-9\-]*[A-Za-z0-9]|\pL\pL+)",
        _email, _anywhere, bounded=False,
    ),
    Recogniser(
        "EMAIL_ADDRESS",
        r"(?i)\b[a-z0-9][a-z0-9._%+\-]* ?[\[({] ?at ?[\])}] ?[a-z0-9\-]+"
        r"(?: ?(?:\.|[\[({] ?dot ?[\])}]) ?[a-z0-9\-]+)*"
        r"(?: ?[\[({] ?dot ?[\])}] ?|\.)[a-z][a-z]+\b",
        _spelled_email, _word, bounded=False,
    ),
    Recogniser("PHONE_NUMBER", phones.INTERNATIONAL, phones.international, _number,
               words.PHONE, 0.9),
    Recogniser("PHONE_NUMBER", phones.TRUNK_ZERO, phones.trunk_zero, _grouped,
               words.PHONE, 0.85),
    Recogniser("PHONE_NUMBER", phones.NORTH_AMERICAN, phones.north_american, _grouped,
               words.PHONE, 0.85),
    Recogniser("PHONE_NUMBER", phones.TEN_DIGITS, phones.ten_digits, _number, words.PHONE, 0.65),
    Recogniser("PHONE_NUMBER", phones.SPANISH, phones.spanish, _grouped,
               words.PHONE, 0.8),
    Recogniser(
        "IBAN_CODE",
        r"\b(?:[A-Z]{2}\d{2}(?:[ \-]?[A-Z0-9]{1,4}){3,8}|"
        r"[A-Z]{2}\d{2}[A-Z0-9]{11,29}|[a-z]{2}\d{2}[a-z0-9]{11,29})\b",
        _iban, _word,
    ),
    Recogniser("CREDIT_CARD", r"\b[2-6]\d{3}(?:[ \-]?\d{2,15}){1,5}\b", _card, _number,
               words.CARD, 1.0),
    Recogniser("IP_ADDRESS", r"\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b", _ip, _address,
               words.NETWORK, 0.9, words.VERSION, bounded=False),
    Recogniser("IP_ADDRESS", r"(?:\b[0-9A-Fa-f]{1,4}|:):[0-9A-Fa-f:.]{0,40}[0-9A-Fa-f:]", _ip,
               _address, bounded=False),
    Recogniser("US_SSN", r"\b\d{3}(?:-\d{2}-|\ \d{2}\ |\d{2})\d{4}\b", _ssn, _number,
               words.SSN, 0.9),
    Recogniser(
        "FR_NIR",
        r"(?i)\b[1-478][ .]?\d{2}[ .]?(?:0[1-9]|1[0-2]|[2-9]\d)[ .]?(?:\d{2}|2[AB])"
        r"[ .]?\d{3}[ .]?\d{3}[ .\-/]{0,3}\d{2}\b",
        _checked_groups(checksums.nir, 0.95, 1.0),
    ),
    Recogniser("ES_DNI", r"(?i)\b\d{8}[ \-]?[A-Z]\b", _checked(checksums.dni, 0.75), _word,
               words.DNI, 1.0),
    Recogniser("ES_NIE", r"(?i)\b[XYZ][ \-]?\d{7}[ \-]?[A-Z]\b", _checked(checksums.nie, 0.95),
               _word),
    Recogniser(
        "IT_FISCAL_CODE",
        r"(?i)\b[A-Z]{6}[0-9LMNPQRSTUV]{2}[A-Z][0-9LMNPQRSTUV]{2}[A-Z][0-9LMNPQRSTUV]{3}[A-Z]\b",
        _checked(checksums.fiscal_code, 1.0), _word,
    ),
    Recogniser("UK_NHS", r"\b\d{3}[ \-]?\d{3}[ \-]?\d{4}\b",
               _checked_groups(checksums.nhs, 0.3, 0.5), _number, words.NHS, 1.0),
    Recogniser("DE_STEUER_ID", r"\b[1-9]\d[ ]?\d{3}[ ]?\d{3}[ ]?\d{3}\b",
               _checked_groups(checksums.steuer_id, 0.55, 0.75), _number, words.STEUER_ID, 1.0),
)  # fmt: skip

LABELS: tuple[str, ...] = tuple(dict.fromkeys(kind.label for kind in RECOGNISERS))
"""Every label that a finding of ours may carry."""
