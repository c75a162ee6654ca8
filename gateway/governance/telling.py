"""Records as their views, and where somebody gets that too, with what was said: masked, bounded.

Of a record that is not intact nothing is told: what its header says of findings may be altered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice

import msgspec

from gateway.core.audit import Said
from gateway.core.exports import Record, Texts
from gateway.governance.explaining import Clean
from gateway.governance.formats.view import EXCHANGE, View, view_of

MOST_CHARACTERS = 16_384
"""Characters of a request, and of an answer, that are told."""
MOST_TEXTS = 256
"""Texts of a request, and of an answer, that are told."""


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """What was said, as the index reads it: what was found stands as its label.

    `cut` where some of it is left out for its length; `withheld` is why none of it is told.
    """

    request: list[str] = []
    answer: list[str] = []
    cut: bool = False
    withheld: str | None = None


class Told(View, frozen=True, kw_only=True):
    """The view of an exchange, and what was said in it."""

    content: Content


async def views(
    records: Sequence[Record],
    clean: Clean,
    texts: Texts | None = None,
    wanted: Callable[[View], bool] = lambda view: True,
) -> Sequence[View]:
    """The views of those records that are wanted; with `texts`, exchanges have their content.

    Raises `Unavailable`.
    """
    chosen = [view for view in (view_of(record, clean) for record in records) if wanted(view)]
    if texts is None:
        return chosen
    ids = {view.exchange_id for view in chosen if _may_be_told(view)}
    said = await texts.of(ids) if ids else {}
    return [_with(view, said) if view.kind == EXCHANGE else view for view in chosen]


def _may_be_told(view: View) -> bool:
    return view.kind == EXCHANGE and view.intact


def _with(view: View, said: Mapping[str, Said | None]) -> Told:
    told = {name: getattr(view, name) for name in View.__struct_fields__}
    return Told(**told, content=_content(view, said))


def _content(view: View, said: Mapping[str, Said | None]) -> Content:
    if not view.intact:
        return Content(withheld="not_intact")
    if view.exchange_id not in said:
        return Content(withheld="gone")
    found = said[view.exchange_id]
    if found is None:
        return Content(withheld="unreadable")
    request, left_out = _bounded(found.asked)
    answer, too = _bounded(found.answered)
    return Content(request=request, answer=answer, cut=left_out or too)


def _bounded(texts: Sequence[str]) -> tuple[list[str], bool]:
    """The beginning of `texts`, and whether there is more. Half of a pair becomes `?`."""
    told: list[str] = []
    left = MOST_CHARACTERS
    for text in islice(texts, MOST_TEXTS):
        if left == 0:
            break
        told.append(text[:left].encode(errors="replace").decode())
        left -= len(told[-1])
    return told, sum(map(len, told)) < sum(map(len, texts))
