"""Identifiers: UUIDv7, so that they sort by the time they were made."""

from __future__ import annotations

import time
import uuid

import pytest

from gateway.core.ids import new_id


def uuid_of(made: str) -> uuid.UUID:
    prefix, _, digits = made.rpartition("_")
    assert prefix == "exc"
    assert len(digits) == 32
    return uuid.UUID(hex=digits)


def test_it_is_a_uuid_of_version_seven() -> None:
    for _ in range(50):
        made = uuid_of(new_id("exc"))
        assert made.version == 7
        assert made.variant == uuid.RFC_4122


def test_it_holds_the_milliseconds_of_its_making(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 1_700_000_000_123_999_999)
    assert uuid_of(new_id("exc")).int >> 80 == 1_700_000_000_123


def test_later_ones_sort_after_earlier_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time_ns()
    made = []
    for tick in range(100):
        monkeypatch.setattr(time, "time_ns", lambda tick=tick: now + tick * 1_000_000)
        made.append(new_id("exc"))
    assert made == sorted(made)


def test_no_two_are_alike_in_one_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 1)
    assert len({new_id("exc") for _ in range(10_000)}) == 10_000
