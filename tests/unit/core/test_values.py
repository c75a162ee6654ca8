"""One form for every way in which a value is written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.findings import Direction, Finding
from gateway.core.passages import Passage
from gateway.core.values import Value, forms, named, normal


@pytest.mark.parametrize(
    ("label", "ways"),
    [
        ("EMAIL_ADDRESS", ["ann@example.org", " Ann@Example.ORG", "ａｎｎ@example.org"]),
        ("PHONE_NUMBER", ["+49 89 636-480", "49 (89) 636480", "+49\u00a089\u200b636480"]),
        ("IBAN_CODE", ["FR76 3000 6000", "fr7630006000"]),
        ("PERSON", ["Zoë  Müller", "ZOË MÜLLER", "Zoe\u0308 Müller"]),
    ],
)
def test_a_value_has_one_form(label: str, ways: list[str]) -> None:
    assert len({normal(label, way) for way in ways}) == 1


@pytest.mark.parametrize(
    ("label", "one", "other"),
    [
        ("IP_ADDRESS", "1.11.1.1", "11.1.1.1"),
        ("EMAIL_ADDRESS", "a.b@example.org", "ab@example.org"),
        ("US_SSN", "123-45-6789", "123-45-6788"),
    ],
)
def test_what_differs_stays_apart(label: str, one: str, other: str) -> None:
    assert normal(label, one) != normal(label, other)


@given(st.text(max_size=30), st.sampled_from(["EMAIL_ADDRESS", "PHONE_NUMBER", "OTHER"]))
def test_the_form_under_any_label_is_among_the_forms(text: str, label: str) -> None:
    form = normal(label, text)
    assert form == "" or form in forms(text)
    assert normal(label, form) == form


def finding(where: str, start: int, end: int, kind: str = "pii", label: str = "X") -> Finding:
    return Finding(kind, label, where, start, end, 0.9, Direction.INPUT)


def test_values_are_what_findings_found() -> None:
    passages = [Passage("write to ann", "/a"), Passage("bob@x", "/b", before="mail ")]
    found = [
        finding("/a", 9, 12),
        finding("/b", -5, 3, label="Y"),
        finding("/a", 9, 12),
        finding("/a", 0, 5, kind="phrase"),
        finding("/gone", 0, 5),
        finding("/a", 0, 2),
        finding("/b", 3, 3),
    ]
    assert named(found, passages) == [Value("X", "ann"), Value("Y", "mail bob")]
