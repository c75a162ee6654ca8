"""The retention file: what it may say, and where it is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.adapters.packs.documents import read
from gateway.governance.retention import Schedule
from gateway.governance.retention_file import schedule_of


def scheduled(folder: Path, text: str) -> Schedule:
    path = folder / "retention.yaml"
    path.write_text(text)
    (document,) = read(path, path.name)
    return schedule_of(document)


def test_a_file_of_presets_and_own_classes(tmp_path: Path) -> None:
    schedule = scheduled(
        tmp_path,
        "classes:\n"
        "  - {name: high-risk, preset: ai-act, apps: [cv-*], max_days: 365}\n"
        "  - {name: lean, max_days: 30, legal_basis: own choice}\n",
    )
    high, lean = schedule.classes
    assert (high.min_days, high.max_days, high.apps) == (183, 365, ("cv-*",))
    assert "26(6)" in high.legal_basis
    assert (lean.min_days, lean.max_days) == (0, 30)
    assert schedule.default is lean


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{name: a, max_days: 3}", "retention.yaml:2: classes.0: give max_days and legal_basis"),
        ("{name: a, preset: none}", "there is no 'none'; take ai-act, financial, hipaa"),
        ("{name: a, preset: hipaa, min_days: 30}", "hipaa asks for 2192 days at the least"),
        ("{name: a, preset: hipaa, max_days: 30}", "30 days at the most, but must be for 2192"),
        ("{name: A, max_days: 3, legal_basis: x}", "classes.0.name"),
        ("{name: a, max_days: '3', legal_basis: x}", "classes.0.max_days"),
        ("{name: a, max_days: 3, legal_basis: x, apps: []}", "classes.0.apps"),
        ("{name: a, max_days: 3, legal_basis: x, headers_days: 4}", "classes.0.headers_days"),
        ("{name: a, max_days: 99999, legal_basis: x}", "classes.0.max_days"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, line: str, said: str) -> None:
    with pytest.raises(ValueError, match=r"retention\.yaml:2: ") as refused:
        scheduled(tmp_path, f"classes:\n  - {line}\n")
    assert said in str(refused.value)


@pytest.mark.parametrize("text", ["classes: []\n", "other: 1\n", "[]\n"])
def test_a_file_without_classes_is_none(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match=r"retention\.yaml"):
        scheduled(tmp_path, text)
