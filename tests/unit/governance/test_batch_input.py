"""An input file is read whole or not at all, and what is wrong is said by line."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.governance import batch_input
from gateway.governance.batch_input import read_lines

CHAT = "/v1/chat/completions"


def line(custom_id: Any = "a", **more: Any) -> dict[str, Any]:
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    return {"custom_id": custom_id, "method": "POST", "url": CHAT, "body": body} | more


def written(*lines: Any) -> bytes:
    return b"\n".join(json.dumps(each).encode() for each in lines)


def test_lines_are_numbered_and_keep_their_bodies() -> None:
    lines, faults = read_lines(written(line("a"), line("b")) + b"\n\n", CHAT)
    assert not faults
    assert [(each.index, each.custom_id) for each in lines] == [(0, "a"), (1, "b")]
    assert json.loads(lines[0].body) == line()["body"]


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        (line(7), "custom_id"),
        (line(""), "custom_id"),
        (line("x" * 513), "custom_id"),
        (line(method="GET"), "method"),
        (line(url="/v1/embeddings"), "url"),
        (line(body=[]), "body"),
        (line(body={"model": "m", "stream": True}), "streamed"),
        (line(body={"model": "m", "background": True}), "background"),
        ([], "object"),
    ],
)
def test_what_is_wrong_is_said_by_line(wrong: Any, word: str) -> None:
    _, faults = read_lines(written(line("first"), wrong), CHAT)
    assert [fault.line for fault in faults] == [2]
    assert word in faults[0].message
    assert faults[0].shown()["code"] == "invalid_request"


def test_an_id_is_used_once() -> None:
    _, faults = read_lines(written(line("a"), line("a")), CHAT)
    assert "twice" in faults[0].message


@pytest.mark.parametrize("nothing", [b"", b"\n \n", b"\xef\xbb\xbf"])
def test_a_file_without_requests_is_no_batch(nothing: bytes) -> None:
    assert [fault.code for fault in read_lines(nothing, CHAT)[1]] == ["empty_file"]


def test_there_is_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_input, "MOST_LINES", 2)
    assert not read_lines(written(*[line(str(n)) for n in range(2)]), CHAT)[1]
    faults = read_lines(written(*[line(str(n)) for n in range(3)]), CHAT)[1]
    assert [fault.code for fault in faults] == ["too_many_tasks"]


@given(st.binary(max_size=200))
def test_no_bytes_break_it(content: bytes) -> None:
    lines, faults = read_lines(content, CHAT)
    assert lines or faults
