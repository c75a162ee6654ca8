"""Where the parts of a YAML text stand in it, to the character."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import DocumentStartEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from gateway.adapters.packs.changes import EditError
from gateway.adapters.packs.documents import Where


@dataclass(frozen=True, slots=True)
class Text:
    """A YAML text."""

    text: str

    @property
    def newline(self) -> str:
        return "\r\n" if "\r\n" in self.text else "\n"

    def roots(self) -> list[Node]:
        """The root of each document. Raises `EditError` for what is no YAML."""
        return _roots(self.text)

    def starts(self) -> list[int]:
        """Where each document begins: at its `---`, or at its first line."""
        events = YAML(typ="safe", pure=True).parse(self.text)
        return [event.start_mark.index for event in events if isinstance(event, DocumentStartEvent)]

    def line_start(self, at: int) -> int:
        return self.text.rfind("\n", 0, at) + 1

    def line_end(self, at: int) -> int:
        """The end of the line that `at` is in, before its line break."""
        end = self.text.find("\n", at)
        end = len(self.text) if end < 0 else end
        return end - 1 if end > at and self.text[end - 1] == "\r" else end

    def after_line(self, at: int) -> int:
        """The start of the line after the one that `at` is in; the end where there is none."""
        end = self.text.find("\n", at)
        return len(self.text) if end < 0 else end + 1

    def spliced(self, start: int, end: int, new: str) -> Text:
        return Text(self.text[:start] + new + self.text[end:])

    def end(self, node: Node) -> int:
        """The end of what is written of `node`, without what only follows it."""
        if isinstance(node, ScalarNode) or in_brackets(node):
            stop = int(node.end_mark.index)
            if isinstance(node, ScalarNode) and node.style in ("|", ">"):
                return len(self.text[:stop].rstrip("\r\n \t"))
            return stop
        if isinstance(node, MappingNode):
            return self.member_end(*node.value[-1])
        return self.end(node.value[-1])

    def member_end(self, key: Node, value: Node) -> int:
        """The end of a field: of its value, or of its colon when there is none."""
        colon = self.text.find(":", key.end_mark.index) + 1
        return colon if is_nothing(value) else max(colon, self.end(value))


@lru_cache(maxsize=8)
def _roots(text: str) -> list[Node]:
    """Composed once for each text: an edit looks at the same text several times."""
    try:
        return list(YAML(typ="safe", pure=True).compose_all(text))
    except YAMLError as error:
        raise EditError("the file cannot be read: check the pack first") from error


def is_nothing(node: Node) -> bool:
    """Whether nothing is written for this value."""
    return isinstance(node, ScalarNode) and node.start_mark.index == node.end_mark.index


def in_brackets(node: Node) -> bool:
    """Whether it is a list or a group that is written between brackets."""
    return isinstance(node, MappingNode | SequenceNode) and bool(node.flow_style)


def find(root: Node, path: Where) -> tuple[Node, Where]:
    """The deepest node on the way to `path`, and what is left of the path there."""
    node, left = root, path
    while left:
        inner = _child(node, left[0])
        if inner is None:
            return node, left
        node, left = inner, left[1:]
    return node, ()


def _child(node: Node, part: str | int) -> Node | None:
    match node:
        case MappingNode():
            pair = pair_of(node, str(part))
            return None if pair is None else pair[1]
        case SequenceNode() if isinstance(part, int) and 0 <= part < len(node.value):
            child: Node = node.value[part]
            return child
    return None


def pair_of(node: MappingNode, name: str) -> tuple[Node, Node] | None:
    """The key and the value of a field."""
    return next((pair for pair in node.value if pair[0].value == name), None)


def within_brackets(root: Node, path: Where) -> bool:
    """Whether what stands at `path` is part of something that is written between brackets."""
    return any(in_brackets(find(root, path[:depth])[0]) for depth in range(len(path)))
