"""Large payloads through the gateway as it runs, into a real S3 server, and out by commands."""

from __future__ import annotations

import json
import re
import shutil
import signal
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from gateway.adapters.objects import open_objects
from tests.buckets import ACCESS
from tests.houses import House, embedded

ROOM = {"GOVGATE_SERVER__BODY_LIMIT": str(32 << 20)}
LARGE = "Large words. " * 80_000
"""About the longest that one string may be."""


@dataclass
class Site:
    """A gateway whose large payloads are in a bucket."""

    house: House
    server: str
    bucket: str

    def ask(self, *contents: str, user: str = "bob") -> httpx.Response:
        messages = [{"role": "user", "content": content} for content in contents]
        body = {"model": "replay-small", "messages": messages}
        key = {"authorization": f"Bearer {self.house.key()}", "x-govgate-user": user}
        address = f"{self.house.base_url}/chat/completions"
        return httpx.post(address, json=body, headers=key, timeout=60)

    def names(self) -> list[str]:
        text = httpx.get(f"{self.server}/{self.bucket}?list-type=2").text
        return re.findall("<Key>([^<]*)</Key>", text)

    def log_key(self) -> str:
        told = self.house.run("audit", "log", "state")
        assert told.returncode == 0, told.stderr
        return told.stdout.split()[1]

    def host(self, name: str) -> Site:
        """Another host on the same bucket, with nothing on it."""
        folder = self.house.folder / name
        folder.mkdir()
        objects = {
            name: value
            for name, value in self.house.env.items()
            if name.startswith("GOVGATE_OBJECTS__")
        }
        return Site(embedded(folder, **ROOM, **objects), self.server, self.bucket)

    def texts(self, id: str) -> list[str]:
        """What can be read of an exchange."""
        shown = self.house.run("inspect", id, "--reason", "case 1", "--json")
        assert shown.returncode == 0, shown.stderr
        return [part["text"] for part in json.loads(shown.stdout)["parts"] if part["text"]]

    def verify(self, *options: str) -> Any:
        path = self.house.folder / "govgate.db"
        done = self.house.run("audit", "verify", str(path), "--log", self.log_key(), *options)
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def site(s3: str, tmp_path: Path) -> Iterator[Site]:
    bucket = f"b{uuid4().hex}"
    httpx.put(f"{s3}/{bucket}").raise_for_status()
    access = {f"GOVGATE_OBJECTS__{name.upper()}": value for name, value in ACCESS.items()}
    where = {"GOVGATE_OBJECTS__URL": f"s3://{bucket}/gov", "GOVGATE_OBJECTS__ENDPOINT": s3}
    house = embedded(tmp_path, **ROOM, **access, **where)
    house.start()
    yield Site(house, s3, bucket)
    house.stop()


def test_what_is_large_goes_the_whole_way(site: Site) -> None:
    answer = site.ask(*[LARGE] * 3)
    assert answer.status_code == 200, answer.text
    id = answer.headers["x-request-id"]
    names = site.names()
    assert names
    assert all(re.fullmatch("gov/parts/[0-9a-f]{64}", name) for name in names)
    site.house.stop()
    assert (site.house.folder / "govgate.db").stat().st_size < 1 << 20

    assert any(text.count(LARGE) == 3 for text in site.texts(id))

    code, said = site.verify()
    assert (code, f"{len(names)} payloads in object storage not checked" in said) == (3, True), said
    code, said = site.verify("--objects", f"s3://{site.bucket}/gov")
    assert (code, f"{len(names)} payloads in object storage hashed again" in said) == (0, True)
    bundle = str(site.house.folder / "all.zip")
    made = site.house.run("audit", "export", "--format", "bundle", "--out", bundle)
    assert made.returncode == 0, made.stderr
    proved = site.house.run("audit", "verify", bundle, "--log", site.log_key())
    assert (proved.returncode, "hashed again" in proved.stdout) == (0, True), proved.stdout

    bucket = open_objects(f"s3://{site.bucket}", ACCESS | {"endpoint": site.server})
    bucket.remove([names[0]])
    code, said = site.verify("--objects", f"s3://{site.bucket}/gov")
    assert code == 1
    assert "is gone" in said


def test_a_bucket_that_fails_refuses_and_nothing_stays_open(site: Site) -> None:
    assert site.ask("small").status_code == 200
    site.house.stop()
    site.house.env["GOVGATE_OBJECTS__URL"] = "s3://no-such-bucket/gov"
    site.house.start()
    assert site.ask("small").status_code == 200
    refused = site.ask(LARGE)
    assert refused.status_code == 503
    assert refused.json()["error"]["code"] == "audit_unavailable"
    site.house.stop()
    with sqlite3.connect(site.house.folder / "govgate.db") as database:
        kinds = (
            "SELECT kind, count(*) FROM audit_entry WHERE kind IN ('opened', 'closed') GROUP BY 1"
        )
        assert dict(database.execute(kinds)) == {"opened": 3, "closed": 3}
        failed = "SELECT count(*) FROM audit_entry WHERE outcome = 'failed'"
        assert database.execute(failed).fetchone() == (1,)
        assert database.execute("SELECT max(size) FROM audit_part").fetchone()[0] > 1_000_000


def test_a_kill_leaves_a_record_that_is_good(site: Site) -> None:
    assert site.ask(LARGE).status_code == 200
    site.house.stop(signal.SIGKILL)
    site.house.start()
    site.house.stop()
    code, said = site.verify("--objects", f"s3://{site.bucket}/gov")
    assert code == 0, said


def test_a_backup_comes_back_with_what_is_in_the_bucket(site: Site) -> None:
    ann, bob = (site.ask(LARGE, user=user).headers["x-request-id"] for user in ("ann", "bob"))
    names = site.names()
    copy = str(site.house.folder / "copy")
    made = site.house.run("backup", "--out", copy)
    assert made.returncode == 0, made.stderr
    site.house.stop()
    erased = site.house.run("audit", "erase", "--subject", "user:ann", "--reason", "she asked")
    assert erased.returncode == 0, erased.stderr

    host = site.host("second")
    shutil.copy(site.house.folder / "erasures.jsonl", host.house.folder)
    done = host.house.run("restore", "--from", copy)
    assert done.returncode == 0, done.stderr
    assert "payloads in object storage not checked" in done.stdout
    assert any(LARGE in text for text in host.texts(bob))
    assert all(entry.parts is None for entry in host.house.record(ann))
    code, said = host.verify("--objects", f"s3://{site.bucket}/gov")
    assert code == 0, said
    swept = host.house.run("audit", "sweep")
    assert swept.returncode == 0, swept.stderr
    assert site.names() == names

    del host.house.env["GOVGATE_OBJECTS__URL"]  # where it was forgotten, nothing is made up
    refused = host.house.run("inspect", bob, "--reason", "case 1", "--json")
    assert refused.returncode == 1
    assert "GOVGATE_OBJECTS__URL" in refused.stderr


def test_strays_are_swept_and_what_is_no_place_is_refused(site: Site) -> None:
    stray = f"{site.server}/{site.bucket}/gov/parts/{'ab' * 32}"
    httpx.put(stray, content=b"noise").raise_for_status()
    for options in (("--dry-run",), ()):
        swept = site.house.run("audit", "sweep", *options)
        assert swept.returncode == 0, swept.stderr
        assert ": 0 objects" in swept.stdout  # it is not a day old
    assert len(site.names()) == 1
    del site.house.env["GOVGATE_OBJECTS__URL"]
    refused = site.house.run("audit", "sweep")
    assert refused.returncode == 1
    assert "GOVGATE_OBJECTS__URL" in refused.stderr

    site.house.env["GOVGATE_OBJECTS__URL"] = "ftp://nowhere"
    refused = site.house.run("audit", "sweep")
    assert refused.returncode == 1
    assert "GOVGATE_OBJECTS__URL" in refused.stderr
    site.house.stop()
    code, said = site.verify("--objects", str(site.house.folder / "nowhere"))
    assert code == 2
    assert "there is no folder" in said
