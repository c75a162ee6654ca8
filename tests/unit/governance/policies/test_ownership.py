"""Git and the console: who owns what, what goes across, and patches that Git takes."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.core.errors import Denied
from gateway.core.policies import Missing, OwnedElsewhere, Owner, Refused
from gateway.core.records import Kind
from gateway.governance.policies.ownership import patch
from tests.fakes.packs import files, rule
from tests.policymaking import ANN, BASE, BOB, CI, NOBODY, ROOT, House

CHANGED = files(rules={"house.mask": rule(min_score=0.1)})


async def test_ownership_is_switched_by_administrators_and_on_record() -> None:
    house = await House.open()
    for who in (ANN, BOB, CI):
        with pytest.raises(Denied):
            await house.ownership.switch("house", Owner.GIT, who)
    with pytest.raises(Refused, match="already"):
        await house.ownership.switch("house", Owner.CONSOLE, ROOT)
    with pytest.raises(Missing):
        await house.ownership.switch("new", Owner.GIT, ROOT)
    draft = await house.drafts.begin("house", ANN, files=CHANGED)
    await house.ownership.switch("house", Owner.GIT, ROOT)
    assert await house.store.owners() == {"house": Owner.GIT}
    *_, entry = house.noted(Kind.POLICY_OWNERSHIP_CHANGED)
    assert entry.facts == {"pack": "house", "before": "console", "after": "git"}
    with pytest.raises(OwnedElsewhere):
        await house.releases.submit(draft.id, 1, ANN)
    release = await house.releases.publish(CHANGED, "a1b2c3d", CI)
    assert release.packs["house"] == house.packs.digest(CHANGED)


async def test_an_export_is_the_files_in_force_the_same_every_time() -> None:
    house = await House.open()
    await house.drafts.begin("house", ANN, files=CHANGED)
    exported = await house.ownership.export("house", BOB)
    assert exported == BASE
    assert list(exported) == sorted(BASE)
    (entry,) = house.noted(Kind.POLICY_EXPORTED)
    assert entry.facts == {"pack": "house", "digest": house.packs.digest(BASE)}
    with pytest.raises(Denied):
        await house.ownership.export("house", NOBODY)
    with pytest.raises(Missing):
        await house.ownership.export("new", ANN)


async def test_drift_names_the_files() -> None:
    house = await House.open()
    assert await house.ownership.drift(BASE, ANN) == []
    other = {**CHANGED, "new.md": "x"}
    del other["exceptions.yaml"]
    assert await house.ownership.drift(other, ANN) == ["exceptions.yaml", "new.md", "rules.yaml"]
    with pytest.raises(Missing):
        await house.ownership.drift(files("new"), ANN)


async def test_a_draft_is_proposed_as_a_patch() -> None:
    house = await House.open()
    await house.ownership.switch("house", Owner.GIT, ROOT)
    draft = await house.drafts.begin("house", ANN, proposing=True)
    with pytest.raises(Refused, match="changes nothing"):
        await house.ownership.propose(draft.id, ANN)
    await house.drafts.save(draft.id, 1, CHANGED, ANN)
    said = await house.ownership.propose(draft.id, ANN)
    assert said.startswith("diff --git a/rules.yaml b/rules.yaml\n--- a/rules.yaml\n")
    with pytest.raises(Denied):
        await house.ownership.propose(draft.id, BOB)


TEXTS = st.text(st.sampled_from("ab\n\r\x0c\u2028é"), max_size=12)
TREES = st.dictionaries(st.sampled_from(["pack.yaml", "rules/a.yaml", "b.md"]), TEXTS)


@pytest.mark.skipif(shutil.which("git") is None, reason="Git is not installed")
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=TREES, after=TREES)
def test_git_takes_the_patch(tmp_path: Path, before: dict[str, str], after: dict[str, str]) -> None:
    said = patch(before, after)
    assert (said == "") == (before == after)
    folder = tmp_path / "pack"
    shutil.rmtree(folder, ignore_errors=True)
    for name, text in before.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(text.encode())
    folder.mkdir(exist_ok=True)
    if said:
        command = ["git", "-c", "core.autocrlf=false", "apply", "--whitespace=nowarn", "-"]
        done = subprocess.run(
            command, cwd=folder, input=said.encode(), capture_output=True, check=False
        )
        assert done.returncode == 0, (said, done.stderr)
    kept = {
        path.relative_to(folder).as_posix(): path.read_bytes().decode()
        for path in folder.rglob("*")
        if path.is_file()
    }
    assert kept == after
