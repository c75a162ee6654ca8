"""What was in force here last is read back whole, or not at all."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.adapters.policy_file import PolicyFile
from gateway.core.last_policy import LastPolicy
from gateway.core.policies import Stop, Stopped, Version

NOW = datetime(2026, 11, 23, 10, 0, 0, 123_456, tzinfo=UTC)
LAST = LastPolicy(
    "rel_1",
    3,
    (Version("sha256:a", "support", "1.0.0", {"pack.yaml": "id: support\n# é\n"}, "ann", NOW),),
    (Stop("stp_1", Stopped.TOOL, "send*", "it sends", "ann", NOW),),
    NOW,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "policy.last"


def test_what_was_kept_is_read_back(path: Path) -> None:
    PolicyFile(path).write(LAST)
    read = PolicyFile(path).read()
    assert read is not None
    assert (read.release, read.number, read.written_at) == ("rel_1", 3, NOW)
    assert list(read.versions) == list(LAST.versions)
    assert list(read.stops) == list(LAST.stops)


def test_what_was_never_kept_is_none(path: Path) -> None:
    assert PolicyFile(path).read() is None


def test_it_takes_the_place_of_what_was_and_leaves_nothing_beside(path: Path) -> None:
    PolicyFile(path).write(LAST)
    PolicyFile(path).write(LastPolicy("rel_2", 4, (), (), NOW))
    read = PolicyFile(path).read()
    assert read is not None
    assert read.release == "rel_2"
    assert list(path.parent.iterdir()) == [path]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0), st.integers(1, 255))
def test_a_file_of_which_one_byte_is_another_is_not_believed(
    path: Path, place: int, by: int
) -> None:
    PolicyFile(path).write(LAST)
    content = bytearray(path.read_bytes())
    content[place % len(content)] ^= by
    path.write_bytes(content)
    with pytest.raises(ValueError, match="not as it was written"):
        PolicyFile(path).read()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10_000))
def test_nor_is_one_that_was_cut(path: Path, length: int) -> None:
    PolicyFile(path).write(LAST)
    content = path.read_bytes()
    path.write_bytes(content[: length % len(content)])
    with pytest.raises(ValueError, match="not as it was written"):
        PolicyFile(path).read()


def test_what_another_version_wrote_is_refused(path: Path) -> None:
    body = b'{"of": "tomorrow"}'
    path.write_bytes(hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
    with pytest.raises(ValueError, match="another version"):
        PolicyFile(path).read()


def test_a_place_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        PolicyFile(tmp_path).read()
