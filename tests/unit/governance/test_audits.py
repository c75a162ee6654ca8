"""Who may ask what of the record, and in which order a content is shown."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.core.audit import Facets, Filters, Listed, Page, Scope, Session, Standing, StoredQuery
from gateway.core.errors import Code, Denied, GatewayError, Malformed, Unavailable
from gateway.core.ids import new_id
from gateway.core.principal import Principal
from gateway.core.records import Entry, Kind
from gateway.core.roles import Role
from gateway.governance.audits import Audits
from tests.fakes.journal import FakeJournal

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
HEADERS: list[dict[str, Any]] = [
    {"facts": {"action": "chat"}, "parts": [{"part": "request_received", "size": 3}]},
    {"facts": {"request_sent": "same as request_received"}, "parts": []},
    {"facts": {"outcome": "completed", "answer_released": "same as answer_received"},
     "parts": [{"part": "answer_received", "size": 2}]},
]  # fmt: skip
KINDS = ("opened", "attempt", "closed")
PARTS: list[dict[str, bytes]] = [{"request_received": b"ask"}, {}, {"answer_received": b"\xff\x00"}]


class Stored:
    """An entry as it was read back."""

    def __init__(self, index: int, parts: dict[str, bytes] | None) -> None:
        self.entry_id, self.kind = f"ent_{index}", KINDS[index]
        self.header, self.parts = HEADERS[index], parts
        self.lacking = frozenset({"request_received"} if index == 0 else set())


class FakeStore:
    """One exchange of the team `red`, and a note of what was asked, in order."""

    def __init__(self, journal: FakeJournal) -> None:
        self.journal = journal
        self.asked: list[Any] = []
        self.noted_before_reading: int | None = None
        self.erased = False
        self.broken = False

    def _sees(self, scope: Scope, id: str) -> bool:
        return id == "exc_1" and scope.org == "acme" and scope.team in (None, "red")

    async def page(self, scope: Scope, filters: Filters, after: str | None, limit: int) -> Page:
        self.asked.append((scope, filters, after, limit))
        if after == "nowhere":
            raise ValueError("no place")
        return Page((), None)

    async def facets(self, scope: Scope, filters: Filters) -> Facets:
        self.asked.append(scope)
        return Facets(0, True, {})

    async def find(self, org: str, id: str) -> str | None:
        return "exc_1" if id in ("exc_1", "dec_1") else "act_1" if id == "act" else None

    async def listed(self, scope: Scope, exchange_id: str) -> Listed | None:
        return None

    async def entries(self, scope: Scope, exchange_id: str) -> Sequence[Standing]:
        if not self._sees(scope, exchange_id):
            return []
        return [
            Standing(f"ent_{n}", KINDS[n], NOW, header, b"\x01", True, n, self.erased)
            for n, header in enumerate(HEADERS)
        ]

    async def session(self, scope: Scope, session: str) -> Session:
        return Session("ses_1", (), True)

    async def saved(self, org: str) -> Sequence[StoredQuery]:
        return []

    async def save(self, org: str, query: StoredQuery) -> bool:
        self.asked.append((org, query))
        return query.name != "taken"

    async def forget(self, org: str, name: str, made_by: str) -> bool:
        return (name, made_by) == ("mine", "k1")

    async def read_exchange(self, exchange_id: str) -> Sequence[Stored]:
        self.noted_before_reading = len(self.journal.written)
        if self.broken:
            raise ValueError("altered")
        return [
            Stored(n, None if self.erased and parts else parts) for n, parts in enumerate(PARTS)
        ]


class House:
    def __init__(self) -> None:
        self.journal = FakeJournal()
        self.store = FakeStore(self.journal)
        self.audits = Audits(self.store, self.store, self.journal, lambda text: ())


@pytest.fixture
def house() -> House:
    return House()


def somebody(*roles: str, team: str = "red", org: str = "acme") -> Principal:
    return Principal(org, team, "app", "k1", roles=roles)


@pytest.mark.parametrize(
    ("role", "scope"),
    [
        (Role.VIEWER, Scope("acme", "red")),
        (Role.DEVELOPER, Scope("acme", "red")),
        (Role.AUDITOR, Scope("acme")),
        (Role.COMPLIANCE, Scope("acme")),
        (Role.INVESTIGATOR, Scope("acme")),
    ],
)
async def test_what_is_seen_is_the_roles(house: House, role: Role, scope: Scope) -> None:
    await house.audits.page(somebody(role), Filters())
    await house.audits.facets(somebody(role), Filters())
    assert house.store.asked == [(scope, Filters(), None, 50), scope]


@pytest.mark.parametrize("roles", [(), ("admin",), ("finance", "reviewer"), ("Auditor",), ("*",)])
async def test_without_the_role_nothing_is_answered(house: House, roles: tuple[str, ...]) -> None:
    who, audits = somebody(*roles), house.audits
    for asked in (
        audits.page(who, Filters()), audits.facets(who, Filters()), audits.find(who, "exc_1"),
        audits.exchange(who, "exc_1"), audits.explain(who, "exc_1"), audits.session(who, "s"),
        audits.saved(who), audits.save(who, "q", Filters()), audits.forget(who, "mine"),
        audits.content(who, "exc_1", "why"),
    ):  # fmt: skip
        with pytest.raises(Denied) as refused:
            await asked
        assert refused.value.code is Code.INSUFFICIENT_ROLE
    assert house.store.asked == []
    assert house.journal.written == []


async def test_a_team_may_not_try_out_values(house: House) -> None:
    for filters in (Filters(value="ann@example.org"), Filters(value="")):
        with pytest.raises(Denied, match="auditor or compliance or investigator"):
            await house.audits.page(somebody(Role.VIEWER), filters)
    await house.audits.page(somebody(Role.COMPLIANCE), Filters(value="ann@example.org"))


@pytest.mark.parametrize("limit", [0, -1, 501])
async def test_a_page_has_a_size(house: House, limit: int) -> None:
    with pytest.raises(Malformed):
        await house.audits.page(somebody(Role.AUDITOR), Filters(), None, limit)


async def test_a_place_that_is_none_is_the_callers_mistake(house: House) -> None:
    with pytest.raises(Malformed, match="after"):
        await house.audits.page(somebody(Role.AUDITOR), Filters(), "nowhere")


@pytest.mark.parametrize(
    ("who", "id"),
    [
        (somebody(Role.AUDITOR), "exc_2"),
        (somebody(Role.AUDITOR), "act"),
        (somebody(Role.AUDITOR, org="other"), "exc_1"),
        (somebody(Role.VIEWER, team="blue"), "exc_1"),
    ],
    ids=["unknown", "an act", "another organisation", "another team"],
)
async def test_what_is_out_of_sight_is_not_found(house: House, who: Principal, id: str) -> None:
    for asked in (house.audits.find, house.audits.exchange, house.audits.explain):
        with pytest.raises(Denied) as refused:
            await asked(who, id)
        assert refused.value.code is Code.NOT_FOUND
    with pytest.raises(Denied):
        await house.audits.session(who, "s")


async def test_a_timeline_has_the_entries_in_order(house: House) -> None:
    told = await house.audits.exchange(somebody(Role.VIEWER), "exc_1")
    assert [step.kind for step in told.entries] == list(KINDS)
    assert told.entries[0].parts == ({"part": "request_received", "size": 3},)
    assert (told.erased, told.summary, told.entries[2].position) == (False, None, 2)
    house.store.erased = True
    assert (await house.audits.exchange(somebody(Role.VIEWER), "exc_1")).erased


async def test_a_reading_is_on_record_before_it_is_done(house: House) -> None:
    who = somebody(Role.INVESTIGATOR)
    told = await house.audits.content(who, "exc_1", " case 7 ")
    assert house.store.noted_before_reading == 1
    assert told.lacking == ("request_received",)
    [note] = house.journal.written
    names = ["answer_received", "answer_released", "request_received", "request_sent"]
    facts = {"exchange_id": "exc_1", "parts": names}
    assert note.entry == Entry(Kind.AUDIT_READ, facts, {"reason": b"case 7"})
    shown = [(piece.kind, piece.part, piece.text, piece.base64) for piece in told.parts]
    assert shown == [
        ("opened", "request_received", "ask", None),
        ("attempt", "request_sent", "ask", None),
        ("closed", "answer_received", None, "/wA="),
        ("closed", "answer_released", None, "/wA="),
    ]


async def test_one_part_may_be_asked_for(house: House) -> None:
    told = await house.audits.content(somebody(Role.INVESTIGATOR), "exc_1", "why", ["request_sent"])
    assert [(piece.part, piece.text) for piece in told.parts] == [("request_sent", "ask")]
    assert told.lacking == ()


async def test_what_is_not_shown_is_not_on_record(house: House) -> None:
    who = somebody(Role.INVESTIGATOR)
    bad: list[tuple[Any, ...]] = [
        (who, "exc_1", ""), (who, "exc_1", "  "), (who, "exc_1", "x" * 1_001),
        (who, "exc_2", "why"), (who, "exc_1", "why", ["question"]),
        (somebody(Role.INVESTIGATOR, org="other"), "exc_1", "why"),
        (somebody(Role.AUDITOR, Role.COMPLIANCE), "exc_1", "why"),
    ]  # fmt: skip
    for asked in bad:
        with pytest.raises(Denied):
            await house.audits.content(*asked)
    assert house.journal.written == []
    assert house.store.noted_before_reading is None


async def test_when_the_journal_is_away_nothing_is_read(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(self: FakeJournal, actor: Principal, entry: Entry) -> None:
        raise Unavailable(Code.AUDIT_UNAVAILABLE, "away")

    monkeypatch.setattr(FakeJournal, "note", away)
    with pytest.raises(Unavailable):
        await house.audits.content(somebody(Role.INVESTIGATOR), "exc_1", "why")
    assert house.store.noted_before_reading is None


@pytest.mark.parametrize("why", ["erased", "broken"])
async def test_what_cannot_be_read_is_not_shown(house: House, why: str) -> None:
    setattr(house.store, why, True)
    with pytest.raises(GatewayError) as refused:
        await house.audits.content(somebody(Role.INVESTIGATOR), "exc_1", "why")
    expected = {"erased": Code.NOT_FOUND, "broken": Code.AUDIT_UNAVAILABLE}
    assert refused.value.code is expected[why]


async def test_queries_that_name_a_person_are_not_kept(house: House) -> None:
    who = somebody(Role.AUDITOR)
    for filters in (Filters(user="user:ann"), Filters(value="a@b.c"), Filters(text="Ann")):
        with pytest.raises(Malformed):
            await house.audits.save(who, "q", filters)
    for name in ("", " q", "a\nb", "x" * 101, "taken"):
        with pytest.raises(Malformed):
            await house.audits.save(who, name, Filters())
    kept = await house.audits.save(who, "Refused, last week".replace(",", ":"), Filters(app=("a",)))
    assert (kept.made_by, kept.filters.app) == ("k1", ("a",))
    await house.audits.forget(who, "mine")
    with pytest.raises(Denied):
        await house.audits.forget(who, new_id("q"))
