"""The composition of exports: who hands records out, and where they are sent by themselves."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
from litestar.handlers import HTTPRouteHandler

from gateway.adapters.keyring import Keyring
from gateway.adapters.objects import open_objects
from gateway.adapters.packs.documents import read
from gateway.adapters.providers.ssrf import check_url, guarded
from gateway.adapters.providers.wire import AiohttpTransport, Timeouts
from gateway.adapters.routing.routes import RoutesError, reveal
from gateway.adapters.sinks.bucket import BucketSink
from gateway.adapters.sinks.file import FileSink
from gateway.adapters.sinks.shape import (
    BucketShape,
    FileShape,
    SinksError,
    SinkShape,
    SyslogShape,
    WebhookShape,
    signing_key,
    sinks_of,
)
from gateway.adapters.sinks.syslog import SyslogSink, context_of
from gateway.adapters.sinks.webhook import WebhookSink
from gateway.adapters.store.credentials import SqlCredentials
from gateway.adapters.store.followers import SqlFollowers
from gateway.adapters.store.journal import SqlJournal
from gateway.adapters.store.log_reading import SqlLogReader
from gateway.adapters.store.masked_parts import MaskedParts
from gateway.adapters.store.masked_texts import SqlMaskedTexts
from gateway.core.dialect import Dialect
from gateway.core.exports import Record, Sink, Texts
from gateway.core.objects import ObjectsError
from gateway.core.principal import Principal
from gateway.core.records import Entry, Kind
from gateway.governance.contents import LEAST_MILLI, DialectContents, Span, without
from gateway.governance.exports import MASKED, Exports
from gateway.governance.formats import FORMATS
from gateway.governance.sinks import Announce, Feed, Sinks, Write
from gateway.governance.telling import views
from gateway.inspectors.pii import scan
from gateway.payloads import open_payloads
from gateway.server.callers import Callers
from gateway.server.census import POSTURE, Posture
from gateway.server.exports import export_routes
from gateway.settings import Settings

_ITSELF = Principal("default", "operators", "gateway", "gateway:sinks")
"""Who sends when nobody told it to."""
_ENDINGS = {"cef": "cef"}
"""What names of objects end in; else `jsonl`."""


@dataclass
class Exporting:
    """Who hands records out, and what sends them on."""

    exports: Exports
    sinks: Sinks
    _reader: SqlLogReader
    _followers: SqlFollowers
    _texts: Texts

    def routes(self, callers: Callers) -> Sequence[HTTPRouteHandler]:
        """The endpoints, none of which calls a model."""
        opt = {POSTURE: Posture.CONTROL}
        return export_routes(callers.principal, self.exports, self.sinks, opt)

    def start(self) -> None:
        """Begin to send, once the journal has begun."""
        self.sinks.start()

    async def stop(self) -> None:
        """Stop sending, before the journal stops."""
        await self.sinks.stop()

    async def finish(self) -> None:
        """Close the connections."""
        await self._reader.stop()
        await self._followers.stop()
        await self._texts.stop()


def build_exporting(
    settings: Settings, keyring: Keyring, journal: SqlJournal, dialects: Mapping[str, Dialect]
) -> Exporting:
    """Exports over a migrated database. Nothing is sent yet; `dialects` read what was said.

    Raises `ValueError`, which names the setting, for sinks that cannot be built.
    """
    url = settings.database_url
    try:
        shapes = load_sinks(settings)
        sinks = {shape.name: _sink(shape, settings, keyring) for shape in shapes}
    except SinksError as error:
        raise ValueError(f"GOVGATE_SINKS: {error}") from None
    reader = SqlLogReader(url)
    followers = SqlFollowers(url, journal.between)
    texts = SqlMaskedTexts(
        url,
        MaskedParts(keyring, open_payloads(settings)),
        DialectContents(dialects.values(), _personal),
    )
    feeds: list[Feed] = []
    for shape in shapes:
        told = shape.content == MASKED
        write = _writes(shape.format, texts if told else None)
        announce = _announces(shape, journal) if told else None
        feeds.append(Feed(shape.name, sinks[shape.name], write, reader, followers, announce))
    exports = Exports(reader, journal, clean, texts)
    return Exporting(exports, Sinks(feeds, followers, reader), reader, followers, texts)


def load_sinks(settings: Settings) -> Sequence[SinkShape]:
    """The sinks file that the settings name. Raises `SinksError`."""
    path = settings.sinks
    if path is None:
        return ()
    try:
        documents = read(path, path.name)
    except ValueError as error:
        raise SinksError(str(error)) from None
    if len(documents) != 1:
        raise SinksError(f"{path.name}: holds one document")
    return sinks_of(documents[0])


def clean(text: str) -> str:
    """`text` without personal data, as far as it is found by its shape."""
    return without(text, _personal(text))


def _personal(text: str) -> list[Span]:
    """Where personal data stands in `text`."""
    least = LEAST_MILLI / 1_000
    return [Span(hit.label, hit.start, hit.end) for hit in scan(text) if hit.score >= least]


def _writes(format: str, texts: Texts | None) -> Write:
    line = FORMATS[format].line

    async def written(records: Sequence[Record]) -> Sequence[bytes]:
        return [line(view) for view in await views(records, clean, texts)]

    return written


def _announces(shape: SinkShape, journal: SqlJournal) -> Announce:
    """What puts on record that a sink gets what was said."""

    async def announce(begin: int) -> None:
        facts = {
            "of": "sink",
            "sink": shape.name,
            "format": shape.format,
            "from_leaf": begin,
            "content": MASKED,
        }
        entry = Entry(Kind.AUDIT_EXPORT, facts, {"reason": shape.reason.strip().encode()})
        await journal.note(_ITSELF, entry)

    return announce


def _sink(shape: SinkShape, settings: Settings, keyring: Keyring) -> Sink:
    """What `shape` describes. Raises `SinksError`, which names it."""
    try:
        match shape:
            case FileShape():
                path = Path(shape.path)
                if not path.parent.is_dir():
                    raise SinksError(f"there is no folder {path.parent}")
                return FileSink(path, shape.rotate_bytes)
            case SyslogShape():
                context = context_of(shape.ca, shape.certificate)
                timeout = shape.timeout_seconds
                return SyslogSink(shape.host, shape.port, context, shape.facility, timeout)
            case WebhookShape():
                return _webhook(shape, settings, keyring)
            case BucketShape():
                return BucketSink(
                    open_objects(shape.url, settings.objects.access),
                    _ENDINGS.get(shape.format, "jsonl"),
                )
    except (SinksError, RoutesError, ObjectsError, OSError, httpx.InvalidURL) as error:
        raise SinksError(f"sink {shape.name!r}: {error}") from None


def _webhook(shape: WebhookShape, settings: Settings, keyring: Keyring) -> WebhookSink:
    credentials = SqlCredentials(settings.database_url, keyring)
    try:
        secret = reveal(shape.secret, os.environ, credentials.get)
    finally:
        credentials.stop()
    key = signing_key(secret.get_secret_value())
    check_url(shape.url, allow_private=shape.allow_private)
    longest = shape.timeout_seconds
    transport = AiohttpTransport(
        Timeouts(connect=longest, first_byte=longest, idle=longest, total=longest),
        connections=1,
        open_socket=guarded(allow_private=shape.allow_private),
    )
    return WebhookSink(shape.name, shape.url, key, httpx.AsyncClient(transport=transport))
