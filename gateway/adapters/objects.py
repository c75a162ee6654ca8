"""Object storage through obstore: S3 and what speaks its API, or a folder.

Bodies carry a SHA-256 checksum, which S3 verifies, and without which it takes nothing into a
bucket with object lock.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from gateway.core.objects import ObjectDiffers, ObjectMissing, ObjectsError

SCHEMES = ("s3", "file")
_RETRIES: Any = {"max_retries": 3, "retry_timeout": timedelta(seconds=30)}


def open_objects(url: str, access: Mapping[str, str]) -> StoredObjects:
    """The objects under `s3://bucket/prefix`, or in the folder `file:///path`, which is made.

    `access` are options of S3: `endpoint`, `region`, `access_key_id`, `secret_access_key`. What
    is not given is taken from AWS's own variables. Raises `ObjectsError`, also where obstore is
    not installed.
    """
    try:
        import obstore.store as stores
        from obstore.exceptions import BaseError
    except ImportError as error:
        raise ObjectsError(
            "object storage needs obstore: install requirements/objects.txt"
        ) from error
    parts = urlsplit(url)
    path = unquote(parts.path)
    try:
        if parts.scheme == "file" and not parts.netloc and path.startswith("/"):
            folder = Path(path)
            return StoredObjects(stores.LocalStore(folder, mkdir=True), folder)
        if parts.scheme == "s3" and parts.netloc:
            plain = access.get("endpoint", "").startswith("http://")
            options: Any = {"checksum_algorithm": "SHA256", **access}
            client: Any = {"allow_http": plain}
            prefix = path.strip("/") or None
            return StoredObjects(
                stores.S3Store(
                    parts.netloc, prefix=prefix, config=options, client_options=client,
                    retry_config=_RETRIES,
                )
            )  # fmt: skip
    except (BaseError, OSError, ValueError) as error:
        raise ObjectsError(f"{url}: {_first_line(error)}") from error
    raise ObjectsError(f"{url} is no place for objects: s3://bucket/prefix, or file:///folder")


class StoredObjects:
    """Implements `Objects` and `PayloadObjects` over a store of obstore's.

    `folder` is where it keeps files, whose bytes must be told to reach the disk.
    """

    def __init__(self, store: Any, folder: Path | None = None) -> None:
        self._store = store
        self._folder = folder

    async def put(self, name: str, content: bytes) -> None:
        await self._put(name, content, "overwrite")

    async def add(self, name: str, content: bytes) -> None:
        import obstore
        from obstore.exceptions import AlreadyExistsError, BaseError

        try:
            await self._put(name, content, "create")
        except ObjectsError as error:
            if not isinstance(error.__cause__, AlreadyExistsError):
                raise
            try:
                found = await obstore.get_async(self._store, name)
                stands = bytes(await found.bytes_async())
            except (BaseError, OSError) as failure:
                raise ObjectsError(f"{name}: {_first_line(failure)}") from failure
            if stands != content:
                raise ObjectDiffers(f"{name}: something else stands there") from error

    async def names(self) -> list[str]:
        import obstore
        from obstore.exceptions import BaseError

        try:
            return [each["path"] async for some in obstore.list(self._store) for each in some]
        except (BaseError, OSError) as error:
            raise ObjectsError(f"the objects cannot be listed: {_first_line(error)}") from error

    def read(self, name: str) -> bytes:
        import obstore
        from obstore.exceptions import BaseError, NotFoundError

        try:
            return bytes(obstore.get(self._store, name).bytes())
        except (NotFoundError, FileNotFoundError) as error:
            raise ObjectMissing(f"{name}: there is no such object") from error
        except (BaseError, OSError, ValueError) as error:
            raise ObjectsError(f"{name}: {_first_line(error)}") from error

    def remove(self, names: Collection[str]) -> None:
        import obstore
        from obstore.exceptions import BaseError, NotFoundError

        for name in names:
            try:
                obstore.delete(self._store, name)
            except (NotFoundError, FileNotFoundError):
                continue
            except (BaseError, OSError) as error:
                raise ObjectsError(f"{name}: {_first_line(error)}") from error

    def listed(self, prefix: str) -> Iterator[Sequence[tuple[str, datetime]]]:
        import obstore
        from obstore.exceptions import BaseError

        try:
            for some in obstore.list(self._store, prefix):
                yield [(each["path"], each["last_modified"]) for each in some]
        except (BaseError, OSError) as error:
            raise ObjectsError(f"the objects cannot be listed: {_first_line(error)}") from error

    async def _put(self, name: str, content: bytes, mode: Any) -> None:
        import obstore
        from obstore.exceptions import BaseError

        whole = mode == "create"  # only a single request can be refused where one stands
        try:
            await obstore.put_async(
                self._store, name, content, mode=mode, use_multipart=False if whole else None
            )
        except (BaseError, OSError) as error:
            raise ObjectsError(f"{name}: {_first_line(error)}") from error
        if self._folder is not None:
            await asyncio.to_thread(_settle, self._folder, name)


def _settle(folder: Path, name: str) -> None:
    """Have a file that was put reach the disk, and its folders. Raises `ObjectsError`."""
    path = folder / name
    try:
        for each in (path, *path.parents):
            handle = os.open(each, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
            if each == folder:
                return
    except OSError as error:
        raise ObjectsError(f"{name}: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]
