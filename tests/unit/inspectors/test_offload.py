"""Short text is looked at on the loop, long text in a thread."""

from __future__ import annotations

import threading

import pytest

from gateway.core.findings import Finding
from gateway.core.passages import Passage
from gateway.inspectors.offload import INLINE, inspect_passages


@pytest.mark.parametrize(
    ("passages", "here"),
    [
        ([Passage("x" * INLINE, "/a")], True),
        ([Passage("x" * INLINE, "/a"), Passage("y", "/b")], False),
        ([Passage("x", "/a", before="y" * INLINE)], False),
    ],
)
async def test_by_the_length_of_all_passages(passages: list[Passage], here: bool) -> None:
    threads: list[bool] = []

    def inspect(passage: Passage) -> list[Finding]:
        threads.append(threading.current_thread() is threading.main_thread())
        return [Finding("k", "L", passage.where, 0, 1, 1.0)]

    found = await inspect_passages(inspect, passages)
    assert threads == [here] * len(passages)
    assert [finding.where for finding in found] == [passage.where for passage in passages]
