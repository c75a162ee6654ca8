"""Which models there are: those named in the settings, and what a provider serves besides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from cachetools import LRUCache

from gateway.core.money import Price
from gateway.core.ports import Model


@dataclass(frozen=True, slots=True)
class Serves:
    """Any model whose name matches `pattern` is served like `like`."""

    pattern: str
    like: Model


class StaticCatalogue:
    """Implements `Catalogue` from lists. A model without a price of its own is priced once."""

    def __init__(
        self,
        named: Sequence[Model],
        serves: Sequence[Serves],
        price_of: Callable[[Model], Price | None],
    ) -> None:
        self._price_of = price_of
        self._serves = tuple(serves)
        self._named = {model.id: self._priced(model) for model in named}
        self._found: LRUCache[str, Model] = LRUCache(4_096)

    def find(self, model: str) -> Model | None:
        """The model a caller names so; the first pattern that matches wins."""
        known = self._named.get(model) or self._found.get(model)
        if known is not None:
            return known
        for serves in self._serves:
            if fnmatchcase(model, serves.pattern):
                found = self._priced(replace(serves.like, id=model, upstream_model=model))
                self._found[model] = found
                return found
        return None

    def models(self) -> Sequence[Model]:
        return list(self._named.values())

    def _priced(self, model: Model) -> Model:
        return model if model.price is not None else replace(model, price=self._price_of(model))
