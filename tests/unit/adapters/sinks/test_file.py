"""A file of records: whole lines, put aside when it is large."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.adapters.sinks.file import FileSink
from gateway.core.exports import Delivery


async def test_lines_are_appended(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "records", 1 << 20)
    await sink.send(Delivery(0, 2, [b"a", b"b"]))
    await sink.send(Delivery(2, 3, [b"c"]))
    await sink.stop()
    assert (tmp_path / "records").read_bytes() == b"a\nb\nc\n"
    assert (tmp_path / "records").stat().st_mode & 0o007 == 0


async def test_a_line_that_was_cut_off_is_ended_first(tmp_path: Path) -> None:
    (tmp_path / "records").write_bytes(b"a\nhal")
    await FileSink(tmp_path / "records", 1 << 20).send(Delivery(1, 2, [b"half"]))
    assert (tmp_path / "records").read_bytes() == b"a\nhal\nhalf\n"


def others(folder: Path) -> list[Path]:
    """The files that were put aside, in order."""
    return sorted(path for path in folder.iterdir() if path.name != "records")


async def test_a_large_file_is_put_aside_whole(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "records", 10)
    for place in range(5):
        await sink.send(Delivery(place, place + 1, [b"%d" % place * 6]))
    aside = [path.read_bytes() for path in others(tmp_path)]
    assert aside == [b"000000\n111111\n", b"222222\n333333\n"]
    assert (tmp_path / "records").read_bytes() == b"444444\n"


async def test_a_folder_that_is_gone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        await FileSink(tmp_path / "gone" / "records", 10).send(Delivery(0, 1, [b"a"]))
