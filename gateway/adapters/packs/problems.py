"""What may be wrong with a pack: every code, and a problem as it is said to people.

Codes are stable: they are searched for, linked to and looked up in
docs/reference/policy-problems.md, which a test keeps in step with this table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Code(StrEnum):
    """What is wrong. 10xx: files; 11xx: shape; 12xx: names; 13xx: advice; 14xx: several packs;
    15xx: Rego of a pack's own."""

    NOT_YAML = "GP-1001"
    NOT_READ = "GP-1002"
    KEY_TWICE = "GP-1003"
    ALIAS = "GP-1004"
    KEY_NOT_TEXT = "GP-1005"
    MISPLACED = "GP-1006"
    NO_MANIFEST = "GP-1007"
    ONE_DOCUMENT = "GP-1008"
    TOO_LARGE = "GP-1009"
    OUTSIDE = "GP-1010"
    TOO_DEEP = "GP-1011"
    EMPTY = "GP-1012"

    UNKNOWN_FIELD = "GP-1101"
    MISSING_FIELD = "GP-1102"
    WRONG_TYPE = "GP-1103"
    UNKNOWN_KIND = "GP-1104"
    NOT_A_CHOICE = "GP-1105"
    NOT_A_NUMBER_THERE = "GP-1106"
    BAD_ID = "GP-1107"
    BAD_TIME = "GP-1108"
    BAD_PATTERN = "GP-1109"
    BAD_LOCALE = "GP-1110"
    TOO_FEW = "GP-1111"
    SAME_TWICE = "GP-1112"
    NOT_TAKEN_HERE = "GP-1113"
    FLOOR_NOT_ENFORCED = "GP-1114"
    RESERVED_ID = "GP-1115"
    BAD_VERSION = "GP-1116"
    NO_ENGLISH = "GP-1117"
    BAD_TEXT = "GP-1118"
    OTHER_SHAPE = "GP-1119"

    ID_TWICE = "GP-1201"
    UNKNOWN_LIST = "GP-1202"
    UNKNOWN_LABEL = "GP-1203"
    UNKNOWN_RULE = "GP-1204"
    EXCEPTION_TO_FLOOR = "GP-1205"
    ENDS_BEFORE_IT_BEGINS = "GP-1206"
    NO_SUCH_DAY = "GP-1207"
    NO_PHRASE = "GP-1208"

    NEVER_MATCHES = "GP-1301"
    SHADOWED = "GP-1302"
    DUPLICATE = "GP-1303"
    EXPIRED_EXCEPTION = "GP-1304"
    EXPIRED_RULE = "GP-1305"
    UNTESTED = "GP-1306"
    NOT_ATTACHED = "GP-1307"
    UNUSED_LIST = "GP-1308"
    MISSING_LOCALE = "GP-1309"
    EXCEPTION_TO_NOTHING = "GP-1310"
    TEST_TWICE = "GP-1312"
    LABEL_OF_NO_INSPECTOR = "GP-1313"

    ID_IN_TWO_PACKS = "GP-1401"
    PACK_TWICE = "GP-1402"

    CUSTOM_FILE = "GP-1501"
    CUSTOM_SCHEMA = "GP-1502"
    CUSTOM_PACKAGE = "GP-1503"
    CUSTOM_PARAMS = "GP-1504"
    CUSTOM_REFUSED = "GP-1505"
    CUSTOM_REACHES = "GP-1506"
    CUSTOM_TEST = "GP-1507"
    NO_COMPILER = "GP-1508"


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a pack. `line` and `column` count from 1; 0 when there is none."""

    file: str
    line: int = 0
    column: int = 0
    where: str = ""
    """The part of the document, such as `params.labels[2]`."""
    rule: str | None = None
    """The id of the rule, list or exception, where one could be read."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a pack, in words for people who do not program."""

    code: Code
    file: str
    line: int
    """From 1; 0 when there is none. `column` too."""
    column: int
    where: str
    """The part of the document, such as `params.labels[2]`."""
    what: str
    why: str
    """What would come of it."""
    fix: str
    similar: tuple[str, ...] = ()
    """What may have been meant, the likeliest first."""
    rule: str | None = None
    """The id of the rule, list or exception, where one could be read."""

    @classmethod
    def at(
        cls, place: Place, code: Code, what: str, *, why: str = "", fix: str = "",
        similar: Sequence[str] = (),
    ) -> Problem:  # fmt: skip
        """`what`, at `place`."""
        return cls(
            code, place.file, place.line, place.column, place.where, what, why, fix,
            tuple(similar), place.rule,
        )  # fmt: skip

    @property
    def warning(self) -> bool:
        """Whether it is advice: the pack can be used as it is."""
        return self.code in _ADVICE

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {f'{self.rule}: ' if self.rule else ''}{self.what}"


_ADVICE = frozenset(code for code in Code if code.startswith("GP-13"))


class PackError(ValueError):
    """A pack that cannot be used. `problems` holds everything that is wrong with it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)
