"""Check digits catch every single wrong digit, by the numbers that their issuers publish."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gateway.inspectors import checksums

VALID: list[tuple[Callable[[str], bool], str]] = [
    (checksums.card, "4111111111111111"),
    (checksums.card, "378282246310005"),
    (checksums.card, "6011111111111117"),
    (checksums.iban, "GB82WEST12345698765432"),
    (checksums.iban, "FR1420041010050500013M02606"),
    (checksums.nir, "255081416802538"),
    (checksums.nir, "185052A00608435"),
    (checksums.nir, "185052B00608462"),
    (checksums.dni, "12345678Z"),
    (checksums.nie, "Y1234567X"),
    (checksums.fiscal_code, "RSSMRA85T10A562S"),
    (checksums.nhs, "9434765919"),
    (checksums.steuer_id, "86095742719"),
]


@pytest.mark.parametrize(("check", "number"), VALID)
def test_one_wrong_digit_is_caught(check: Callable[[str], bool], number: str) -> None:
    assert check(number)
    for place, old in enumerate(number):
        for new in "0123456789" if old.isdigit() else "":
            if new != old:
                assert not check(number[:place] + new + number[place + 1 :])


@pytest.mark.parametrize(
    "digits", ["4111111111111", "1111111111111117", "411111111111111111", "0000000000000000"]
)
def test_a_card_needs_a_scheme_of_that_length(digits: str) -> None:
    assert not checksums.card(digits)


def test_luhn_wants_more_than_zeros() -> None:
    assert not checksums.luhn("0" * 16)
    assert checksums.luhn("79927398713")


@pytest.mark.parametrize("digits", ["000123456", "666123456", "900123456", "123006789",
                                    "123450000"])  # fmt: skip
def test_numbers_that_are_never_issued_are_no_ssn(digits: str) -> None:
    assert not checksums.ssn(digits)


def test_an_omocode_and_a_womans_day_are_fiscal_codes() -> None:
    assert checksums.fiscal_code("RSSMRA85T50A562W")
    assert checksums.fiscal_code("RSSMRAURT10A562B")
    assert not checksums.fiscal_code("RSSMRA85T99A562S")
    assert not checksums.fiscal_code("RSSMRA85Z10A562S")
