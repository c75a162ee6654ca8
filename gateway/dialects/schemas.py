"""Where text stands in a JSON schema: what it says of values, and the names that it gives them.

Renaming a property renames it in `required` too. Names of definitions, patterns of names and
references are fixed: they would have to be rewritten together.
Source: JSON Schema 2020-12 (core and validation); draft 7 for `definitions` and `dependencies`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from gateway.core.names import names
from gateway.core.passages import Number, Slot
from gateway.dialects.places import nested
from gateway.dialects.vocabulary import KEYWORDS, TYPES, is_token

_DEFINED = frozenset({"$defs", "definitions", "patternProperties"})
"""Keywords that hold schemas by names that must stay."""
_BY_NAME = _DEFINED | {"properties", "dependentSchemas"}
"""Keywords that hold schemas by name."""
_SCHEMAS = frozenset(
    {"additionalItems", "additionalProperties", "allOf", "anyOf", "contains", "contentSchema"}
    | {"else", "if", "items", "not", "oneOf", "prefixItems", "propertyNames", "then"}
    | {"unevaluatedItems", "unevaluatedProperties"}
)
"""Keywords that hold a schema, or a list of them."""
_WORDS = frozenset(
    {"type", "format", "$ref", "$dynamicRef", "$schema", "$id", "$anchor", "$dynamicAnchor"}
)
"""Keywords that are structure where they hold a word, or a list of words."""
_LIMITS = frozenset(
    {"exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum", "multipleOf", "maxContains"}
    | {"maxItems", "maxLength", "maxProperties", "minContains", "minItems", "minLength"}
    | {"minProperties"}
)
"""Keywords that hold a number, which must stay one."""
_LISTS = ("required", "propertyOrdering")
"""Keywords that list names of properties; the second is Gemini's."""


def schema(holder: Any, key: Any, where: str, role: str) -> list[Slot]:
    """A slot for every text of the schema at `holder[key]`."""
    root = holder[key]
    defined = [
        f"#/{keyword}/{name}"
        for keyword in ("$defs", "definitions")
        if isinstance(root, dict) and isinstance(root.get(keyword), dict)
        for name in root[keyword]
    ]
    reading = _Schema(role, frozenset(defined))
    reading.add(holder, key, where)
    return reading.found


class _Schema:
    """One schema: who says it, and the references to what it defines, whose names are looked
    at where they are given."""

    def __init__(self, role: str, defined: Collection[str]) -> None:
        self.found: list[Slot] = []
        self._role = role
        self._defined = defined

    def add(self, holder: Any, key: Any, where: str) -> None:
        """Add the texts of the schema, or list of schemas, at `holder[key]`."""
        value = holder[key]
        if isinstance(value, dict):
            start = len(self.found)
            for place, name in enumerate(value):
                known = name in KEYWORDS
                inside = f"{where}/{name}" if known else f"{where}/#{place}"
                self._add_keyword(value, name, inside)
            self.found += names(value, where, self._role, self.found, KEYWORDS, since=start)
        elif isinstance(value, list):
            for index in range(len(value)):
                self.add(value, index, f"{where}/{index}")
        else:
            self.found += nested(holder, key, where, self._role)

    def _add_keyword(self, held: dict[str, Any], name: str, where: str) -> None:
        value = held[name]
        if name in _WORDS:
            self._add_words(held, name, where)
        elif isinstance(value, str):
            self.found.append(Slot(held, name, where, self._role))
        elif name in _BY_NAME and isinstance(value, dict):
            self._add_by_name(held, name, where)
        elif name in _SCHEMAS:
            self.add(held, name, where)
        elif name in _LISTS and isinstance(value, list):
            self._add_listed(held, name, where)
        elif name in _LIMITS and Number.is_long(value):
            self.found.append(Number(held, name, where, self._role, fixed=True))
        else:
            self.found += nested(held, name, where, self._role)

    def _add_by_name(self, held: dict[str, Any], keyword: str, where: str) -> None:
        """Add the texts of schemas that stand by name, and the names."""
        schemas = held[keyword]
        start = len(self.found)
        for place, name in enumerate(schemas):
            self.add(schemas, name, f"{where}/#{place}")
        lists = [held[name] for name in _LISTS if isinstance(held.get(name), list)]
        self.found += names(
            schemas,
            where,
            self._role,
            self.found,
            since=start,
            fixed=keyword in _DEFINED,
            lists=lists if keyword == "properties" else (),
        )

    def _add_words(self, holder: Any, key: Any, where: str) -> None:
        value = holder[key]
        if isinstance(value, str):
            if value not in TYPES and value not in self._defined:
                self.found.append(Slot(holder, key, where, self._role, fixed=is_token(value)))
        elif isinstance(value, list):
            for index in range(len(value)):
                self._add_words(value, index, f"{where}/{index}")
        else:
            self.found += nested(holder, key, where, self._role)

    def _add_listed(self, held: dict[str, Any], keyword: str, where: str) -> None:
        """Add those entries of a list of names that no property has: they go with none."""
        properties = held.get("properties")
        given = properties if isinstance(properties, dict) else {}
        listed = held[keyword]
        for index, entry in enumerate(listed):
            if not (isinstance(entry, str) and entry in given):
                self.found += nested(listed, index, f"{where}/{index}", self._role)
