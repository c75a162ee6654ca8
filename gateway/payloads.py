"""The composition of large payloads: where they are kept, and what reads and deletes them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote, urlsplit

from gateway.adapters.objects import StoredObjects, open_objects
from gateway.adapters.store.gone_objects import GoneObjects
from gateway.adapters.store.object_parts import FOLDER, digest_of
from gateway.adapters.store.stowing import Stowage
from gateway.core.objects import ObjectMissing, ObjectsError
from gateway.settings import Settings

T = TypeVar("T")


def open_payloads(settings: Settings) -> StoredObjects | None:
    """Where large payloads are; None where all are in the database.

    Raises `ValueError`, which names the setting, for a place that cannot be opened.
    """
    if settings.objects.url is None:
        return None
    try:
        return open_objects(settings.objects.url, settings.objects.access)
    except ObjectsError as error:
        raise ValueError(f"GOVGATE_OBJECTS__URL: {error}") from None


def open_stowage(settings: Settings, objects: StoredObjects | None) -> Stowage | None:
    """What puts large payloads there."""
    if objects is None:
        return None
    told = settings.objects
    return Stowage(objects, over=told.larger_than, timeout=told.timeout_seconds)


def open_gone(settings: Settings, objects: StoredObjects | None) -> GoneObjects | None:
    """What deletes objects whose payloads are gone, over a migrated database."""
    return None if objects is None else GoneObjects(settings.database_url, objects)


async def delete_gone(settings: Settings) -> int:
    """Delete the objects of payloads that were pruned or erased a day ago; how many.

    Raises `ObjectsError`, SQLAlchemy's errors.
    """
    gone = open_gone(settings, open_payloads(settings))
    if gone is None:
        return 0
    try:
        return await gone.clear(_in_a_thread)
    finally:
        gone.close()


async def _in_a_thread(work: Callable[[], T]) -> T:
    return await asyncio.to_thread(work)


def url_of(place: str) -> str:
    """A folder or a URL as a URL; the same folder is always spelled alike."""
    return place.rstrip("/") if "://" in place else Path(place).absolute().as_uri()


def reader_at(place: str, access: Mapping[str, str]) -> Callable[[str], bytes | None]:
    """Reads objects for the verifier, from a folder or `s3://bucket/prefix`.

    Raises `ObjectsError`, as what it returns does.
    """
    url = url_of(place)
    if url.startswith("file://") and not Path(unquote(urlsplit(url).path)).is_dir():
        raise ObjectsError(f"there is no folder {place}")
    objects = open_objects(url, access)

    def read(digest: str) -> bytes | None:
        name = f"{FOLDER}/{digest}"
        try:
            return objects.read(name) if digest_of(name) else None
        except ObjectMissing:
            return None

    return read
