"""Names of members of a JSON object, which are text like what stands under them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any, TypeVar

from gateway.core.passages import Part, Slot, immovable, merged

T = TypeVar("T")

_BETWEEN = "\n;\n"
_WORD = re.compile(r"[A-Za-z_-]{1,64}", re.ASCII)
"""A name that may be shown beside others: without a digit or another sign, it cannot be read
together with its neighbours as a number, an address or a phrase."""


class Members:
    """The members of one object, which are renamed in place and keep their order.

    What names them elsewhere goes with them: `slots`, and the entries of `lists`.
    """

    def __init__(self, holder: dict[str, Any], where: str, lists: Sequence[list[Any]] = ()) -> None:
        self.holder = holder
        self.slots: list[Slot] = []
        """Those of what stands directly in `holder`."""
        self.new: dict[str, str] = {}
        """What a name is to become, by what it is."""
        self._where = where
        self._lists = lists

    def write(self) -> None:
        """Rename. Raises `Denied` where two names would become the same."""
        new, self.new = self.new, {}
        renamed = {new.get(name, name): value for name, value in self.holder.items()}
        if len(renamed) != len(self.holder):
            raise merged(self._where)
        self.holder.clear()
        self.holder.update(renamed)
        for slot in self.slots:
            slot.key = new.get(str(slot.key), slot.key)
        for listed in self._lists:
            listed[:] = [new.get(item, item) if isinstance(item, str) else item for item in listed]


class Names(Part):
    """The names of some `Members`, as one text."""

    __slots__ = ("_members", "_names")

    def __init__(
        self, members: Members, names: Sequence[str], where: str, role: str, *, fixed: bool
    ) -> None:
        super().__init__(members.holder, "", where, role, members, fixed=fixed)
        self._members = members
        self._names = names

    @property
    def text(self) -> str:
        return _BETWEEN.join(self._names)

    def note(self, text: str) -> None:
        """Raises `Denied` for what is fixed."""
        names = text.split(_BETWEEN) if len(self._names) > 1 else [text]
        if len(names) != len(self._names) or (self.fixed and names != self._names):
            raise immovable(self.where)
        self._members.new |= dict(zip(self._names, names, strict=True))
        self._names = names


def named(
    holder: dict[str, Any],
    where: str,
    role: str,
    slots: Iterable[T],
    known: Collection[str],
) -> Iterable[T | Names]:
    """The `slots` of what stands in an object (and whatever else is among them), and after
    them those of its names.

    Names that are `known` are no text. Names that are plain words are shown together, at
    `where/#`; any other on its own, at the number of its member and a `#`.
    """
    if all(name in known for name in holder):
        return slots
    listed = list(slots)
    return [*listed, *names(holder, where, role, listed, known)]


def names(
    holder: dict[str, Any],
    where: str,
    role: str,
    slots: Sequence[object],
    known: Collection[str] = (),
    *,
    since: int = 0,
    fixed: bool = False,
    lists: Sequence[list[Any]] = (),
) -> list[Names]:
    """The names of an object that are not `known`, as `named` says. What stands in it are the
    `slots` from the one at `since`; `lists` hold names of its members too."""
    own = [(place, name) for place, name in enumerate(holder) if name and name not in known]
    if not own:
        return []
    members = Members(holder, where, lists)
    members.slots += [s for s in slots[since:] if isinstance(s, Slot) and s.holder is holder]
    words = [name for _, name in own if _WORD.fullmatch(name)]
    found = [Names(members, words, f"{where}/#", role, fixed=fixed)] if words else []
    if len(words) < len(own):
        found += [
            Names(members, [name], f"{where}/#{place}#", role, fixed=fixed)
            for place, name in own
            if not _WORD.fullmatch(name)
        ]
    return found
