"""Check digits of numbers that people are known by. Pure functions of compact text.

Each takes the number without separators, letters in upper case, and says whether its check
digits agree. Where the number also has a known length or first digits, those are checked too.
"""

from __future__ import annotations


def luhn(digits: str) -> bool:
    """The mod 10 check of ISO/IEC 7812-1, annex B. `digits` may not be all zeros."""
    total = sum(map(int, digits[-1::-2])) + sum(map(int, digits[-2::-2].translate(_DOUBLED)))
    return total > 0 and total % 10 == 0


_DOUBLED = str.maketrans("0123456789", "0246813579")
"""The digit sum of twice each digit."""


CARD_PREFIXES: tuple[tuple[int, int, frozenset[int]], ...] = (
    (4, 4, frozenset({13, 16, 19})),  # Visa
    (51, 55, frozenset({16})),  # Mastercard
    (2221, 2720, frozenset({16})),  # Mastercard
    (34, 34, frozenset({15})),  # American Express
    (37, 37, frozenset({15})),
    (300, 305, frozenset({14, 16})),  # Diners Club
    (36, 36, frozenset({14, 16})),
    (38, 39, frozenset({14, 16})),
    (6011, 6011, frozenset({16, 19})),  # Discover
    (644, 659, frozenset({16, 19})),
    (3528, 3589, frozenset({16, 19})),  # JCB
    (62, 62, frozenset({16, 17, 18, 19})),  # UnionPay
    (5018, 5018, frozenset({13, 14, 15, 16, 17, 18, 19})),  # Maestro
    (5020, 5020, frozenset({13, 14, 15, 16, 17, 18, 19})),
    (5038, 5038, frozenset({13, 14, 15, 16, 17, 18, 19})),
    (6304, 6304, frozenset({13, 14, 15, 16, 17, 18, 19})),
    (6759, 6763, frozenset({13, 14, 15, 16, 17, 18, 19})),
)
"""First and last prefix of a scheme, and the lengths of its card numbers (ISO/IEC 7812)."""


def card(digits: str) -> bool:
    """A payment card number: a known prefix, a length of that scheme, and the Luhn check."""
    known = any(
        len(digits) in lengths and first <= int(digits[: len(str(first))]) <= last
        for first, last, lengths in CARD_PREFIXES
    )
    return known and luhn(digits)


IBAN_LENGTHS: dict[str, int] = {
    country: length
    for length, countries in {
        15: "NO", 16: "BE", 18: "DK FO FI GL NL SD FK", 19: "MK SI",
        20: "AT BA EE KZ LT LU XK MN", 21: "CH HR LI LV",
        22: "BG BH CR DE GB GE IE ME RS VA", 23: "AE GI IL IQ TL OM SO",
        24: "AD CZ ES MD PK RO SA SE SK TN VG", 25: "LY PT ST", 26: "IS TR",
        27: "BI DJ FR GR IT MC MR SM", 28: "AL AZ BY CY DO GT HN HU LB NI PL SV",
        29: "BR EG PS QA UA", 30: "JO KW MU YE", 31: "MT SC", 32: "LC", 33: "RU",
    }.items()
    for country in countries.split()
}  # fmt: skip
"""Characters of an IBAN by country (SWIFT IBAN registry)."""


def iban(text: str) -> bool:
    """An IBAN of its country's length whose mod 97 is 1 (ISO 13616, ISO 7064)."""
    if IBAN_LENGTHS.get(text[:2]) != len(text):
        return False
    return int("".join(str(int(c, 36)) for c in text[4:] + text[:4])) % 97 == 1


def ssn(digits: str) -> bool:
    """A US social security number that may have been issued (SSA: no check digit)."""
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    return area not in {"000", "666"} and area[0] != "9" and group != "00" and serial != "0000"


def nir(text: str) -> bool:
    """A French NIR with its key: 97 less the number mod 97 (INSEE; Corsica 2A is 19, 2B 18)."""
    number = text[:13].replace("2A", "19").replace("2B", "18")
    return number.isdigit() and 97 - int(number) % 97 == int(text[13:])


_DNI = "TRWAGMYFPDXBNJZSQVHLCKE"


def dni(text: str) -> bool:
    """A Spanish DNI: eight digits and the letter of their remainder by 23."""
    return text[8] == _DNI[int(text[:8]) % 23]


def nie(text: str) -> bool:
    """A Spanish NIE: as a DNI, with X, Y or Z for a first digit of 0, 1 or 2."""
    return dni(str("XYZ".index(text[0])) + text[1:])


_OMOCODE = str.maketrans("LMNPQRSTUV", "0123456789")
_FISCAL_ODD = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22,
               25, 24, 23)  # fmt: skip
_FISCAL_MONTHS = "ABCDEHLMPRST"


def fiscal_code(text: str) -> bool:
    """An Italian codice fiscale: a month, a day, and the check letter (DM 23 December 1976)."""
    total = 0
    for place, character in enumerate(text[:15]):
        value = int(character) if character.isdigit() else ord(character) - ord("A")
        total += value if place % 2 else _FISCAL_ODD[value]
    day = int(text[9:11].translate(_OMOCODE))
    possible = text[8] in _FISCAL_MONTHS and (1 <= day <= 31 or 41 <= day <= 71)
    return possible and text[15] == chr(ord("A") + total % 26)


def nhs(digits: str) -> bool:
    """A UK NHS number: mod 11 of the first nine digits (NHS Data Dictionary)."""
    check = 11 - sum(int(digit) * (10 - place) for place, digit in enumerate(digits[:9])) % 11
    return len(set(digits)) > 1 and check != 10 and check % 11 == int(digits[9])


def steuer_id(digits: str) -> bool:
    """A German tax number: ISO 7064 MOD 11,10, and one digit twice or thrice (§ 139b AO)."""
    counts = sorted((digits[:10].count(digit) for digit in set(digits[:10])), reverse=True)
    if digits[0] == "0" or counts[0] not in {2, 3} or (len(counts) > 1 and counts[1] != 1):
        return False
    product = 10
    for digit in digits[:10]:
        product = ((int(digit) + product) % 10 or 10) * 2 % 11
    return (11 - product) % 10 == int(digits[10])
