"""Which runs of digits are telephone numbers: shape first, then the numbering plans.

The plans are those of `phonenumbers` (Google's libphonenumber). Its patterns are matched here
by RE2: its own parser takes a hundred times as long, which a hostile text could make a hold-up.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

import re2  # type: ignore[import-untyped]
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata

INTERNATIONAL = r"(?:\+|\b00 ?)[1-9](?:[ ().\-/]{0,3}\d){6,14}"
TRUNK_ZERO = r"\(?\b0[1-9]\d{0,4}\)?(?:[ ./\-]?\d{2,4}){2,5}"
NORTH_AMERICAN = r"(?:\b1[ .\-])?(?:\([2-9]\d\d\) ?|\b[2-9]\d\d[ .\-])\d{3}[ .\-]\d{4}"
TEN_DIGITS = r"\b[2-9]\d{9}\b"
SPANISH = r"\b[6789]\d\d[ .\-](?:\d{3}[ .\-]\d{3}|\d\d[ .\-]\d\d[ .\-]\d\d)\b"

_TRUNK_REGIONS = {"FR": False, "GB": False, "DE": False, "NL": False, "BE": False, "CH": False,
                  "IT": True}  # fmt: skip
"""Plans whose national numbers are dialled with a 0, and whether it belongs to the number."""

_GROUPS = " ().-/"
_DATE = re2.compile(r"\d\d[./ \-]\d\d[./ \-](?:\d\d|\d{4})")


def international(text: str) -> tuple[int, float]:
    """A number written with its country code, after `+` or `00`."""
    prefix = 1 if text[0] == "+" else 2
    grouped = text[0] == "+" or any(mark in text.strip() for mark in _GROUPS)
    unknown = 0
    for end in _ends(text):
        digits = _digits(text[prefix:end])
        if _international(digits):
            return end, 0.85 if grouped else 0.5
        if digits[0] == "1" and len(digits) == 11 and text[0] == "+":
            unknown = end  # an area of North America that is not in use, such as 555
    return unknown, 0.5


def trunk_zero(text: str) -> tuple[int, float]:
    """A national number that begins with 0: France, Britain, Germany, Italy and others."""
    ends = [(end, _digits(text[:end])) for end in _ends(text) if not _is_date(text[:end])]
    for region, kept in _TRUNK_REGIONS.items():
        for end, digits in ends:
            if _valid(digits if kept else digits[1:], region):
                if len(digits) < end:
                    return end, 0.7
                return end, 0.5 if _mobile(digits[1:]) else 0.4
    return 0, 0.0


def north_american(text: str) -> tuple[int, float]:
    """(415) 555-2671 and its like. An area that is not in use still looks like a number."""
    spaced = not any(mark in text for mark in "().-")
    valid = _valid(_digits(text)[-10:], "US") or _valid(_digits(text)[-10:], "CA")
    return len(text), (0.75 if valid else 0.5) - (0.2 if spaced else 0.0)


def ten_digits(text: str) -> tuple[int, float]:
    """Ten digits in a row: only words beside it make it a number of North America."""
    return (len(text), 0.1) if _valid(text, "US") or _valid(text, "CA") else (0, 0.0)


def spanish(text: str) -> tuple[int, float]:
    """Nine digits in groups, as in Spain; alone, it may be any grouped amount."""
    return (len(text), 0.4) if _valid(_digits(text), "ES") else (0, 0.0)


def _ends(text: str) -> Iterator[int]:
    """Where the number may end: after its last group, or the one before, and so on."""
    yield len(text)
    shorter = len(text)
    for _ in range(3):
        while shorter and text[shorter - 1].isdigit():
            shorter -= 1
        while shorter and not text[shorter - 1].isdigit():
            shorter -= 1
        if len(_digits(text[:shorter])) < 8:
            return
        yield shorter


def _digits(text: str) -> str:
    return "".join(filter(str.isdigit, text))


def _is_date(text: str) -> bool:
    return bool(_DATE.fullmatch(text))


def _international(digits: str) -> bool:
    """Whether `digits`, country code first, are a number of that country's plan."""
    for length in (1, 2, 3):
        for region in COUNTRY_CODE_TO_REGION_CODE.get(int(digits[:length]), ()):
            number = digits[length:]
            if _valid(number, region) or (number[:1] == "0" and _valid(number[1:], region)):
                return True
    return False


def _mobile(number: str) -> bool:
    """French or British, where mobile numbers are often written without a space."""
    return (len(number) == 9 and number[0] in "67") or (len(number) == 10 and number[0] == "7")


def _valid(number: str, region: str) -> bool:
    """Whether a national number, without trunk prefix, is assigned by the region's plan."""
    general, kinds = _plan(region)
    return bool(general.fullmatch(number) and kinds.fullmatch(number))


@cache
def _plan(region: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """The patterns of a plan: what every number looks like, and each kind of number.

    Python's own engine is safe here, and ten times as fast: what it is shown are a few digits.
    """
    plan = PhoneMetadata.metadata_for_region(region)
    if plan is None or plan.general_desc is None:  # of no country, such as satellite telephones
        return _NONE, _NONE
    kinds = (plan.fixed_line, plan.mobile, plan.voip, plan.personal_number, plan.toll_free,
             plan.premium_rate, plan.shared_cost, plan.uan, plan.pager)  # fmt: skip
    patterns = [kind.national_number_pattern for kind in kinds if kind is not None]
    return (
        re.compile(plan.general_desc.national_number_pattern or "a"),
        re.compile("|".join(f"(?:{pattern})" for pattern in patterns if pattern)),
    )


_NONE = re.compile("a")  # digits never match it
