from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import pytest
from genai_prices import data_snapshot, types

from gateway.adapters.prices import Prices
from gateway.core.money import Price

YESTERDAY = datetime.now(UTC).date() - timedelta(days=1)
NEXT_YEAR = YESTERDAY + timedelta(days=366)


def dearest(
    prices: types.ModelPrice | list[types.ConditionalPrice],
    variants: list[types.PriceVariant] | None = None,
) -> tuple[int, int] | None:
    """What `Prices` makes of a model with these prices, in micro-USD per million."""
    model = types.ModelInfo(
        id="m", match=types.ClauseEquals(equals="m"), prices=prices, price_variants=variants
    )
    provider = types.Provider(id="p", name="P", api_pattern="https://p", models=[model])
    data_snapshot.set_custom_snapshot(
        data_snapshot.DataSnapshot(providers=[provider], from_auto_update=False)
    )
    try:
        price = Prices().price_of("m", "p")
    finally:
        data_snapshot.set_custom_snapshot(None)
    return price and (price.input, price.output)


def rates(**usd: str) -> types.ModelPrice:
    return types.ModelPrice(**{kind: Decimal(amount) for kind, amount in usd.items()})


def test_the_plain_price() -> None:
    assert dearest(rates(input_mtok="2.5", output_mtok="10")) == (2_500_000, 10_000_000)


def test_the_longest_prompts_tier() -> None:
    tiered = types.TieredPrices(
        base=Decimal("1.25"), tiers=[types.Tier(start=200_000, price=Decimal("2.5"))]
    )
    prices = types.ModelPrice(input_mtok=tiered, output_mtok=Decimal(10))
    assert dearest(prices) == (2_500_000, 10_000_000)


def test_cache_writes_audio_and_reasoning_count() -> None:
    prices = rates(
        input_mtok="3", cache_read_mtok="0.3", cache_write_mtok="3.75", output_mtok="15",
        output_reasoning_mtok="20",
    )  # fmt: skip
    assert dearest(prices) == (3_750_000, 20_000_000)
    audio = rates(input_mtok="1", input_audio_mtok="40", output_mtok="2", output_audio_mtok="80")
    assert dearest(audio) == (40_000_000, 80_000_000)


def test_a_service_tier_that_a_request_may_choose_counts_once_it_is_offered() -> None:
    def tier(start: date) -> types.PriceVariant:
        return types.PriceVariant(
            when={"service_tier": "priority"},
            prices=rates(input_mtok="5", output_mtok="20"),
            constraint=types.StartDateConstraint(start_date=start),
        )

    plain = rates(input_mtok="2.5", output_mtok="10")
    assert dearest(plain, [tier(YESTERDAY)]) == (5_000_000, 20_000_000)
    assert dearest(plain, [tier(NEXT_YEAR)]) == (2_500_000, 10_000_000)


def test_the_price_of_today_and_not_an_old_or_a_coming_one() -> None:
    def since(start: date | None, amount: str) -> types.ConditionalPrice:
        constraint = start and types.StartDateConstraint(start_date=start)
        return types.ConditionalPrice(
            constraint=constraint, prices=rates(input_mtok=amount, output_mtok=amount)
        )

    listed = [since(None, "10"), since(YESTERDAY, "2"), since(NEXT_YEAR, "30")]
    assert dearest(listed) == (2_000_000, 2_000_000)


def test_the_dearest_hour_of_the_day() -> None:
    night = types.TimeOfDateConstraint(
        start_time=time(16, 30, tzinfo=UTC), end_time=time(0, 30, tzinfo=UTC)
    )
    listed = [
        types.ConditionalPrice(prices=rates(input_mtok="1", output_mtok="2")),
        types.ConditionalPrice(constraint=night, prices=rates(input_mtok="0.5", output_mtok="1")),
    ]
    assert dearest(listed) == (1_000_000, 2_000_000)


@pytest.mark.parametrize(
    "prices",
    [
        rates(input_mtok="1", output_mtok="1", requests_kcount="14"),
        rates(input_audio_hours="0.36"),
        rates(output_mtok="1"),
        types.ModelPrice(),
    ],
)
def test_what_tokens_alone_do_not_pay_for_has_no_price(prices: types.ModelPrice) -> None:
    assert dearest(prices) is None


def test_a_search_that_nobody_asked_for_does_not_matter() -> None:
    prices = rates(input_mtok="1", output_mtok="2", web_searches_kcount="10")
    assert dearest(prices) == (1_000_000, 2_000_000)


def test_a_fraction_of_a_micro_dollar_is_rounded_up() -> None:
    assert dearest(rates(input_mtok="0.0000001", output_mtok="0")) == (1, 0)


def test_a_model_of_the_shipped_list() -> None:
    price = Prices().price_of("gpt-4o")
    assert price is not None
    assert price.input >= 2_500_000
    assert price.output >= 10_000_000
    assert price.version.startswith("genai-prices ")
    assert Prices().price_of("gpt-4o", "openai") == price


@pytest.mark.parametrize(("model", "provider"), [("no-such-model", None), ("gpt-4o", "nobody")])
def test_what_is_unknown_has_no_price(model: str, provider: str | None) -> None:
    assert Prices().price_of(model, provider) is None


def test_an_override_stands_before_the_list_and_says_what_it_is() -> None:
    prices = Prices({"gpt-4o": ("1.50", Decimal(6)), "ours": ("0", "0")})
    assert prices.price_of("gpt-4o") == Price(1_500_000, 6_000_000, "override 1.50/6")
    assert prices.price_of("ours", "any") == Price(0, 0, "override 0/0")


@pytest.mark.parametrize("pair", [("-1", "1"), ("1", "-0.5"), ("free", "1"), ("NaN", "1")])
def test_an_override_that_is_no_price_is_refused(pair: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match=r"dollars|negative"):
        Prices({"m": pair})


def test_the_list_is_not_loaded_before_it_is_asked() -> None:
    code = (
        "import sys; from gateway.adapters.prices import Prices; Prices({'m': ('1', '1')})"
        ".price_of('m'); sys.exit('genai_prices' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
