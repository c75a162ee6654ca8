"""Packs in directories: read to the byte, written by the file, and never from anywhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.adapters.packs import PackError, digest_of, load_pack, read_folder, write_folder
from gateway.adapters.packs.folder import LARGEST
from tests.unit.adapters.packs.samples import FILES


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_folder(tmp_path / "pack", {}, FILES)
    return tmp_path / "pack"


def codes(path: Path) -> list[tuple[str, str]]:
    with pytest.raises(PackError) as error:
        read_folder(path)
    return [(problem.code, problem.file) for problem in error.value.problems]


def test_what_was_written_is_read_to_the_byte(folder: Path) -> None:
    more = {
        "README.md": "\ufeffréad\r\n",
        "lists/a.en.txt": "x\n",
        "rego/a.rego": "package a",
        "schemas/a.json": "{}",
    }
    assert read_folder(folder) == FILES
    changed = write_folder(folder, FILES, {**FILES, **more})
    assert list(changed) == sorted(more)
    assert read_folder(folder) == {**FILES, **more}
    assert (folder / "README.md").read_bytes() == "\ufeffréad\r\n".encode()
    assert write_folder(folder, {**FILES, **more}, FILES) == sorted(more)
    assert read_folder(folder) == FILES
    assert not [path for path in folder.rglob("*") if path.name.endswith(".new")]


def test_what_does_not_belong_to_it_is_left(folder: Path) -> None:
    for name in (".git/x.yaml", ".hidden.yaml", "rego/a.json", "logo.png", "schemas/a.rego"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("x")
    assert read_folder(folder) == FILES


def test_a_link_out_of_it_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.yaml").write_text("id: x")
    (tmp_path / "elsewhere").mkdir()
    (folder / "rules" / "link.yaml").symlink_to(tmp_path / "secret.yaml")
    (folder / "lists").symlink_to(tmp_path / "elsewhere")
    assert codes(folder) == [("GP-1010", "lists"), ("GP-1010", "rules/link.yaml")]


def test_a_link_within_it_is_followed(folder: Path, tmp_path: Path) -> None:
    (folder / "tests" / "more.yaml").symlink_to(folder / "tests" / "pii.yaml")
    assert read_folder(folder)["tests/more.yaml"] == FILES["tests/pii.yaml"]
    (tmp_path / "by-another-name").symlink_to(folder)
    assert read_folder(tmp_path / "by-another-name") == read_folder(folder)


def test_what_is_too_large_is_refused(folder: Path) -> None:
    (folder / "README.md").write_bytes(b"x" * (LARGEST - sum(map(len, FILES.values())) + 1))
    assert codes(folder) == [("GP-1009", "pack.yaml")]


def test_bytes_that_are_no_text_are_said_with_their_line(folder: Path) -> None:
    (folder / "rules" / "pii.yaml").write_bytes(b"id: x\ntitle: \xff\xfe")
    with pytest.raises(PackError) as error:
        read_folder(folder)
    [problem] = error.value.problems
    assert (problem.code, problem.file, problem.line) == ("GP-1002", "rules/pii.yaml", 2)


def test_a_directory_that_is_no_pack_is_said_so(tmp_path: Path) -> None:
    assert codes(tmp_path / "nowhere") == [("GP-1007", "pack.yaml")]
    assert codes(tmp_path) == [("GP-1007", "pack.yaml")]


def test_half_a_character_is_refused() -> None:
    with pytest.raises(PackError) as error:
        load_pack({**FILES, "rules/pii.yaml": "id: \ud800"})
    assert error.value.problems[0].code == "GP-1002"


def test_the_digest_is_of_the_files_and_of_nothing_else() -> None:
    first = digest_of(FILES)
    assert first == digest_of(dict(reversed(FILES.items())))
    assert first.startswith("sha256:")
    assert len({first, digest_of({**FILES, "a.md": ""}), digest_of({**FILES, "b.md": ""})}) == 3
    assert load_pack(FILES).digest == first
