"""Our reading of the numbering plans agrees with the library that they come from."""

from __future__ import annotations

import phonenumbers
import pytest

from gateway.inspectors import phones

REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)


@pytest.mark.parametrize("region", REGIONS)
def test_the_example_of_every_plan_is_a_number(region: str) -> None:
    number = phonenumbers.example_number(region)
    assert number is not None
    written = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
    length, score = phones.international(written)
    assert (length, score) == (len(written), 0.85)


@pytest.mark.parametrize("code", ["999", "0", "1111", "12"])
def test_a_code_of_no_country_is_none(code: str) -> None:
    assert phones.international(f"+{code} 00 00 00 00")[0] == 0


@pytest.mark.parametrize("region", ["FR", "GB", "DE", "NL", "BE", "CH", "IT"])
def test_national_examples_are_numbers(region: str) -> None:
    number = phonenumbers.example_number(region)
    assert number is not None
    written = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL)
    length, score = phones.trunk_zero(written)
    assert length == len(written)
    assert score >= 0.4


def test_numbers_valid_to_the_library_are_valid_here_and_others_are_not() -> None:
    digits = ["4155552671", "2125551234", "1155552671", "9995552671", "6045551234", "0155552671"]
    for number in digits:
        valid = any(
            phonenumbers.is_valid_number(phonenumbers.parse(number, region))
            for region in ("US", "CA")
        )
        assert (phones.ten_digits(number)[0] > 0) == valid


@pytest.mark.parametrize("text", ["01.02.2024", "01/02/24", "01 02 2024"])
def test_a_date_is_no_number(text: str) -> None:
    assert phones.trunk_zero(text) == (0, 0.0)


def test_a_number_ends_before_what_belongs_to_something_else() -> None:
    assert phones.trunk_zero("06 12 34 56 78 2024")[0] == len("06 12 34 56 78")
    assert phones.international("+33 6 12 34 56 78 20")[0] == len("+33 6 12 34 56 78")
