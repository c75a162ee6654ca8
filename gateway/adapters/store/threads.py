"""Short transactions off the event loop, for what is not the ledger's own thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from sqlalchemy.exc import SQLAlchemyError

from gateway.adapters.store.engine import for_writing, open_engine, unavailable

T = TypeVar("T")


class Threads:
    """Two threads with connections of their own to the database at `url`."""

    def __init__(self, url: str, name: str, patience: float) -> None:
        self.engine = open_engine(url, patience)
        self._pool = ThreadPoolExecutor(2, name)

    async def run(self, work: Callable[..., T], *arguments: object, writes: bool = False) -> T:
        """`work(connection, *arguments)` in a transaction. Raises `Unavailable`."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._pool, partial(self._transaction, work, arguments, writes)
        )

    async def stop(self) -> None:
        """Close the connections, once what runs has ended."""
        await asyncio.to_thread(self._pool.shutdown)
        self.engine.dispose()

    def _transaction(
        self, work: Callable[..., T], arguments: tuple[object, ...], writes: bool
    ) -> T:
        engine = for_writing(self.engine) if writes else self.engine
        try:
            with engine.begin() as connection:
                return work(connection, *arguments)
        except SQLAlchemyError as error:
            raise unavailable(error) from error
