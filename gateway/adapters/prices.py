"""What models cost: genai-prices' list, as shipped, and the operator's own prices over it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from importlib import import_module, metadata
from threading import Lock
from typing import TYPE_CHECKING, Any

from cachetools import TTLCache, cachedmethod

from gateway.core.money import Price, usd

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice


class Prices:
    """Prices by model, as upper bounds: each token at the dearest rate it may be billed at.

    That is, over every tier of prompt length, what is read from or written to a cache, audio,
    images and reasoning, any hour of today, and any service tier that a request may choose
    (`priority` often costs twice). Nothing is fetched: prices are as old as the installed
    genai-prices. Answers are kept for an hour, as prices have dates on which they start.

    `overrides` are by model name, in US dollars per million tokens, input and output; they
    stand as given. Raises `ValueError` for an override that is no amount, or negative.
    """

    def __init__(
        self, overrides: Mapping[str, tuple[str | Decimal, str | Decimal]] | None = None
    ) -> None:
        self._overrides = {name: _own(name, *pair) for name, pair in (overrides or {}).items()}
        self._known: TTLCache[Any, Price | None] = TTLCache(maxsize=10_000, ttl=3600)
        self._lock = Lock()

    def price_of(self, model: str, provider: str | None = None) -> Price | None:
        """The price of `model` as `provider` (an id of genai-prices) sells it.

        Without a provider, that of the model's maker. None when it is not known, or when it
        is also paid for by other things than tokens: calls, searches, seconds, pages.
        """
        if model in self._overrides:
            return self._overrides[model]
        return self._listed(model, provider)

    @cachedmethod(lambda self: self._known, lock=lambda self: self._lock)
    def _listed(self, model: str, provider: str | None) -> Price | None:
        # Imported at the first question: it takes 0.2 s, which start-up need not pay.
        snapshot = import_module("genai_prices.data_snapshot").get_snapshot()
        try:
            _, found = snapshot.find_provider_model(model, None, provider, None)
        except LookupError:
            return None
        return _dearest(list(_in_force(found, datetime.now(UTC))))


def _own(name: str, read: str | Decimal, said: str | Decimal) -> Price:
    """An operator's price; its version says it, so that a record explains itself."""
    price = Price(usd(read), usd(said), version=f"override {read}/{said}")
    if price.input < 0 or price.output < 0:
        raise ValueError(f"the price of {name!r} is negative")
    return price


def _in_force(model: ModelInfo, now: datetime) -> Iterator[ModelPrice]:
    """Every set of prices that a request today may be billed by."""
    listed = model.prices if isinstance(model.prices, list) else []
    starts = (getattr(price.constraint, "start_time", None) for price in listed)
    ends = (getattr(price.constraint, "end_time", None) for price in listed)
    for moment in (now, *_today(now.date(), (*starts, *ends))):
        yield model.get_prices(moment)
    for variant in model.price_variants or ():
        if variant.constraint is None or variant.constraint.active(now):
            yield variant.prices


def _today(day: date, times: Iterable[time | None]) -> Iterator[datetime]:
    for at in times:
        if at is not None:
            yield datetime.combine(day, at, tzinfo=at.tzinfo or UTC)


def _dearest(prices: list[ModelPrice]) -> Price | None:
    """The highest rate for a token read and for a token said, over all of `prices`."""
    read: list[Decimal] = []
    said: list[Decimal] = []
    for kind, rate in _rates(prices):
        if not kind.endswith("_mtok"):
            if kind.startswith(_APART):
                continue
            return None
        (said if kind.startswith("output") else read).append(rate)
    if not read:
        return None
    version = f"genai-prices {metadata.version('genai-prices')}"
    return Price(usd(max(read)), usd(max(said, default=Decimal(0))), version)


_APART = ("web_searches", "storage_searches")
"""Paid for only when a request asks for a search tool of the provider's."""


def _rates(prices: Iterable[ModelPrice]) -> Iterator[tuple[str, Decimal]]:
    """Each rate with its kind, tiers one by one: `input_mtok` is dollars per million."""
    for price in prices:
        for kind, rate in vars(price).items():
            if rate is None or kind.startswith("_"):
                continue
            yield kind, getattr(rate, "base", rate)
            for tier in getattr(rate, "tiers", ()):
                yield kind, tier.price
