"""The house itself: where things are, how large, who may know whom, what is installed."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from statistics import quantiles

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "gateway"
UNIT = ROOT / "tests" / "unit"
SOURCES = sorted(PACKAGE.rglob("*.py"))
CHECKED = [
    path
    for path in [*SOURCES, *sorted((ROOT / "bench").rglob("*.py"))]
    if "versions" not in path.parts  # a migration is as long as what it changes
]

LONGEST_FILE, USUAL_FILE = 400, 350
LONGEST_FUNCTION, USUAL_FUNCTION = 70, 40
REFUSED_NAMES = {"common", "helper", "helpers", "manager", "misc", "util", "utils"}
OWN_FOLDERS = {"bench"}
"""Folders of tests/unit that mirror something beside `gateway`."""

TESTED_ELSEWHERE = {
    "auditing": "tests/integration/test_finding_records.py",
    "cli_export": "tests/integration/test_exporting.py",
    "cli_policy_edit": "tests/unit/test_cli_policy.py",
    "cli_log": "tests/integration/test_the_log.py",
    "cli_objects": "tests/integration/test_large_payloads.py",
    "cli_upkeep": "tests/faults/test_backup.py",
    "cli_verify": "tests/integration/test_the_log.py",
    "commands": "tests/unit/test_cli.py",
    "exporting": "tests/integration/test_exporting.py",
    "erasing": "tests/unit/test_cli_erasure.py",
    "keeping": "tests/clients/test_openai_kept.py",
    "notary": "tests/integration/test_the_log.py",
    "payloads": "tests/integration/test_large_payloads.py",
    "tour": "tests/integration",
    "upkeep": "tests/faults/test_backup.py",
    "adapters/providers/calls": "tests/unit/adapters/providers/test_openai.py",
    "adapters/routing/shape": "tests/unit/adapters/routing/test_routes.py",
    "core/bundles": "tests/faults/test_bundles.py",
    "core/exports": "tests/unit/governance/test_sinks.py",
    "core/archive": "tests/unit/governance/test_archives.py",
    "core/policies": "tests/contracts/test_policies.py",
    "core/replays": "tests/unit/adapters/store/test_questions.py",
    "governance/policies/history": "tests/unit/governance/policies/test_replays.py",
    "governance/policies/places": "tests/unit/governance/policies/test_effective.py",
    "replaying": "tests/unit/test_cli_policy_replay.py",
    "core/rulesets": "tests/unit/governance/policies/test_diff.py",
    "governance/policies/cases": "tests/unit/governance/policies/test_drafts.py",
    "governance/policies/moving": "tests/unit/governance/policies/test_rollout.py",
    "governance/policies/desk": "tests/unit/governance/policies/test_releases.py",
    "governance/policies/testing": "tests/unit/governance/policies/test_drafts.py",
    "settings_sections": "tests/unit/test_settings.py",
    "policing": "tests/integration/test_policies_over_http.py",
    "cli_policy_desk": "tests/unit/test_cli_policy_drafts.py",
    "governance/policies/services": "tests/integration/test_policies_over_http.py",
    "server/policies": "tests/integration/test_policies_over_http.py",
    "server/policy_calls": "tests/integration/test_policies_over_http.py",
    "server/policy_drafts": "tests/integration/test_policies_over_http.py",
    "server/policy_releases": "tests/integration/test_policies_over_http.py",
    "governance/policies/standings": "tests/integration/test_policies_over_http.py",
    "server/policy_replays": "tests/integration/test_policies_over_http.py",
    "server/policy_rollouts": "tests/integration/test_policies_over_http.py",
    "core/attempts": "tests/unit/stages/test_targets.py",
    "core/declined": "tests/unit/stages/test_decline.py",
    "core/dialect": "tests/unit/dialects/test_chat.py",
    "core/erasures": "tests/unit/governance/test_erasures.py",
    "core/errors": "tests/laws/test_faults.py",
    "core/file_shape": "tests/unit/adapters/routing/test_routes.py",
    "core/last_policy": "tests/unit/adapters/test_policy_file.py",
    "core/kept": "tests/contracts/test_shelf.py",
    "core/log": "tests/integration/test_the_log.py",
    "core/objects": "tests/unit/adapters/test_objects.py",
    "core/ports": "tests/contracts",
    "core/reports": "tests/unit/governance/reports/test_rules.py",
    "core/retention": "tests/unit/governance/test_retention.py",
    "core/roles": "tests/unit/core/test_audit.py",
    "dialects/choices": "tests/unit/dialects/test_chat.py",
    "dialects/chat_answer": "tests/unit/dialects/test_chat.py",
    "dialects/chat_request": "tests/unit/dialects/test_chat.py",
    "dialects/chat_shape": "tests/unit/dialects/test_chat.py",
    "dialects/chat_texts": "tests/laws/test_chat_canaries.py",
    "dialects/openai_shape": "tests/unit/dialects/test_chat.py",
    "governance/policies/bringing": "tests/unit/governance/policies/test_follower.py",
    "governance/subject_export": "tests/unit/test_cli_erasure.py",
    "governance/bundles": "tests/faults/test_bundles.py",
    "governance/files": "tests/unit/governance/test_batches.py",
    "governance/unattended": "tests/unit/governance/test_batches.py",
    "server/described": "tests/unit/server/test_openapi.py",
    "server/exports": "tests/integration/test_exporting.py",
    "server/log": "tests/integration/test_the_log.py",
    "server/listing": "tests/unit/server/test_kept.py",
    "server/unattended": "tests/clients/test_openai_kept.py",
}
"""Modules without a unit test of their own, and what tests them."""

UNDER = {
    "adapters/packs": "tests/unit/adapters/packs",
    "adapters/store": "tests/contracts",
    "governance/reports": "tests/unit/governance/reports",
    "governance/formats": "tests/unit/governance/formats/test_formats.py",
    "adapters/providers": "tests/contracts",
    "verifier": "tests/faults/test_tampering.py",
    "adapters/providers/translation": "tests/laws/test_translation.py",
}
"""Rooms that are tested as a whole, by the suites of the ports that they implement."""

LITTLE = 30
"""Lines up to which a module is too small to want tests of its own."""

LOADED_BY_NAME = {"httptools", "psycopg", "uvloop"}
"""Requirements that nothing here imports: uvicorn and SQLAlchemy load them."""

VISITORS = {
    "adapters/archive": "archive",
    "adapters/objects": "objects",
    "adapters/presidio": "analyzer",
    "tour": "demo",
}
"""Where more than the server's requirements is imported, and whose."""


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def functions(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            yield f"{name_of(path)}:{node.lineno} {node.name}", node.end_lineno - node.lineno + 1


def test_files_are_small() -> None:
    assert not [name_of(path) for path in CHECKED if lines(path) > LONGEST_FILE]
    assert quantiles([lines(path) for path in CHECKED], n=10)[-1] <= USUAL_FILE


def test_functions_are_small() -> None:
    sizes = dict(pair for path in CHECKED for pair in functions(path))
    assert not [name for name, size in sizes.items() if size > LONGEST_FUNCTION]
    assert quantiles(sizes.values(), n=10)[-1] <= USUAL_FUNCTION


def test_nothing_is_called_a_helper() -> None:
    words = {name_of(path): set(path.stem.split("_")) for path in CHECKED}
    assert not [name for name, parts in words.items() if parts & REFUSED_NAMES]


def test_no_module_keeps_state() -> None:
    for path in SOURCES:
        found = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Global)]
        assert not found, name_of(path)


def test_no_room_is_empty() -> None:
    for folder in [path for path in PACKAGE.iterdir() if (path / "__init__.py").exists()]:
        assert [path for path in folder.rglob("*.py") if path.name != "__init__.py"], folder.name


def modules_of_substance() -> list[str]:
    found = [path for path in SOURCES if path.name != "__init__.py" and lines(path) > LITTLE]
    names = [path.relative_to(PACKAGE).with_suffix("").as_posix() for path in found]
    return [name for name in names if "/migrations/" not in name]


@pytest.mark.parametrize("module", modules_of_substance())
def test_every_module_of_substance_is_tested(module: str) -> None:
    room, _, name = module.rpartition("/")
    if not (UNIT / room / f"test_{name}.py").exists():
        elsewhere = TESTED_ELSEWHERE.get(module) or UNDER.get(room)
        assert elsewhere, f"no tests/unit/{room}/test_{name}.py, and no reason is given"
        assert has_tests(ROOT / elsewhere)


def has_tests(place: Path) -> bool:
    return place.is_file() or bool(list(place.glob("test_*.py")))


def test_unit_tests_mirror_the_package() -> None:
    modules = [path for path in UNIT.rglob("*.py") if path.parent != UNIT]
    folders = {path.parent for path in modules}  # what holds samples alone mirrors nothing
    named = [path.relative_to(UNIT) for path in folders]
    astray = [path for path in named if path.parts[0] not in OWN_FOLDERS]
    assert not [path for path in astray if not (PACKAGE / path).is_dir()]


def test_no_exemption_has_outlived_its_reason() -> None:
    for name in TESTED_ELSEWHERE:
        room, _, module = name.rpartition("/")
        assert (PACKAGE / f"{name}.py").exists(), name
        assert not (UNIT / room / f"test_{module}.py").exists(), name


def own_files() -> Iterator[Path]:
    """Every text file of the project; nothing that was installed, built or recorded."""
    left = {"node_modules", "__pycache__", "var", "build", "dist"}
    for folder, folders, names in os.walk(ROOT):
        here = [name for name in folders if name == ".ci" or not name.startswith(".")]
        folders[:] = [n for n in here if n not in left and not n.endswith(".egg-info")]
        for path in (Path(folder, name) for name in names):
            if path.suffix not in {".wasm", ".pyc", ".db"} and not path.is_symlink():
                yield path


def test_no_file_names_a_place_on_somebodys_machine() -> None:
    place = re.compile(rb"/(?:root|home|Users|work)/[\w.-]")
    found = [path for path in own_files() if place.search(path.read_bytes())]
    assert not [name_of(path) for path in found]


def test_the_licence_is_there() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text


def run_locks(root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [root / ".ci" / "locks"], capture_output=True, text=True, check=False, timeout=60
    )


def test_no_lock_names_an_address() -> None:
    said = run_locks(ROOT)
    assert said.returncode == 0, said.stdout + said.stderr


@pytest.mark.parametrize(
    "line",
    ["--index-url https://example.org/simple", "left==1.0", "left @ https://example.org/left.whl"],
)
def test_a_lock_with_an_address_or_without_a_hash_is_found(tmp_path: Path, line: str) -> None:
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "locks", tmp_path / ".ci")
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "server.txt").write_text(f"right==1.0 \\\n    --hash=x\n{line}\n")
    assert run_locks(tmp_path).returncode != 0


BREACHES = {
    "a room that nobody placed": ("attic/__init__.py", ""),
    "a stage that knows another": ("stages/route.py", "import gateway.stages.cache"),
    "an adapter that knows another": ("adapters/prices.py", "import gateway.adapters.store"),
    "a core that knows the web": ("core/money.py", "import httpx"),
    "an obligation that knows a vendor": ("obligations/label.py", "import presidio_anonymizer"),
    "a server that reads settings": ("server/body.py", "import gateway.settings"),
    "neighbours that know each other": ("inspectors/pii.py", "import gateway.stages.cache"),
}


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )


def copied(folder: Path) -> Path:
    shutil.copy(ROOT / "pyproject.toml", folder)
    left = shutil.ignore_patterns("__pycache__", "assets")
    shutil.copytree(PACKAGE, folder / "gateway", ignore=left)
    return folder


def test_the_import_rules_are_kept() -> None:
    said = lint_imports(ROOT)
    assert said.returncode == 0, said.stdout


@pytest.mark.parametrize("breach", BREACHES)
def test_the_import_rules_find(breach: str, tmp_path: Path) -> None:
    name, line = BREACHES[breach]
    path = copied(tmp_path) / "gateway" / name
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as file:
        file.write(f"\n{line}\n")
    said = lint_imports(tmp_path)
    assert said.returncode == 1
    assert "BROKEN" in said.stdout


def required(name: str) -> set[str]:
    """The distributions that a requirements file names itself."""
    stated = (ROOT / "requirements" / f"{name}.in").read_text().splitlines()
    return {re.split(r"[<>=\[;]", line)[0] for line in stated if line and line[0] != "-"}


@cache
def distributions() -> Mapping[str, list[str]]:
    """What each importable name was installed by."""
    return packages_distributions()


@cache
def imported(path: Path) -> frozenset[str]:
    """The distributions that a module imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    outside = found - set(sys.stdlib_module_names) - {"gateway"}
    return frozenset(spelled({distributions()[name][0] for name in outside}))


def spelled(names: set[str]) -> set[str]:
    return {re.sub(r"[-_.]+", "-", name).lower() for name in names}


def test_what_is_imported_is_required() -> None:
    server = spelled(required("server"))
    for path in SOURCES:
        name = path.relative_to(PACKAGE).as_posix()
        lent = [required(extra) for place, extra in VISITORS.items() if name.startswith(place)]
        assert imported(path) <= server.union(*lent), name


def test_what_is_required_is_imported() -> None:
    used = set().union(*(imported(path) for path in SOURCES))
    assert not spelled(required("server")) - used - LOADED_BY_NAME


def test_serving_needs_the_servers_requirements_alone() -> None:
    """The image has no `openai` and no analyzer; the gateway must start without them."""
    program = (
        "import sys\n"
        "for name in ('openai', 'presidio_analyzer', 'spacy', 'pytest'): sys.modules[name] = None\n"
        "import gateway.cli, gateway.running, gateway.wiring\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=60)
