"""A sinks file: typed, and wrong in words that name the place."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from gateway.adapters.packs.documents import read
from gateway.adapters.sinks.shape import (
    BucketShape,
    FileShape,
    SinksError,
    SyslogShape,
    WebhookShape,
    signing_key,
    sinks_of,
)

GOOD = """\
sinks:
  - {name: archive, kind: file, path: records.jsonl}
  - {name: siem, kind: syslog, host: siem.example.org}
  - name: hook
    kind: webhook
    url: https://hook.example.org/records
    secret: {env: HOOK_SECRET}
  - {name: lake, kind: s3, url: "s3://records/gov"}
"""


TOLD = "content: masked, reason: monitoring"


def parsed(folder: Path, text: str) -> object:
    path = folder / "sinks.yaml"
    path.write_text(text)
    (document,) = read(path, path.name)
    return sinks_of(document)


def test_each_kind_is_read(tmp_path: Path) -> None:
    archive, siem, hook, lake = parsed(tmp_path, GOOD)  # type: ignore[misc]
    assert isinstance(archive, FileShape)
    assert isinstance(siem, SyslogShape)
    assert isinstance(hook, WebhookShape)
    assert isinstance(lake, BucketShape)
    assert (lake.url, lake.format) == ("s3://records/gov", "jsonl")
    assert (archive.format, siem.format, siem.port, hook.allow_private) == (
        "jsonl", "cef", 6514, False,
    )  # fmt: skip


def test_content_is_sent_only_where_it_is_asked_for(tmp_path: Path) -> None:
    lines = GOOD.replace("path: records.jsonl", f"path: a, {TOLD}")
    archive, siem, hook, lake = parsed(tmp_path, lines)  # type: ignore[misc]
    assert (archive.content, archive.reason) == ("masked", "monitoring")
    assert {siem.content, hook.content, lake.content} == {"none"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GOOD.replace("kind: file", "kind: s3"), "sinks.yaml:2"),
        (GOOD.replace("https://", "http://"), "sinks[2].webhook.url"),
        (GOOD.replace("{env: HOOK_SECRET}", "clear"), "name where it is kept"),
        (GOOD.replace("{env: HOOK_SECRET}", "{env: A, file: b}"), "exactly one of"),
        (GOOD.replace("name: siem", "name: archive"), "'archive' is there twice"),
        (GOOD.replace("path: records.jsonl", "path: a, content: raw"), "content"),
        (GOOD.replace("path: records.jsonl", "path: a, content: masked"), "give one"),
        (GOOD.replace("path: records.jsonl", "path: a, content: masked, reason: ' '"), "give one"),
        (GOOD.replace("path: records.jsonl", f"path: a, {TOLD}, format: otel"), "jsonl only"),
        (GOOD.replace("host: siem.example.org", f"host: a, {TOLD}, format: jsonl"), "syslog"),
        (GOOD.replace("path: records.jsonl", "path: a, verify: false"), "verify"),
        (GOOD.replace("host: siem.example.org", "host: a, port: 0"), "port"),
        ("sinks: {}", "sinks"),
        ("other: []", "sinks"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SinksError) as wrong:
        parsed(tmp_path, text)
    assert said in str(wrong.value)
    assert "clear" not in str(wrong.value)


def test_a_webhooks_secret_is_base64_and_long_enough() -> None:
    key = bytes(range(32))
    text = base64.b64encode(key).decode()
    assert signing_key(text) == signing_key(f"whsec_{text}") == key
    for bad in ("whsec_!!!", "c2hvcnQ="):
        with pytest.raises(SinksError):
            signing_key(bad)
