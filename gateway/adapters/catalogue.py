"""Which models there are: those that have a name, and those that a pattern serves besides."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from cachetools import LRUCache

from gateway.core.model_name import is_model_name
from gateway.core.money import Price
from gateway.core.ports import Model


@dataclass(frozen=True, slots=True)
class Serves:
    """Any model whose name matches `pattern` is served like `like`.

    Where `like`, or a target of its group, has `*` as its upstream model, that is the name
    that was called.
    """

    pattern: str
    like: Model


class StaticCatalogue:
    """Implements `Catalogue` from lists. A model without a price of its own is priced once.

    Names that are `unlisted` are served, and not told.
    """

    def __init__(
        self,
        named: Sequence[Model],
        serves: Sequence[Serves],
        price_of: Callable[[Model], Price | None],
        unlisted: Collection[str] = (),
    ) -> None:
        self._price_of = price_of
        self.serves = tuple(serves)
        self._unlisted = frozenset(unlisted)
        self._named = {model.id: self._priced(model) for model in named}
        self._found: LRUCache[str, Model] = LRUCache(4_096)

    def find(self, model: str) -> Model | None:
        """The model a caller names so; the first pattern that matches wins.

        A pattern serves what looks like the name of a model, and no other text: it goes to the
        provider, and no inspector is shown it.
        """
        known = self._named.get(model) or self._found.get(model)
        if known is not None:
            return known
        if not is_model_name(model):
            return None
        for serves in self.serves:
            if fnmatchcase(model, serves.pattern):
                found = self._priced(_called(serves.like, model))
                self._found[model] = found
                return found
        return None

    @property
    def named(self) -> Sequence[Model]:
        """Every model that has a name of its own, also those that are not told."""
        return list(self._named.values())

    def models(self) -> Sequence[Model]:
        return [model for model in self._named.values() if model.id not in self._unlisted]

    def _priced(self, model: Model) -> Model:
        """`model` with a price for each target that has none of its own."""
        price = model.price or self._price_of(model)
        if model.group is None:
            return model if model.price is not None else replace(model, price=price)
        choices = tuple(
            replace(choice, model=self._priced(choice.model)) for choice in model.group.choices
        )
        return replace(model, price=price, group=replace(model.group, choices=choices))


def _called(like: Model, name: str) -> Model:
    """`like` under the name that was called."""
    group = like.group
    if group is not None:
        choices = tuple(
            replace(choice, model=_called(choice.model, name)) for choice in group.choices
        )
        group = replace(group, choices=choices)
    upstream = name if like.upstream_model == "*" else like.upstream_model
    return replace(like, id=name, upstream_model=upstream, group=group)
