"""Changes of values in a YAML text that leave every other character as it is.

Every function takes a text, which document of it is meant and where in it, and gives the new
text. Raises `EditError` where a change cannot be made without touching more.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Any

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from gateway.adapters.packs.changes import EditError
from gateway.adapters.packs.documents import Where, spelled, value_of
from gateway.adapters.packs.positions import (
    Text,
    find,
    in_brackets,
    is_nothing,
    pair_of,
    within_brackets,
)
from gateway.adapters.packs.writing import can_be_plain, inline, item, member, scalar

_ORDER = (
    "id", "title", "kind", "why", "owner", "mode", "floor", "when", "params", "on_match",
    "on_error", "code", "severity", "message", "valid", "from", "until",
)  # fmt: skip


def set_value(text: Text, at: int, path: Where, value: Any) -> Text:
    """Put `value` at `path` of document number `at`; what is missing on the way is made."""
    node, left = find(text.roots()[at], path)
    if left:
        for part in reversed(left[1:]):
            value = {part: value} if isinstance(part, str) else [value]
        return _add(text, at, path[: len(path) - len(left)], left[0], value)
    old = value_of(node)
    if old == value and type(old) is type(value):
        return text
    if isinstance(node, SequenceNode) and node.value and isinstance(value, list) and value:
        return _set_list(text, at, path, old, value)
    if isinstance(node, MappingNode) and node.value and isinstance(value, dict) and value:
        return _set_group(text, at, path, old, value)
    return _replace(text, at, path, value)


def remove_value(text: Text, at: int, path: Where) -> Text:
    """Remove what stands at `path`, and a group that it leaves empty."""
    holder, left = find(text.roots()[at], path[:-1])
    last = path[-1]
    if not left and isinstance(holder, SequenceNode) and isinstance(last, int):
        return remove_item(text, at, path[:-1], last)
    pair = pair_of(holder, str(last)) if isinstance(holder, MappingNode) and not left else None
    if pair is None:
        raise EditError(f"there is nothing at {spelled(path)}")
    if len(holder.value) == 1 and len(path) > 1:
        return remove_value(text, at, path[:-1])
    if in_brackets(holder):
        pairs = [(key.start_mark.index, text.member_end(key, value)) for key, value in holder.value]
        return _cut(text, pairs, holder.value.index(pair))
    return _cut_lines(text, pair[0].start_mark.index, text.member_end(*pair))


def insert_item(text: Text, at: int, path: Where, index: int, value: Any) -> Text:
    """Put `value` into the list at `path`, before its member number `index`."""
    node, left = find(text.roots()[at], path)
    if left or not isinstance(node, SequenceNode):
        raise EditError(f"there is no list at {spelled(path) or 'the top of the file'}")
    if not node.value:
        return _fill(text, node, [value], root=not path)
    previous = node.value[index - 1] if index else None
    first = node.value[0]
    if in_brackets(node):
        written = inline(value, flow=True)
        if previous is None:
            return text.spliced(first.start_mark.index, first.start_mark.index, f"{written}, ")
        return text.spliced(text.end(previous), text.end(previous), f", {written}")
    new = text.newline.join(item(value, node.start_mark.column))
    if previous is None:
        start = _own_line(text, text.text.rfind("-", 0, first.start_mark.index))
        return text.spliced(start, start, new + text.newline)
    end = text.line_end(text.end(previous))
    return text.spliced(end, end, text.newline + new)


def remove_item(text: Text, at: int, path: Where, index: int) -> Text:
    """Remove member number `index` of the list at `path`. An empty list is written `[]`."""
    node, _ = find(text.roots()[at], path)
    if not 0 <= index < len(node.value):
        raise EditError(f"there is nothing at {spelled((*path, index))}")
    if len(node.value) == 1:
        return _replace(text, at, path, [])
    gone = node.value[index]
    if in_brackets(node):
        places = [(each.start_mark.index, text.end(each)) for each in node.value]
        return _cut(text, places, index)
    return _cut_lines(text, text.text.rfind("-", 0, gone.start_mark.index), text.end(gone))


def _add(text: Text, at: int, path: Where, name: str | int, value: Any) -> Text:
    """A field, or a member of a list, that is not there yet."""
    node, _ = find(text.roots()[at], path)
    if isinstance(node, SequenceNode) and isinstance(name, int):
        return insert_item(text, at, path, len(node.value), value)
    if is_nothing(node):
        return _replace(text, at, path, {name: value})
    if not isinstance(node, MappingNode) or not isinstance(name, str):
        raise EditError(f"there is no place for {name!r} at {spelled(path) or 'the top'}")
    if not node.value:
        return _fill(text, node, {name: value}, root=False)
    if in_brackets(node):
        end = text.member_end(*node.value[-1])
        return text.spliced(end, end, f", {scalar(name, flow=True)}: {inline(value, flow=True)}")
    key, before = _place(node, name)
    end = text.line_end(text.member_end(key, before))
    column = node.value[0][0].start_mark.column
    new = text.newline.join(["", *member(name, value, column)])
    return text.spliced(end, end, new)


def _place(node: MappingNode, name: str) -> tuple[Node, Node]:
    """The field after which a new one is put: the fields of a rule have an order."""
    pairs: list[tuple[Node, Node]] = node.value
    if name not in _ORDER:
        return pairs[-1]
    before = set(_ORDER[: _ORDER.index(name)])
    earlier = [pair for pair in pairs if pair[0].value in before]
    return earlier[-1] if earlier else pairs[0]


def _set_list(text: Text, at: int, path: Where, old: list[Any], new: list[Any]) -> Text:
    """What stays in a list stays as it is written; changed from its end to its beginning."""
    was, wanted = [list(map(repr, values)) for values in (old, new)]
    steps = SequenceMatcher(None, was, wanted, autojunk=False).get_opcodes()
    for tag, start, end, first, last in reversed(steps):
        if tag == "equal":
            continue
        shared = min(end - start, last - first)
        added = [(start + shared, value) for value in new[first + shared : last]]
        for index, value in reversed(added):
            text = insert_item(text, at, path, index, value)
        for index in reversed(range(start + shared, end)):
            text = remove_item(text, at, path, index)
        for offset in range(shared):
            text = set_value(text, at, (*path, start + offset), new[first + offset])
    return text


def _set_group(text: Text, at: int, path: Where, old: Any, new: Any) -> Text:
    for name, value in new.items():
        text = set_value(text, at, (*path, name), value)
    for name in old:
        if name not in new:
            text = remove_value(text, at, (*path, name))
    return text


def _replace(text: Text, at: int, path: Where, value: Any) -> Text:
    """Another value in place of what stands at `path`, on one line."""
    node, _ = find(text.roots()[at], path)
    if isinstance(node, ScalarNode) and not is_nothing(node):
        new = _rewritten(node, value, flow=within_brackets(text.roots()[at], path))
        return text.spliced(node.start_mark.index, text.end(node), new)
    if in_brackets(node) or not path:
        new = inline(value, flow=within_brackets(text.roots()[at], path))
        return text.spliced(node.start_mark.index, text.end(node), new)
    holder, _ = find(text.roots()[at], path[:-1])
    pair = pair_of(holder, str(path[-1])) if isinstance(holder, MappingNode) else None
    if pair is None:
        raise EditError(f"{spelled(path)} is written in a way that must be changed by hand")
    colon = text.text.index(":", pair[0].end_mark.index) + 1
    return text.spliced(colon, max(colon, text.member_end(*pair)), f" {inline(value)}")


def _rewritten(node: ScalarNode, value: Any, *, flow: bool) -> str:
    """A value in place of a scalar. Quotes stay where they were chosen, not forced; a text over
    several lines is written on one."""
    if isinstance(value, dict | list):
        return inline(value)
    quoted = node.style in ("'", '"') and can_be_plain(node.value, flow=flow)
    return scalar(value, node.style if quoted else None, flow=flow)


def _fill(text: Text, node: Node, value: Any, *, root: bool) -> Text:
    """The first members of what is written `[]` or `{}`: at the top of a file in lines."""
    new = text.newline.join(item(value[0], 0)) if root else inline(value)
    return text.spliced(node.start_mark.index, node.end_mark.index, new)


def _cut(text: Text, places: Sequence[tuple[int, int]], index: int) -> Text:
    """Without one of the members that stand between brackets at `places`, and one comma."""
    start, end = places[index]
    if index:
        return text.spliced(places[index - 1][1], end, "")
    return text.spliced(start, places[1][0] if len(places) > 1 else end, "")


def _cut_lines(text: Text, start: int, end: int) -> Text:
    """Without the lines from `start` to `end`, which hold nothing else."""
    begin, stop = _own_line(text, start), text.after_line(end)
    if stop == len(text.text) and not text.text.endswith("\n"):
        begin = max(begin - len(text.newline), 0)
    return text.spliced(begin, stop, "")


def _own_line(text: Text, at: int) -> int:
    """The start of the line of `at`. Raises `EditError` where something stands before it."""
    start = text.line_start(at)
    if text.text[start:at].strip():
        raise EditError("it shares its line with something else: change it by hand")
    return start
