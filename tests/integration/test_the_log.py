"""The log over the wire: receipts, proofs, tiles; and the verifier over a served database."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import httpx

from gateway.core.merkle import Frontier, verify_consistency
from gateway.core.note_keys import Verifier
from gateway.core.notes import Checkpoint, Proof, opened
from tests.houses import House
from tests.integration.scenes import ask

WAIT = 20.0
"""Seconds; a bound for a broken log, not a measure."""


def get(column: House, path: str, key: str | None = None) -> httpx.Response:
    held = {"authorization": f"Bearer {key or column.key()}"}
    return httpx.get(f"http://127.0.0.1:{column.port}/api/v1/log{path}", headers=held)


def until(seen: Callable[[], Any]) -> Any:
    """What `seen` gives, once it gives something."""
    deadline = time.monotonic() + WAIT
    while not (found := seen()):
        assert time.monotonic() < deadline, "the log did not go on"
        time.sleep(0.05)
    return found


def proof_of(column: House, id: str) -> Proof:
    def seen() -> Proof | None:
        answer = get(column, f"/proof/{id}")
        return Proof.parse(answer.text) if answer.status_code == 200 else None

    found: Proof = until(seen)
    return found


def log_key(column: House) -> Verifier:
    return Verifier.decoded(get(column, "").json()["vkey"])


def test_a_receipt_is_proved(column: House) -> None:
    answer = ask(column, "Hello there.")
    leaf = bytes.fromhex(answer.headers["x-govgate-leaf"])
    proof = proof_of(column, leaf.hex())
    checkpoint = proof.verify(leaf, log_key(column))
    assert checkpoint.size > proof.index
    same = proof_of(column, answer.headers["x-request-id"])
    same.verify(leaf, log_key(column))


def test_another_organisation_is_not_told(column: House) -> None:
    answer = ask(column, "Hello there.")
    leaf = answer.headers["x-govgate-leaf"]
    proof_of(column, leaf)
    stranger = get(column, f"/proof/{leaf}", column.key("--org", "other"))
    assert stranger.status_code == 404
    assert get(column, "/proof/nothing").status_code == 404


def test_nobody_without_a_key_is_told(column: House) -> None:
    for path in ("", "/checkpoint", "/tile/0/000", "/proof/x", "/consistency?old=0&new=1"):
        url = f"http://127.0.0.1:{column.port}/api/v1/log{path}"
        assert httpx.get(url).status_code == 401


def test_a_log_that_grew_is_consistent(column: House) -> None:
    proof_of(column, ask(column, "One.").headers["x-request-id"])
    key = log_key(column)
    old = Checkpoint.parse(opened(get(column, "/checkpoint").text, [key]).text)
    proof_of(column, ask(column, "Two.").headers["x-request-id"])
    new = Checkpoint.parse(opened(get(column, "/checkpoint").text, [key]).text)
    assert new.size > old.size
    told = get(column, f"/consistency?old={old.size}&new={new.size}").json()
    hashes = [bytes.fromhex(each) for each in told["hashes"]]
    verify_consistency(old.size, old.root, new.size, new.root, hashes)
    assert get(column, f"/consistency?old={new.size}&new={old.size}").status_code == 404
    assert get(column, "/consistency?old=x&new=1").status_code == 400


def test_the_tree_can_be_built_from_its_tiles(column: House) -> None:
    proof_of(column, ask(column, "Hello there.").headers["x-request-id"])
    checkpoint = Checkpoint.parse(opened(get(column, "/checkpoint").text, [log_key(column)]).text)
    frontier = Frontier()
    for number in range((checkpoint.size + 255) // 256):
        width = min(256, checkpoint.size - number * 256)
        part = "" if width == 256 else f".p/{width}"
        tile = get(column, f"/tile/0/{number:03}{part}").content
        for at in range(0, len(tile), 32):
            frontier.append(tile[at : at + 32])
    assert frontier.root() == checkpoint.root
    for wrong in ("0/000.p/0", "0/000.p/256.p/1", "0/999", "64/000", "0/0", "x"):
        assert get(column, f"/tile/{wrong}").status_code == 404


def test_a_served_database_verifies(column: House) -> None:
    proof_of(column, ask(column, "Hello there.").headers["x-request-id"])
    key = log_key(column).encoded()
    done = column.run("audit", "verify", column.database_url, "--log", key, "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 0, report
    assert report["good"]
    assert report["signed"] <= report["entries"]
    shown = column.run("audit", "log", "state")
    assert key in shown.stdout
    assert column.run("audit", "log", "checkpoint").stdout.splitlines()[0] == log_key(column).name
