"""The bench of replays measures what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.replay import measure


@pytest.mark.parametrize("distinct", [False, True])
async def test_every_question_is_replayed(
    tmp_path: Path, distinct: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await measure(tmp_path, 40, distinct=distinct) > 0
    said = capsys.readouterr().out
    assert "40 recorded questions; 40 exchanges match" in said
    assert "cannot be evaluated                        0" in said
