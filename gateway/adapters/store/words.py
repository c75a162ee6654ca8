"""Words of a text, as full-text search knows them: the same in every database.

The databases are given words, not text, so that none cuts it in a way of its own. Case and
compatibility forms do not count. Scripts that put no spaces between words (Han, kana, Thai and
their neighbours) are cut into characters: what is searched there is a run of them.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

MOST_WORDS = 16_000
"""Words of one exchange that can be searched. PostgreSQL tells no places apart after 16,383."""
LONGEST = 64
"""Characters of a word that count."""
MOST_TERMS = 32
"""Terms of one query that count."""

_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_UNSPACED += "\U00020000-\U0003ffff"
_ASCII = re.compile(r"[a-z0-9]+")
_TERM = re.compile(r'(-?)(?:"([^"]*)"?|([^\s"]+))')


@dataclass(frozen=True, slots=True)
class Term:
    """One thing that must stand in a text, or must not: `words`, one after the other.

    With `prefix`, the last may go on.
    """

    words: tuple[str, ...]
    prefix: bool = False
    unwanted: bool = False


def words(text: str) -> list[str]:
    """The words of `text`, in order."""
    if text.isascii():
        found: list[str] = _ASCII.findall(text.lower())
    else:
        folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
        found = _any_script().findall(folded)
    return [word[:LONGEST] for word in found]


def terms(query: str) -> Sequence[Term]:
    """What `query` asks for: words, "runs of words", begin* and -unwanted, all of them.

    Anything can be asked; what holds no word is no term.
    """
    found: list[Term] = []
    for sign, quoted, bare in _TERM.findall(query):
        said = quoted or bare
        if run := tuple(words(said)):
            found.append(Term(run, said.rstrip().endswith("*"), sign == "-"))
    return found[:MOST_TERMS]


@cache
def _any_script() -> re.Pattern[str]:
    """Letters and numbers with the marks that belong to them. Made when it is first needed."""
    marks = "".join(
        chr(code) for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code))[0] == "M"
    )
    return re.compile(rf"[{_UNSPACED}]|(?:(?![{_UNSPACED}])(?:[^\W_]|[{marks}]))+")
