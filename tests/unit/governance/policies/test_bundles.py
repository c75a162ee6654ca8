"""Bundles: what is in them, that the same is the same, and who is told of another when."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import io
import json
import tarfile
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.governance.policies import bundles
from gateway.governance.policies.bundles import Bundles, bundle_of

LIBRARY = {"b.rego": b"package govgate\n", "a.rego": b"package govgate\n\nx := 1\n"}
ONE = {"revision": "one", "rules": {"kind": {"r": {"é": 1}}}}
TWO = {"revision": "two", "rules": {}}
POLL = {"prefer": "modes=snapshot,delta;wait=30"}


def sign(payload: bytes) -> str:
    return f"signed:{payload.decode()}"


def opened(body: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(body), mode="r:gz") as archive:
        members = archive.getmembers()
        assert {(m.mtime, m.uid, m.gid, m.uname, m.isfile()) for m in members} == {
            (0, 0, 0, "", True)
        }
        return {m.name: file.read() for m in members if (file := archive.extractfile(m))}


def held(*packs: dict[str, Any]) -> Bundles:
    made = Bundles(LIBRARY, sign)
    for pack in packs:
        made.hold(pack["revision"], pack)
    return made


async def test_a_bundle_holds_the_library_and_every_revision() -> None:
    answer = await held(ONE, TWO).answer({})
    assert (answer.status, answer.headers["content-type"]) == (
        200, "application/vnd.openpolicyagent.bundles",
    )  # fmt: skip
    files = opened(answer.body)
    assert list(files) == [
        "/.manifest", "/.signatures.json", "/data.json", "/lib/a.rego", "/lib/b.rego",
    ]  # fmt: skip
    assert files["/lib/a.rego"] == LIBRARY["a.rego"]
    assert json.loads(files["/data.json"]) == {"packs": {"one": ONE, "two": TWO}}
    manifest = json.loads(files["/.manifest"])
    assert manifest["roots"] == ["govgate", "packs"]
    assert manifest["rego_version"] == 1


async def test_every_other_file_is_signed() -> None:
    files = opened((await held(ONE).answer({})).body)
    signatures = json.loads(files.pop("/.signatures.json"))["signatures"]
    assert len(signatures) == 1
    signed = json.loads(signatures[0].removeprefix("signed:"))["files"]
    assert signed == [
        {
            "name": name.removeprefix("/"),
            "hash": hashlib.sha256(content).hexdigest(),
            "algorithm": "SHA-256",
        }
        for name, content in files.items()
    ]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)
PACKS = st.dictionaries(st.text(max_size=4), st.dictionaries(st.text(max_size=3), JSON), max_size=3)


@given(PACKS)
def test_the_same_content_is_the_same_bytes(packs: dict[str, dict[str, Any]]) -> None:
    body = bundle_of(LIBRARY, packs, sign)
    turned = dict(reversed(list(packs.items())))
    assert bundle_of(dict(reversed(LIBRARY.items())), turned, sign) == body
    assert json.loads(opened(body)["/data.json"]) == {"packs": packs}
    assert gzip.decompress(body)[:2] == b"/."


@given(PACKS, PACKS)
def test_other_content_is_another_revision(one: dict[str, Any], two: dict[str, Any]) -> None:
    revisions = {
        json.loads(opened(bundle_of(LIBRARY, packs, sign))["/.manifest"])["revision"]
        for packs in (one, two)
    }
    same = json.dumps(one, sort_keys=True) == json.dumps(two, sort_keys=True)
    assert len(revisions) == (1 if same else 2)


async def test_who_has_it_is_not_given_it_again() -> None:
    made = held(ONE)
    first = await made.answer({})
    again = await made.answer({"if-none-match": first.headers["etag"]})
    assert (again.status, again.body) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    made.hold("two", TWO)
    other = await made.answer({"if-none-match": first.headers["etag"]})
    assert other.status == 200
    assert other.headers["etag"] != first.headers["etag"]
    both = f"{first.headers['etag']}, {other.headers['etag']}"
    assert (await made.answer({"if-none-match": both})).status == 304
    made.release("two")
    assert (await made.answer({})).body == first.body


async def test_who_polls_is_answered_when_there_is_another() -> None:
    made = held(ONE)
    etag = (await made.answer({})).headers["etag"]
    polls = [asyncio.create_task(made.answer({"if-none-match": etag, **POLL})) for _ in range(3)]
    for _ in range(5):
        await asyncio.sleep(0)
    assert not any(poll.done() for poll in polls)
    made.hold("two", TWO)
    answers = await asyncio.wait_for(asyncio.gather(*polls), 5)
    assert [answer.status for answer in answers] == [200] * 3
    assert json.loads(opened(answers[0].body)["/data.json"])["packs"].keys() == {"one", "two"}


async def test_a_change_that_is_taken_back_is_none() -> None:
    made = held(ONE)
    etag = (await made.answer({})).headers["etag"]
    poll = asyncio.create_task(made.answer({"if-none-match": etag, **POLL}))
    await asyncio.sleep(0)
    made.hold("two", TWO)
    made.release("two")
    assert (await asyncio.wait_for(poll, 5)).status == 304


async def test_a_poll_ends_when_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles, "LONGEST_WAIT", 0.01)
    made = held(ONE)
    etag = (await made.answer({})).headers["etag"]
    assert (await made.answer({"if-none-match": etag, **POLL})).status == 304


async def test_who_waits_can_be_ended_also_as_there_is_another() -> None:
    made = held(ONE)
    etag = (await made.answer({})).headers["etag"]
    waiting = asyncio.create_task(made.answer({"if-none-match": etag, **POLL}))
    await asyncio.sleep(0)  # it waits
    made.hold("two", TWO)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


@pytest.mark.parametrize("prefer", ["", "modes=snapshot", "wait=0", "wait=x", "await=5", "wait=-1"])
async def test_who_does_not_ask_to_wait_does_not(prefer: str) -> None:
    made = held(ONE)
    etag = (await made.answer({})).headers["etag"]
    answer = made.answer({"if-none-match": etag, "prefer": prefer})
    assert (await asyncio.wait_for(answer, 5)).status == 304


async def test_a_revision_stays_until_it_is_released_as_often_as_it_was_held() -> None:
    made = held(ONE, ONE)
    assert made.revisions == {"one"}
    made.release("one")
    assert made.revisions == {"one"}
    made.release("one")
    assert made.revisions == frozenset()
    with pytest.raises(KeyError):
        made.release("one")
    assert json.loads(opened((await made.answer({})).body)["/data.json"]) == {"packs": {}}


async def test_what_is_no_json_is_not_bundled() -> None:
    made = held({"revision": "odd", "share": float("nan")})
    with pytest.raises(ValueError, match="JSON"):
        await made.answer({})
