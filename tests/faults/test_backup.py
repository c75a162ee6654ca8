"""Backups under load, and what comes back: proved, and nothing that was erased."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import httpx
import pytest
from sqlalchemy import create_engine, make_url, text

from gateway.adapters.store.copies import CopyError, copy_in
from tests.databases import Cluster
from tests.houses import House, settings_of


class Site:
    """A gateway that can be backed up, and hosts on which it comes back."""

    def __init__(self, kind: str, folder: Path, cluster: Cluster | None) -> None:
        self.kind, self.folder, self.cluster = kind, folder, cluster
        self.house = self.host("first")

    def host(self, name: str) -> House:
        """A host with nothing on it."""
        folder = self.folder / name
        folder.mkdir()
        url = f"sqlite:///{folder / 'govgate.db'}"
        if self.cluster is not None:
            url = self.cluster.create(Cluster.EMPTY)
        return House(folder, url, settings_of(folder, url, GOVGATE_DATABASE__LEASE_SECONDS="1"))

    def backup(self, name: str, *options: str) -> Path:
        to = self.folder / name
        done = self.house.run("backup", "--out", str(to), *options)
        assert done.returncode == 0, done.stderr
        return to


@pytest.fixture(params=["sqlite", "postgresql"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    kind = str(request.param)
    cluster = request.getfixturevalue("cluster") if kind == "postgresql" else None
    found = Site(kind, tmp_path, cluster)
    found.house.start()
    yield found
    found.house.stop()


def test_a_backup_under_load_comes_back_on_an_empty_host(site: Site) -> None:
    first = ask(site.house, "before").headers["x-request-id"]
    ending = Event()

    def load() -> int:
        count = 0
        while not ending.is_set():
            assert ask(site.house, f"meanwhile {count}").status_code == 200
            count += 1
        return count

    with ThreadPoolExecutor(1) as threads:
        loading = threads.submit(load)
        try:
            copy = site.backup("copy")
        finally:
            ending.set()
        assert loading.result()
    manifest = json.loads((copy / "manifest.json").read_text())
    assert manifest["database"] == site.kind
    host = site.host("second")
    done = host.run("restore", "--from", str(copy))
    assert done.returncode == 0, done.stderr
    assert "good: root" in done.stdout
    assert host.facts(first)["outcome"] == "completed"
    host.start()
    try:
        host.key("--team", "afterwards")
        assert ask(host, "after").status_code == 200
    finally:
        host.stop()
    again = host.run("restore", "--from", str(copy))
    assert again.returncode == 1
    assert "--force" in again.stderr


def test_an_older_backup_is_noticed_and_gone_on_with(site: Site) -> None:
    house = site.house
    ask(house, "one")
    copy = site.backup("copy", "--passphrase-file", secret(site))
    for number in range(3):
        ask(house, f"lost {number}")
    running = house.run("restore", "--from", str(copy), "--force", *given(site))
    assert running.returncode == 1
    assert "stop it" in running.stderr
    house.stop()
    old_key = house.run("audit", "log", "state").stdout.split()[1]
    bare = house.run("restore", "--from", str(copy), "--force")
    assert "--passphrase-file" in bare.stderr
    done = house.run("restore", "--from", str(copy), "--force", *given(site))
    assert done.returncode == 1
    assert "good: root" in done.stdout
    assert "audit log restored" in done.stderr
    said = house.run("audit", "log", "restored", "--reason", "the disk died")
    assert said.returncode == 0, said.stderr
    new_key = house.run("audit", "log", "state").stdout.split()[1]
    proved = house.run("audit", "verify", house.database_url, "--log", old_key, "--log", new_key)
    assert proved.returncode == 0, proved.stdout
    house.start()
    assert ask(house, "on it goes").status_code == 200


def test_what_was_erased_stays_erased(site: Site) -> None:
    house = site.house
    exchange_id = ask(house, "secret of mine", user="ann").headers["x-request-id"]
    copy = site.backup("copy")
    house.stop()
    erased = house.run("audit", "erase", "--subject", "user:ann", "--reason", "she asked")
    assert "erased: " in erased.stdout, erased.stderr
    done = house.run("restore", "--from", str(copy), "--force")
    assert "good: root" in done.stdout, done.stderr
    assert all(entry.parts is None for entry in house.record(exchange_id))
    host = site.host("second")
    shutil.copy(house.folder / "erasures.jsonl", host.folder)
    done = host.run("restore", "--from", str(copy))
    assert "good: root" in done.stdout, done.stderr
    assert all(entry.parts is None for entry in host.record(exchange_id))


def test_a_damaged_backup_changes_nothing(site: Site) -> None:
    copy = site.backup("copy")
    with (copy / "database").open("r+b") as file:
        file.seek(2_000)
        file.write(b"\x00damaged\x00")
    host = site.host("second")
    done = host.run("restore", "--from", str(copy))
    assert done.returncode == 1
    assert "damaged or replaced" in done.stderr
    assert not [path.name for path in host.folder.iterdir()]


def test_another_kind_of_database_is_refused(tmp_path: Path, cluster: Cluster) -> None:
    site = Site("sqlite", tmp_path, None)
    site.house.key()
    copy = site.backup("copy")
    (tmp_path / "other").mkdir()
    host = Site("postgresql", tmp_path / "other", cluster).house
    done = host.run("restore", "--from", str(copy))
    assert done.returncode == 1
    assert "it is of sqlite" in done.stderr


def test_a_failed_restore_leaves_what_was_there(cluster: Cluster, tmp_path: Path) -> None:
    url = cluster.create()
    bad = tmp_path / "bad"
    bad.write_bytes(b"PGDMP no dump")
    with pytest.raises(CopyError, match="pg_restore failed"):
        copy_in(bad, url, replace=True)
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    with engine.connect() as connection:
        assert connection.execute(text("SELECT size FROM log_head")).scalar_one() == 0
    engine.dispose()


def ask(house: House, text: str, user: str = "bob") -> httpx.Response:
    return httpx.post(
        f"{house.base_url}/chat/completions",
        json={"model": "replay-small", "messages": [{"role": "user", "content": text}]},
        headers={"authorization": f"Bearer {house.key()}", "x-govgate-user": user},
        timeout=30,
    )


def secret(site: Site) -> str:
    path = site.folder / "passphrase"
    path.write_text("correct horse\n")
    return str(path)


def given(site: Site) -> tuple[str, str]:
    return "--passphrase-file", secret(site)
