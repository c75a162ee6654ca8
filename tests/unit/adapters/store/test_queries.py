"""Searches over SQL, against the same searches over a list."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.adapters.keyring import Keyring
from gateway.adapters.store import queries, selecting
from gateway.adapters.store.engine import for_writing
from gateway.adapters.store.naming import Names
from gateway.adapters.store.queries import SqlSearch
from gateway.core.audit import COLUMNS, TAGS, Filters, Scope, StoredQuery
from gateway.core.errors import Unavailable
from tests.databases import Database
from tests.unit.adapters.store.index_rows import Made, asked, made_up, matches, put

ROWS, QUESTIONS = 300, 60
ACME = Scope("acme")


@pytest.fixture
async def search(database: Database, keyring: Keyring) -> AsyncIterator[SqlSearch]:
    search = SqlSearch(database.url, Names(keyring), lambda name: name.encode())
    yield search
    await search.stop()


def fill(search: SqlSearch, keyring: Keyring, made: Sequence[Made]) -> None:
    with for_writing(search.engine).begin() as connection:
        put(connection, made, Names(keyring).marks)


async def every_page(search: SqlSearch, scope: Scope, filters: Filters, limit: int) -> list[str]:
    found: list[str] = []
    after = None
    while True:
        page = await search.page(scope, filters, after, limit)
        assert len(page.exchanges) <= limit
        found += [one.exchange_id for one in page.exchanges]
        if page.next is None:
            return found
        assert len(page.exchanges) == limit
        after = page.next


@pytest.mark.parametrize("few", [0, 15, selecting.FEW], ids=["walked", "both ways", "looked up"])
async def test_a_database_answers_as_a_list_does(
    search: SqlSearch, keyring: Keyring, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(selecting, "FEW", few)
    chance = random.Random(few)
    made = made_up(chance, range(ROWS))
    fill(search, keyring, made)
    sizes = []
    for _ in range(QUESTIONS):
        filters, scope = asked(chance), Scope("acme", chance.choice([None, None, "red"]))
        right = [one for one in made if matches(one, scope.org, scope.team, filters)]
        right.sort(key=lambda one: one.order, reverse=True)
        found = await every_page(search, scope, filters, chance.choice([3, 20, 500]))
        assert found == [one.id for one in right], filters
        counted = await search.facets(scope, filters)
        assert (counted.counted, counted.complete) == (len(right), True)
        assert counted.dimensions == facets_of(right, keyring), filters
        sizes.append(len(right))
    assert sum(map(bool, sizes)) > QUESTIONS // 3  # or nothing was tried


def facets_of(made: Sequence[Made], keyring: Keyring) -> dict[str, dict[str, int]]:
    marks = Names(keyring).marks
    found: dict[str, Counter[str]] = {name: Counter() for name in (*COLUMNS, *TAGS)}
    for one in made:
        for name, value in one.columns.items():
            if value is not None:
                found[name][marks.session(one.org, value) if name == "session" else value] += 1
        for name, values in one.tags.items():
            found[name].update(values)
    return {name: dict(counts) for name, counts in found.items() if counts}


async def test_pages_cover_all_once_while_more_comes_in(
    search: SqlSearch, keyring: Keyring
) -> None:
    chance = random.Random(7)
    made = made_up(chance, range(60))
    fill(search, keyring, made)
    filters = Filters(hidden=True)
    right = {one.id for one in made if one.org == "acme"}
    found: list[str] = []
    after, number = None, 60
    while True:
        page = await search.page(ACME, filters, after, 4)
        found += [one.exchange_id for one in page.exchanges]
        if page.next is None:
            break
        after = page.next
        fill(search, keyring, made_up(chance, range(number, number + 3)))
        number += 3
    assert len(found) == len(set(found))
    assert right <= set(found)


async def test_facets_say_when_they_are_not_of_all(
    search: SqlSearch, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "MOST_COUNTED", 10)
    fill(search, keyring, made_up(random.Random(1), range(40)))
    told = await search.facets(ACME, Filters(hidden=True))
    assert (told.counted, told.complete) == (10, False)
    assert sum(told.dimensions["app"].values()) == 10


@pytest.mark.parametrize("after", ["", "x", "MTIz", "AAAA", "é", "9" * 200, "\x00"])
async def test_a_place_that_is_none_is_refused(search: SqlSearch, after: str) -> None:
    with pytest.raises(ValueError, match="after"):
        await search.page(ACME, Filters(), after, 1)


NONSENSE = st.one_of(
    st.text(max_size=40),
    st.text(alphabet="\"*-()^:{}[]AND ORNEAR+\\'&|!<>,é東", max_size=40),
)


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(query=NONSENSE.filter(lambda text: "\x00" not in text))
async def test_no_query_is_an_error(search: SqlSearch, keyring: Keyring, query: str) -> None:
    await search.page(ACME, Filters(text=query), None, 1)


async def test_ids_that_nothing_has_are_not_found(search: SqlSearch) -> None:
    for id in ("", "\x00", "x" * 10_000, "exc_1", "' OR 1=1", "ff" * 32, "é"):
        assert await search.find("acme", id) is None
        assert await search.entries(ACME, id) in ([], ())
        assert await search.listed(ACME, id) is None


async def test_kept_queries_are_their_makers(search: SqlSearch) -> None:
    now = datetime(2026, 11, 22, 10, tzinfo=UTC)
    mine = StoredQuery("mine", Filters(app=("a",), exclude={"rule": ("r",)}), "k1", now)
    assert await search.save("acme", mine)
    assert await search.saved("acme") == [mine]
    assert await search.saved("other") == []
    changed = StoredQuery("mine", Filters(since=now), "k1", now)
    assert await search.save("acme", changed)
    assert not await search.save("acme", StoredQuery("mine", Filters(), "k2", now))
    assert await search.saved("acme") == [changed]
    assert not await search.forget("acme", "mine", "k2")
    assert not await search.forget("other", "mine", "k1")
    assert await search.forget("acme", "mine", "k1")
    assert await search.saved("acme") == []


async def test_a_query_that_takes_too_long_is_broken_off(
    sqlite_url: str, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "_STEPS", 1)
    search = SqlSearch(sqlite_url, Names(keyring), lambda name: name.encode(), longest=-1.0)
    try:
        with pytest.raises(Unavailable):
            await search.page(ACME, Filters(), None, 1)
    finally:
        await search.stop()
