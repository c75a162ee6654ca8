"""What is shipped: the wheel, and the image that is made of it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
BUILD, FINAL = DOCKERFILE.split("\nFROM ")[1:]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The names of the files in the wheel, built from a copy of the sources."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    (folder / "requirements").mkdir()
    shutil.copy(ROOT / "requirements" / "server.in", folder / "requirements")
    left = shutil.ignore_patterns("__pycache__")
    for name in ("gateway", "policies"):
        shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=left)
    options = ["--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    command = [sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", str(folder / "out")]
    subprocess.run([*command, "."], cwd=folder, check=True, timeout=120)
    [made] = (folder / "out").glob("*.whl")
    return zipfile.ZipFile(made).namelist()


def test_the_wheel_holds_the_whole_program(wheel: list[str]) -> None:
    package = ROOT / "gateway"
    sources = {path.relative_to(ROOT).as_posix() for path in package.rglob("*.py")}
    assert sources <= set(wheel)
    assets = {"govgate.wasm", "capabilities.json", "schemas/question.json", "lib/decision.rego"}
    packs = {path.relative_to(ROOT / "policies") for path in ROOT.glob("policies/packs/*/*.yaml")}
    assert len(packs) > 9
    assets |= {path.as_posix() for path in packs}
    assert {f"gateway/assets/{name}" for name in assets} <= set(wheel)
    assert "gateway/py.typed" in wheel


def test_the_wheel_holds_nothing_else(wheel: list[str]) -> None:
    assert not [name for name in wheel if name.endswith(".pth")]
    rooms = {name.partition("/")[0] for name in wheel}
    assert {re.sub(r"-[0-9.]+\.dist-info", ".dist-info", room) for room in rooms} == {
        "gateway",
        "govgate.dist-info",
    }


def test_both_stages_stand_on_one_pinned_base() -> None:
    assert re.search(r"^ARG BASE=python:3\.11\.\d+-slim-\w+$", DOCKERFILE, re.MULTILINE)
    assert BUILD.startswith("${BASE} AS build\n")
    assert FINAL.startswith("${BASE}\n")


def test_only_the_server_is_installed_by_hash() -> None:
    locks = re.findall(r"-r (requirements/\S+)", DOCKERFILE)
    assert locks == ["requirements/server.txt", "requirements/build.txt"]
    assert DOCKERFILE.count("--require-hashes") == len(locks)
    assert DOCKERFILE.count("--only-binary :all:") == len(locks)
    assert "://" not in DOCKERFILE


def test_the_image_runs_as_nobody_in_particular_and_without_build_tools() -> None:
    assert re.search(r"^USER 10001:10001$", FINAL, re.MULTILINE)
    assert FINAL.index("\nUSER ") > FINAL.index("\nRUN ")
    assert "uninstall --yes --quiet pip setuptools wheel" in FINAL
    for tool in ("gcc", "build-essential", "pip install", "curl"):
        assert tool not in FINAL


def test_the_image_has_what_a_gateway_needs() -> None:
    for package in ("ca-certificates", "tzdata"):
        assert package in FINAL
    for line in ("STOPSIGNAL SIGTERM", "VOLUME /var/lib/govgate", 'ENTRYPOINT ["govgate"]'):
        assert f"\n{line}\n" in FINAL
    assert "GOVGATE_DATA_DIR=/var/lib/govgate" in FINAL
    assert "PYTHONDONTWRITEBYTECODE=1" in FINAL


def test_the_healthcheck_is_a_program_that_asks_livez() -> None:
    [program] = re.findall(r'"-c", "(.*?)"\]', FINAL.replace("\\\n", ""), re.DOTALL)
    compile(program, "HEALTHCHECK", "exec")
    assert "/livez" in program


def test_what_the_builder_copies_is_sent_to_it() -> None:
    sent = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    copies = re.findall(r"^COPY (?!--from)(.+) \S+$", BUILD, re.MULTILINE)
    wanted = {name for line in copies for name in line.split()}
    assert wanted == set(sent)
    assert not [name for name in sent if not (ROOT / name).exists()]
