"""Edits of a pack that leave every other character of its files as it is.

What comes out is read again and compared with what was meant, so an edit is made as it was
asked for or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gateway.adapters.packs.changes import (
    AddCase,
    AddException,
    AddList,
    AddPhrase,
    AddRule,
    Change,
    RemoveCase,
    RemoveException,
    RemovePhrase,
    RemoveRule,
    RemoveValue,
    SetValue,
)
from gateway.adapters.packs.edit_lists import add_list, add_phrase, remove_phrase
from gateway.adapters.packs.edit_rules import add_rule, remove_from_rule, remove_rule, set_in_rule
from gateway.adapters.packs.edit_tables import (
    add_case,
    add_exception,
    remove_case,
    remove_exception,
)
from gateway.core.policies import PackFiles


def edit(files: PackFiles, changes: Sequence[Change]) -> PackFiles:
    """The files after the changes, one after another.

    Raises `EditError` where one cannot be made, and `PackError` where a file that must be read
    for it cannot be. Whether what comes out is a sound pack is for `check` to say.
    """
    edited = dict(files)
    for change in changes:
        edited = _EDITS[type(change)](edited, change)
    return edited


_EDITS: Mapping[type, Callable[[PackFiles, Any], dict[str, str]]] = {
    SetValue: set_in_rule,
    RemoveValue: remove_from_rule,
    AddRule: add_rule,
    RemoveRule: remove_rule,
    AddList: add_list,
    AddPhrase: add_phrase,
    RemovePhrase: remove_phrase,
    AddException: add_exception,
    RemoveException: remove_exception,
    AddCase: add_case,
    RemoveCase: remove_case,
}
