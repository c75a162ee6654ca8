"""The index: made from the log, the same in whatever steps, and by one process at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, NoReturn

import orjson
import pytest
from sqlalchemy import delete, insert, select, update

from gateway.adapters.keyring import Keyring
from gateway.adapters.store import indexer as module
from gateway.adapters.store.engine import for_writing, open_engine
from gateway.adapters.store.index_keeper import IndexKeeper
from gateway.adapters.store.index_writing import forget, scrub
from gateway.adapters.store.indexer import Indexer
from gateway.adapters.store.log_tables import Follower, LogLeaf
from gateway.adapters.store.masked_parts import MaskedParts
from gateway.adapters.store.naming import Names
from gateway.adapters.store.queries import SqlSearch
from gateway.adapters.store.search_tables import ExchangeIndex, ExchangeTag
from gateway.adapters.store.sequencer import sequence
from gateway.adapters.store.tables import AuditEntry, Deployment, RecordKey, table
from gateway.auditing import personal
from gateway.core.audit import Filters, Scope
from gateway.core.ids import new_id
from gateway.core.money import Money
from gateway.core.principal import Principal
from gateway.core.records import Entry, Kind
from gateway.governance.contents import DialectContents
from gateway.wiring import DIALECTS
from tests.contracts.journals import SqlLedger
from tests.databases import Database

ACME = Scope("acme")
WHO = Principal("acme", "red", "shop", "k1")


def request_of(text: str) -> bytes:
    return orjson.dumps({"model": "m", "messages": [{"role": "user", "content": text}]})


def answer_of(text: str) -> bytes:
    message = {"role": "assistant", "content": text}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    return orjson.dumps({"id": "chatcmpl-1", "object": "chat.completion", "choices": choices})


async def exchange(
    ledger: SqlLedger, text: str, *, ends: bool = True, action: str = "chat.completions.create",
    session: str | None = None,
) -> str:  # fmt: skip
    """One exchange on record; its id."""
    id = new_id("exc")
    facts = {"action": action, "model": "m", "stream": False}
    parts = {"request_received": request_of(f"{text} received")}
    if session is not None:
        parts["attributes"] = orjson.dumps({"x-govgate-session-id": session})
    opened = Entry(Kind.OPENED, facts, parts)
    record = ledger.journal.begin(id, WHO, opened)
    decision = {"id": f"dec_{id}", "revision": "r1", "effect": "allow", "rules": ["rule.a"]}
    sent = {
        "attempt": 1, "model": "m", "upstream": "p", "upstream_model": "m-1", "findings": [],
        "findings_count": 0, "unavailable": [], "decision": {**decision, "obligations": []},
    }  # fmt: skip
    await record.append(Entry(Kind.ATTEMPT, sent, {"request_sent": request_of(f"{text} sent")}))
    if ends:
        closed = {"outcome": "completed", "code": None, "labels": ["internal"], "elapsed_us": 5}
        parts = {"answer_received": answer_of(f"{text} answered")}
        await record.close(Entry(Kind.CLOSED, closed, parts), Money(0))
    return id


class House:
    """A ledger, its log, and what indexes it."""

    def __init__(self, database: Database, keyring: Keyring, ledger: SqlLedger) -> None:
        self.database, self.keyring, self.ledger = database, keyring, ledger
        self.engine = open_engine(database.url)
        self.search = SqlSearch(database.url, Names(keyring), lambda name: name.encode())
        self.indexer = self.another()

    def another(self) -> Indexer:
        contents = DialectContents(DIALECTS.values(), personal)
        parts = MaskedParts(self.keyring)
        return Indexer(self.database.url, parts, contents, self.keyring.index_key)

    def log(self) -> None:
        """Give what was written its places in the log."""
        with for_writing(self.engine).begin() as connection:
            while sequence(connection):
                pass

    def index(self) -> None:
        self.log()
        while self.indexer.step():
            pass

    def rows(self) -> Sequence[Any]:
        """Everything in the index."""
        with self.engine.begin() as connection:
            index, tag = table(ExchangeIndex), table(ExchangeTag)
            rows = connection.execute(select(index).order_by(index.c.number)).all()
            tags = sorted(map(tuple, connection.execute(select(tag))))
            number = "rowid" if self.database.kind == "sqlite" else "number"
            words = f"SELECT {number}, words FROM exchange_text ORDER BY 1"
            return [*map(tuple, rows), *tags, *map(tuple, connection.exec_driver_sql(words))]

    async def said(self, text: str) -> list[str]:
        page = await self.search.page(ACME, Filters(text=text), None, 100)
        return [one.exchange_id for one in page.exchanges]

    def change(self, *statements: Any) -> None:
        with for_writing(self.engine).begin() as connection:
            for statement in statements:
                connection.execute(statement)


@pytest.fixture
async def house(database: Database, keyring: Keyring) -> AsyncIterator[House]:
    async with SqlLedger.on(database.url, keyring) as ledger:
        house = House(database, keyring, ledger)
        yield house
        house.indexer.stop()
        await house.search.stop()
        house.engine.dispose()


async def test_what_was_sent_and_answered_is_searched(house: House) -> None:
    id = await exchange(house.ledger, "porcupines")
    house.index()
    assert await house.said('"porcupines sent"') == [id]
    assert await house.said('"porcupines answered"') == [id]
    assert await house.said("received") == []  # what left was masked; what came was not
    listed = await house.search.listed(ACME, id)
    assert listed is not None
    assert (listed.provider, listed.served_model, listed.effect) == ("p", "m-1", "allow")
    assert listed.tags == {"label": ["internal"], "rule": ["rule.a"]}
    assert await house.search.find("acme", "chatcmpl-1") == id
    assert await house.search.find("other", "chatcmpl-1") is None


async def test_an_exchange_is_there_while_it_runs(house: House) -> None:
    id = await exchange(house.ledger, "porcupines", ends=False)
    house.index()
    page = await house.search.page(ACME, Filters(open=True), None, 10)
    assert [(one.exchange_id, one.outcome) for one in page.exchanges] == [(id, None)]
    assert await house.said("porcupines") == []


async def test_what_only_discovers_is_hidden(house: House) -> None:
    id = await exchange(house.ledger, "porcupines", action="messages.count_tokens")
    house.index()
    for hidden, found in ((False, []), (True, [id])):
        page = await house.search.page(ACME, Filters(hidden=hidden), None, 10)
        assert [one.exchange_id for one in page.exchanges] == found


async def test_no_session_slips_into_another(house: House) -> None:
    """A caller may call a session what lists show for somebody else's."""
    mine = await exchange(house.ledger, "one", session="call 7")
    house.index()
    mark = (await house.search.session(ACME, "call 7")).session
    other = await exchange(house.ledger, "two", session=mark)
    house.index()
    listed = await house.search.listed(ACME, other)
    assert listed is not None
    assert listed.session != mark
    for asked, found in (("call 7", [mine]), (mark, [mine]), (listed.session or "", [other])):
        turns = (await house.search.session(ACME, asked)).turns
        assert [one.exchange_id for one in turns] == found
        page = await house.search.page(ACME, Filters(session=(asked,)), None, 10)
        assert {one.exchange_id for one in page.exchanges} == set(found)


async def test_the_index_does_not_depend_on_its_steps(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH", 1)
    for number in range(4):
        await exchange(house.ledger, f"word{number}", ends=number % 2 == 0)
        house.index()
    slowly = house.rows()
    monkeypatch.undo()
    house.indexer.rebuild()
    assert house.rows() == []
    assert house.indexer.behind() == 10
    house.index()
    assert (house.rows(), house.indexer.behind()) == (slowly, 0)


async def test_an_end_may_be_in_the_log_before_its_beginning(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another writer, whose clock is behind, closed it as lost."""
    monkeypatch.setattr(module, "BATCH", 1)
    id = await exchange(house.ledger, "porcupines")
    entry, leaf = table(AuditEntry), table(LogLeaf)
    with for_writing(house.engine).begin() as connection:
        rows = connection.execute(select(entry).order_by(entry.c.writer_seq.desc())).all()
        placed = [
            {"leaf_index": index, "entry_id": row.entry_id, "leaf_hash": row.leaf_hash}
            for index, row in enumerate(rows)
        ]
        connection.execute(insert(leaf), [{"org_id": "default", **one} for one in placed])
    while house.indexer.step():
        pass
    listed = await house.search.listed(ACME, id)
    assert listed is not None
    assert listed.outcome == "completed"
    assert await house.said("porcupines") == [id]


async def test_one_process_at_a_time(house: House) -> None:
    await exchange(house.ledger, "one")
    house.log()
    other = house.another()
    assert house.indexer.step() == 3
    await exchange(house.ledger, "two")
    house.log()
    assert other.step() == 0
    assert other.behind() == 3
    house.indexer.stop()
    assert other.step() == 3
    other.stop()


async def test_a_step_that_another_made_first_is_not_made_again(house: House) -> None:
    await exchange(house.ledger, "one")
    house.log()
    prepared = house.indexer.prepare()
    assert prepared is not None
    assert house.indexer.step() == 3
    assert house.indexer.write(prepared) == 0


async def test_what_is_erased_meanwhile_is_not_written(house: House) -> None:
    id = await exchange(house.ledger, "porcupines")
    house.log()
    prepared = house.indexer.prepare()
    assert prepared is not None
    key, deployment = table(RecordKey), table(Deployment)
    house.change(
        delete(key).where(key.c.exchange_id == id),
        update(deployment).values(erasures=deployment.c.erasures + 1),
    )
    assert house.indexer.write(prepared) == 0
    house.index()
    assert await house.said("porcupines") == []
    assert await house.search.listed(ACME, id) is not None


async def test_what_was_altered_is_not_searched(house: House) -> None:
    await exchange(house.ledger, "bad")
    good = await exchange(house.ledger, "good")
    entry = table(AuditEntry)
    with for_writing(house.engine).begin() as connection:
        first = connection.execute(select(entry).order_by(entry.c.writer_seq)).first()
        assert first is not None
        key = table(RecordKey)
        wrong = update(key).where(key.c.exchange_id == first.exchange_id)
        connection.execute(wrong.values(wrapped=b"x" * 60))
    house.index()
    assert await house.said("good") == [good]
    assert await house.said("bad") == []
    page = await house.search.page(ACME, Filters(), None, 10)
    assert len(page.exchanges) == 2


async def test_what_is_forgotten_leaves_no_word(house: House) -> None:
    gone = await exchange(house.ledger, "porcupines")
    kept = await exchange(house.ledger, "hedgehogs")
    house.index()
    with for_writing(house.engine).begin() as connection:
        connection.exec_driver_sql(
            "PRAGMA secure_delete=ON" if house.database.kind == "sqlite" else "SELECT 1"
        )
        forget(connection, [gone])
        forget(connection, [gone])
    more = True
    while more:
        with for_writing(house.engine).begin() as connection:
            more = scrub(connection)
    assert await house.said("porcupines") == []
    assert await house.search.find("acme", f"dec_{gone}") is None
    assert await house.said("hedgehogs") == [kept]
    if house.database.kind == "sqlite":
        with house.engine.connect() as connection:
            stored = connection.exec_driver_sql("SELECT block FROM exchange_text_data").scalars()
            assert not [block for block in stored if b"porcupines" in block]


async def test_without_text_nothing_of_a_payload_is_kept(house: House) -> None:
    bare = Indexer(house.database.url, MaskedParts(house.keyring), None, house.keyring.index_key)
    id = await exchange(house.ledger, "porcupines")
    house.log()
    assert bare.step() == 3
    bare.stop()
    assert await house.said("porcupines") == []
    assert await house.search.find("acme", "chatcmpl-1") is None
    assert await house.search.find("acme", f"dec_{id}") == id


async def once(work: Callable[[], Any]) -> Any:
    return work()


async def test_a_keeper_finishes_what_is_left(house: House) -> None:
    keeper = IndexKeeper(house.another(), once)
    id = await exchange(house.ledger, "porcupines")
    house.log()
    await keeper.stop()
    await keeper.finish()
    assert await house.said("porcupines") == [id]


async def test_a_keeper_says_why_it_cannot(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Indexer) -> NoReturn:
        raise RuntimeError("private words")

    monkeypatch.setattr(Indexer, "prepare", broken)
    waiting: list[float] = []

    async def enough(seconds: float) -> None:
        waiting.append(seconds)
        raise RuntimeError("enough")

    monkeypatch.setattr("gateway.adapters.store.index_keeper.asyncio.sleep", enough)
    keeper = IndexKeeper(house.another(), _nothing)
    with pytest.raises(RuntimeError, match="enough"):
        await keeper._keep()
    follower = table(Follower)
    with house.engine.begin() as connection:
        assert connection.execute(select(follower.c.failed)).scalar_one() == "RuntimeError"
    await keeper.finish(index=False)
    assert waiting == [5.0]


def _nothing(work: Callable[[], Any]) -> Awaitable[Any]:
    return once(work)
