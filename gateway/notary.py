"""The composition of the log: its key, its sequencer, its witnesses, its proofs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx
from litestar.handlers import HTTPRouteHandler

from gateway.adapters.anchors import Anchors, ObjectAnchor, plugged, public_name
from gateway.adapters.keyring import Keyring
from gateway.adapters.objects import SCHEMES, open_objects
from gateway.adapters.providers.wire import AiohttpTransport, Timeouts
from gateway.adapters.store.engine import open_engine
from gateway.adapters.store.journal import SqlJournal
from gateway.adapters.store.log import Log
from gateway.adapters.store.log_files import LogFiles
from gateway.adapters.store.log_keeper import LogKeeper
from gateway.adapters.store.proofs import SqlLogView
from gateway.adapters.witnesses import Witnesses
from gateway.core.anchors import Anchor
from gateway.server.callers import Callers
from gateway.server.census import POSTURE, Posture
from gateway.server.log import log_routes
from gateway.settings import Settings


@dataclass
class Notary:
    """The log, who keeps it going, and who may look at it."""

    log: Log
    view: SqlLogView
    _keeper: LogKeeper
    _client: httpx.AsyncClient

    def routes(self, callers: Callers) -> Sequence[HTTPRouteHandler]:
        """The log over HTTP."""
        return log_routes(callers.principal, self.view, {POSTURE: Posture.CONTROL})

    async def start(self) -> None:
        """Begin, once the journal has. Raises what `Log.open` raises."""
        await self._keeper.start()

    async def stop(self) -> None:
        """Stop, before the journal does."""
        await self._keeper.stop()
        await self._client.aclose()

    async def finish(self) -> None:
        """Sequence and sign what is left, after the journal has stopped; close connections."""
        await self._keeper.finish()
        await self.view.stop()
        self.log.close()


def build_notary(settings: Settings, keyring: Keyring, journal: SqlJournal) -> Notary:
    """The log over a migrated database. Nothing runs yet.

    Raises `ValueError`, which names the setting, for what is no witness or no anchor.
    """
    log = open_log(settings, keyring)
    client = httpx.AsyncClient(transport=AiohttpTransport(Timeouts()))
    try:
        witnesses = Witnesses(list(settings.ledger.witnesses.items()), client)
    except ValueError as error:
        raise ValueError(f"GOVGATE_LEDGER__WITNESSES: {error}") from None
    told = settings.ledger
    keeper = LogKeeper(
        log,
        journal.between,
        witnesses if told.witnesses else None,
        open_anchors(settings) if told.anchors else None,
    )
    return Notary(log, SqlLogView(settings.database_url, log), keeper, client)


def open_log(settings: Settings, keyring: Keyring) -> Log:
    """The log that `settings` describe. Nothing is read yet."""
    told, folder = settings.ledger, settings.data_dir
    files = LogFiles(told.key or folder / "log.key", told.state or folder / "log.state")
    origin = told.origin or f"govgate.local/{keyring.id}"
    return Log(open_engine(settings.database_url), files, origin)


def open_anchors(settings: Settings) -> Anchors:
    """The anchors that `settings` name. Raises `ValueError`, which names the setting."""
    places: dict[str, Anchor] = {}
    for url in settings.ledger.anchors:
        name = public_name(url)
        if name in places:
            raise ValueError(f"GOVGATE_LEDGER__ANCHORS: {name} is named twice")
        try:
            places[name] = _anchor(url, name, settings.objects.access)
        except ValueError as error:
            raise ValueError(f"GOVGATE_LEDGER__ANCHORS: {error}") from None
    return Anchors(places)


def _anchor(url: str, name: str, access: Mapping[str, str]) -> Anchor:
    if urlsplit(url).scheme in SCHEMES:
        return ObjectAnchor(open_objects(url, access), name)
    return plugged(url)
