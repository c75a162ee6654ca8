"""Records handed out: on record first, of one's own organisation, and where it goes on."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from datetime import datetime

import pytest

from gateway.core.audit import Said
from gateway.core.errors import Denied, Malformed
from gateway.core.exports import Record, Stretch
from gateway.core.principal import Principal
from gateway.core.records import Kind
from gateway.core.roles import Role
from gateway.governance.exports import MOST_LEAVES, Exports, Handed, Wanted
from tests.fakes.journal import FakeJournal
from tests.unit.governance.formats.test_view import leaf

AUDITOR = Principal("acme", "t", "a", "k", roles=(Role.AUDITOR,))


class Nothing:
    """Texts of a log in which no exchange is."""

    async def of(self, exchange_ids: Collection[str]) -> Mapping[str, Said | None]:
        raise AssertionError("nobody asked for what was said")

    async def stop(self) -> None:
        pass


class Acts:
    """A log of acts only, of which each is a record."""

    def __init__(self, size: int) -> None:
        self._size = size

    async def size(self) -> int:
        return self._size

    async def read(self, begin: int, most: int) -> Stretch:
        end = min(begin + most, self._size)
        acts = [Record([leaf(at % 200, "audit.read", {})]) for at in range(begin, end)]
        return Stretch(begin, end, acts)


def exports(size: int = 300) -> tuple[Exports, FakeJournal]:
    journal = FakeJournal()
    return Exports(Acts(size), journal, str, Nothing()), journal


async def text(handed: Handed) -> bytes:
    return b"".join([piece async for piece in handed.pieces])


async def test_pages_follow_each_other_without_a_gap() -> None:
    handing, journal = exports()
    lines, place = 0, 0
    while place < 300:
        handed = await handing.page(AUDITOR, "jsonl", place, 130)
        lines += (await text(handed)).count(b"\n")
        place = handed.next
    assert (lines, place) == (300, 300)
    assert len(journal.written) == 3


async def test_it_is_on_record_before_anything_is_handed_out() -> None:
    handing, journal = exports()
    handed = await handing.page(AUDITOR, "csv", 5, 10)
    (written,) = journal.written
    assert written.entry.kind is Kind.AUDIT_EXPORT
    assert written.entry.facts == {
        "of": "records", "format": "csv", "from_leaf": 5, "to_leaf": 15, "org": "acme",
    }  # fmt: skip
    assert handed.recorded_as
    assert (await text(handed)).count(b"\r\n") == 11


async def test_where_nothing_is_new_nothing_is_recorded() -> None:
    handing, journal = exports()
    handed = await handing.page(AUDITOR, "jsonl", 300, 10)
    assert (await text(handed), handed.next, handed.recorded_as) == (b"", 300, None)
    assert journal.written == []


@pytest.mark.parametrize("role", [Role.DEVELOPER, Role.ADMIN, Role.VIEWER])
async def test_others_get_nothing(role: Role) -> None:
    handing, journal = exports()
    with pytest.raises(Denied):
        await handing.page(Principal("acme", "t", "a", "k", roles=(role,)), "jsonl", 0, 10)
    assert journal.written == []


async def test_another_organisation_sees_none_of_it() -> None:
    handing, _ = exports()
    stranger = Principal("other", "t", "a", "k", roles=(Role.AUDITOR,))
    assert await text(await handing.page(stranger, "jsonl", 0, 10)) == b""


@pytest.mark.parametrize(
    ("format", "begin", "limit"),
    [("xml", 0, 1), ("csv", 301, 1), ("csv", 0, 0), ("csv", 0, MOST_LEAVES + 1)],
)
async def test_what_cannot_be_asked_is_refused(format: str, begin: int, limit: int) -> None:
    handing, _ = exports()
    with pytest.raises(Malformed):
        await handing.page(AUDITOR, format, begin, limit)


async def test_what_was_said_is_told_for_a_reason_and_that_is_on_record() -> None:
    handing, journal = exports()
    who = Principal("acme", "t", "a", "k", roles=(Role.COMPLIANCE,))
    handed = await handing.page(who, "jsonl", 0, 10, masked=True, reason=" case 7 ")
    assert (await text(handed)).count(b"\n") == 10
    (written,) = journal.written
    assert written.entry.facts["content"] == "masked"
    assert written.entry.parts == {"reason": b" case 7 "}


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.VIEWER, Role.ADMIN])
async def test_who_may_not_read_it_gets_no_content(role: Role) -> None:
    handing, journal = exports()
    who = Principal("acme", "t", "a", "k", roles=(role,))
    with pytest.raises(Denied):
        await handing.page(who, "jsonl", 0, 10, masked=True, reason="case 7")
    assert journal.written == []


@pytest.mark.parametrize(
    ("format", "reason"),
    [("csv", "case 7"), ("parquet", "x"), ("jsonl", "  "), ("jsonl", "x" * 1_001)],
)
async def test_content_of_another_format_or_without_a_reason_is_refused(
    format: str, reason: str
) -> None:
    handing, journal = exports()
    with pytest.raises(Malformed):
        await handing.hand(AUDITOR, format, Wanted(masked=True), reason)
    assert journal.written == []


async def test_a_file_that_is_made_at_once_is_not_handed_out_in_pages() -> None:
    handing, journal = exports()
    with pytest.raises(Malformed, match="govgate audit export"):
        await handing.page(AUDITOR, "parquet", 0, 10)
    assert journal.written == []
    rows = await text(await handing.hand(AUDITOR, "parquet", Wanted()))
    assert len(rows.splitlines()) == 300


async def test_times_are_half_open() -> None:
    handing, _ = exports(3)
    moment = datetime.fromisoformat("2026-11-22T10:00:00.250Z")
    after = await text(await handing.hand(AUDITOR, "jsonl", Wanted(since=moment)))
    before = await text(await handing.hand(AUDITOR, "jsonl", Wanted(until=moment)))
    assert (len(after.splitlines()), before) == (3, b"")
    assert json.loads(after.splitlines()[0])["kind"] == "audit.read"
