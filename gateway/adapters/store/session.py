"""The writer's connection, its place in the chain, and what it does not know for sure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

from sqlalchemy import Connection, Engine, column, select
from sqlalchemy import table as lightweight_table
from sqlalchemy.dialects import postgresql, sqlite

from gateway.adapters.store import leases
from gateway.adapters.store.batch import Batch, Item, Place, budgets_of, keys_of
from gateway.adapters.store.commit_keys import CommitKeys, KeyMemory
from gateway.adapters.store.engine import for_writing, is_poison
from gateway.adapters.store.holds import Figures, Holds, read_figures
from gateway.adapters.store.page import Page, Tail
from gateway.adapters.store.sealing import Vault
from gateway.adapters.store.statements import Cursor, Statements, cursor_of
from gateway.adapters.store.tables import SCHEMA, AuditEntry, Deployment, table

_ENTRY, _DEPLOYMENT = table(AuditEntry), table(Deployment)
_VERSION = lightweight_table("alembic_version", column("version_num"))


class WrongKeyring(RuntimeError):
    """The database's records are encrypted under another keyring."""


class Session:
    """Writes batches, one transaction each. For one thread.

    After a failure the connection is opened anew. Whether a commit that failed took effect
    is then looked up, never assumed, so that nothing is written twice and none is forgotten.
    """

    def __init__(
        self,
        engine: Engine,
        vault: Vault,
        lease: timedelta,
        erased: Callable[[], None] = lambda: None,
    ) -> None:
        """`erased` is called once a transaction has seen that keys were destroyed."""
        self._engine = for_writing(engine)
        self._vault = vault
        self._lease = lease
        self._erased = erased
        self._statements = Statements(engine.dialect)
        self._memory = KeyMemory(vault, self._statements)
        self._connection: Connection | None = None
        self._tail: Tail | None = None
        self._follows: Tail | None = None
        self._doubt: Batch | None = None
        self._open: dict[Place, int] = {}

    @property
    def connected(self) -> bool:
        return self._connection is not None

    def in_doubt(self, place: Place) -> bool:
        """Whether a commit about `place` failed and may have taken effect all the same."""
        return self._doubt is not None and place in self._doubt.standings

    def connect(self) -> None:
        """Open the connection and find out where we stand, unless that is known.

        Raises SQLAlchemy's errors, `UnsafeDatabase`, `WrongKeyring`.
        """
        if self._connection is not None:
            return
        connection = self._engine.connect()
        try:
            with connection.begin():
                if self._tail is None:
                    bind_keyring(connection, self._vault.id)
                    self._tail, self._follows = leases.begin_epoch(connection, self._lease)
                else:
                    self._tail = leases.read_tail(connection, self._tail.epoch)
                    self._resolve_doubt(connection)
        except BaseException:
            connection.invalidate()
            connection.close()
            raise
        self._connection = connection

    def write(self, items: Sequence[Item]) -> Batch:
        """Write `items` in one commit. Durable on return; each has its result in the batch.

        Raises SQLAlchemy's errors: then no result stands.
        """
        try:
            return self._write(items)
        except leases.Fenced:
            self._begin_again()
            return self._write(items)

    def _write(self, items: Sequence[Item]) -> Batch:
        with self._batch_transaction() as cursor:
            holds = Holds.lock(cursor, self._statements, budgets_of(items))
            keys = CommitKeys(self._memory)
            keys.fetch(cursor, *keys_of(items))
            batch = Batch(self._vault, keys, self._page(), holds)
            batch.place(items)
            batch.write(cursor)
            self._doubt = batch
        self._settle_doubt(batch)
        return batch

    def recover(self) -> int:
        """Close what dead writers left open; the number of exchanges."""
        try:
            return self._recover()
        except leases.Fenced:
            self._begin_again()
            return self._recover()

    def _recover(self) -> int:
        page = self._page()
        with self._transaction() as (connection, cursor):
            count = leases.recover(connection, self._statements, page)
            page.write(cursor)
        self._tail = page.tail
        return count

    def keep_alive(self, budget_ids: Collection[str], *, renew: bool) -> dict[str, Figures]:
        """Read these budgets; on `renew`, extend the lease."""
        try:
            with self._transaction() as (connection, _):
                if renew:
                    leases.renew(connection, self.epoch, self._lease, self._open_from())
                return read_figures(connection, budget_ids)
        except leases.Fenced:
            self._begin_again()
            return {}

    def end(self) -> None:
        """Give the lease up and hang up. Never raises: what is left open will be recovered."""
        try:
            if self._connection is not None:
                with self._transaction() as (connection, _):
                    leases.renew(connection, self.epoch, timedelta(0), self._open_from())
        except Exception:  # noqa: BLE001, S110 - the lease lapses by itself
            pass
        self.drop()

    def drop(self) -> None:
        """Hang up, so that the next `connect` begins afresh."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()
            connection.close()

    @property
    def epoch(self) -> str:
        """The id of this writer."""
        return self._known_tail().epoch

    @contextmanager
    def _transaction(self) -> Iterator[tuple[Connection, Cursor]]:
        """A transaction of a writer that is alive. What fails but for its rows hangs up."""
        self.connect()
        assert self._connection is not None
        with self._hanging_up(), self._connection.begin():
            cursor = cursor_of(self._connection)
            self._look_around(cursor)
            yield self._connection, cursor

    @contextmanager
    def _batch_transaction(self) -> Iterator[Cursor]:
        """The same for a batch, on the driver itself: through SQLAlchemy, to begin and to
        commit takes longer than to insert the rows."""
        self.connect()
        assert self._connection is not None
        driver = self._connection.connection
        cursor: Cursor = driver.cursor()
        with self._hanging_up():
            try:
                self._statements.begin(cursor)
                self._look_around(cursor)
                yield cursor
                self._engine.dialect.do_commit(driver)
            except BaseException:
                self._engine.dialect.do_rollback(driver)
                raise

    def _look_around(self, cursor: Cursor) -> None:
        """Raises `Fenced` unless we may write; forgets keys where any were destroyed."""
        if self._memory.note(leases.check_alive(cursor, self._statements, self.epoch)):
            self._erased()

    @contextmanager
    def _hanging_up(self) -> Iterator[None]:
        try:
            yield
        except leases.Fenced:
            raise
        except BaseException as error:
            if is_poison(error):
                self._doubt = None
            else:
                self.drop()
            raise

    def _begin_again(self) -> None:
        """Become a new writer: what the old one had open is closed as lost."""
        self.connect()
        assert self._connection is not None
        with self._connection.begin():
            tail, follows = leases.begin_epoch(self._connection, self._lease)
        self._tail, self._follows = tail, follows
        self._open.clear()

    def _page(self) -> Page:
        return Page(self._statements, self._known_tail(), self._follows)

    def _known_tail(self) -> Tail:
        if self._tail is None:
            raise RuntimeError("the session was never connected")
        return self._tail

    def _resolve_doubt(self, connection: Connection) -> None:
        batch, self._doubt = self._doubt, None
        if batch is None or batch.page.last_entry_id is None:
            return
        written = select(_ENTRY.c.entry_id).where(_ENTRY.c.entry_id == batch.page.last_entry_id)
        if connection.execute(written).one_or_none() is not None:
            self._settle_doubt(batch)

    def _settle_doubt(self, batch: Batch) -> None:
        self._doubt = None
        self._tail = batch.page.tail
        batch.commit_standings()
        for place, standing in batch.standings.items():
            if standing.closed is None:
                self._open.setdefault(place, standing.seq)
            else:
                self._open.pop(place, None)

    def _open_from(self) -> int:
        return next(iter(self._open.values()), self._known_tail().seq + 1)


def bind_keyring(connection: Connection, keyring_id: str) -> None:
    """Bind the database to a keyring, once. Raises `WrongKeyring` for any other later."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    first = insert(_DEPLOYMENT).values(id=1, keyring_id=keyring_id).on_conflict_do_nothing()
    connection.execute(first)
    bound = connection.execute(select(_DEPLOYMENT.c.keyring_id)).scalar_one()
    if bound != keyring_id:
        raise WrongKeyring(f"records need keyring {bound}, not {keyring_id}")


def check_schema(engine: Engine) -> None:
    """Raises `RuntimeError` unless the database has the tables of this version."""
    with engine.connect() as connection:
        found = None
        if engine.dialect.has_table(connection, "alembic_version"):
            found = connection.execute(select(_VERSION.c.version_num)).scalar()
    if found != SCHEMA:
        raise RuntimeError(
            f"the database's tables are at version {found}, not {SCHEMA}: run `govgate migrate`"
        )


def bound_keyring(engine: Engine) -> str | None:
    """The id of the keyring that a migrated database's records are encrypted under."""
    with engine.connect() as connection:
        bound: str | None = connection.execute(select(_DEPLOYMENT.c.keyring_id)).scalar()
        return bound
