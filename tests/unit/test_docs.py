"""Law 10: every setting, error code, obligation, record field and command is documented."""

from __future__ import annotations

import ast
import asyncio
import json
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

import click
import msgspec
import pytest
from pydantic import BaseModel

import gateway.obligations
from gateway.adapters.keyring import Keyring
from gateway.adapters.providers import replay_script
from gateway.adapters.store.journal import SqlJournal
from gateway.adapters.store.migrate import migrate
from gateway.adapters.store.records import SqlRecords
from gateway.cli import main
from gateway.core.answer import Events
from gateway.core.errors import Code
from gateway.core.exchange import Exchange, Outcome
from gateway.core.money import ZERO
from gateway.core.policy import Decision
from gateway.core.records import Kind
from gateway.server.errors import STATUS
from gateway.settings import Settings
from gateway.stages.account import KeepAccount
from tests.exchanges import MODEL, SOMEBODY, allowing, chat_request, exchange_of, spoken

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md")])


def page(name: str) -> str:
    return (DOCS / name).read_text()


def row(text: str, first: str) -> str:
    """The table row whose first cell holds `first` as code."""
    for line in text.splitlines():
        if line.startswith("|") and f"`{first}`" in line.split("|")[1]:
            return line
    raise AssertionError(f"no row for {first}")


@pytest.mark.parametrize("code", Code)
def test_every_code_is_documented_with_its_status(code: Code) -> None:
    assert f"| {STATUS[code]} |" in row(page("reference/errors.md"), code)


def settings_of(section: type[BaseModel], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, about in section.model_fields.items():
        if isinstance(about.default, BaseModel):
            yield from settings_of(type(about.default), f"{prefix}{name.upper()}__")
        else:
            yield f"{prefix}{name.upper()}", about.get_default(call_default_factory=True)


SETTINGS = dict(settings_of(Settings, "GOVGATE_"))


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_is_documented_with_its_default(name: str) -> None:
    default = row(page("reference/settings.md"), name).split("|")[2]
    value = SETTINGS[name]
    if value is not None:
        said = json.dumps(value) if isinstance(value, bool | tuple | dict) else str(value)
        assert f"`{said}`" in default


def test_no_setting_is_documented_that_does_not_exist() -> None:
    named = set(re.findall(r"GOVGATE_[A-Z]+(?:_[A-Z]+)*", "\n".join(map(Path.read_text, PAGES))))
    sections = {name.rpartition("__")[0] for name in SETTINGS}
    known = set(SETTINGS) | {f"{name}_FILE" for name in SETTINGS} | sections
    assert not {name for name in named if "__" in name} - known


def obligations() -> list[ModuleType]:
    found = iter_modules(gateway.obligations.__path__, "gateway.obligations.")
    return [import_module(module.name) for module in found]


@pytest.mark.parametrize("module", obligations(), ids=lambda module: module.__name__)
def test_every_obligation_is_documented_with_its_parameters(module: ModuleType) -> None:
    about = row(page("reference/obligations.md"), module.__name__.rpartition(".")[2])
    for field in msgspec.structs.fields(module.Params):
        assert f"`{field.encode_name}`" in about


def commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from commands(inner, f"{path} {name}")
    else:
        yield path, command


COMMANDS = dict(commands(main, "govgate"))


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_is_documented_with_its_options(path: str) -> None:
    text = page("reference/cli.md")
    assert f"`{path}`" in text
    for parameter in COMMANDS[path].params:
        name = parameter.opts[0] if isinstance(parameter, click.Option) else parameter.name.upper()
        assert name in text


def targets() -> list[str]:
    makefile = (ROOT / "Makefile").read_text()
    return re.findall(r"^([a-z-]+):.*## ", makefile, flags=re.MULTILINE)


def test_every_make_target_is_documented() -> None:
    text = page("reference/cli.md")
    assert not [name for name in targets() if name != "help" and f"`{name}`" not in text]


def test_every_make_command_in_the_documentation_exists() -> None:
    said = set(re.findall(r"(?:`|^)make ([a-z-]+)", "\n".join(map(Path.read_text, PAGES)), re.M))
    assert said <= set(targets())


@pytest.mark.parametrize("word", [*Kind, *Outcome])
def test_every_kind_of_entry_and_outcome_is_documented(word: str) -> None:
    assert row(page("reference/record.md"), word)


async def test_every_field_of_a_record_is_documented(tmp_path: Path) -> None:
    text = page("reference/record.md")
    for entry in await entries_of_a_stream(tmp_path):
        facts = entry.header["facts"]
        first = text.partition("The first entry after")[2]
        documented = row(text.partition("### Facts")[2], entry.kind) + first
        for name in facts:
            assert f"`{name}`" in documented, f"{name} of {entry.kind}"
        for name in entry.parts or {}:
            assert row(text.partition("## Parts")[2], name)
        for name in entry.header:
            assert f"`{name}`" in text.partition("### Facts")[0]
        for part in entry.header["parts"]:
            assert all(f"`{name}`" in text for name in part)
        assert all(f"`{name}`" in text for name in entry.header["writer"])


async def entries_of_a_stream(folder: Path) -> list[Any]:
    """What is stored of one exchange, with every kind of entry and part."""
    url = f"sqlite:///{folder / 'records.db'}"
    migrate(url)
    keyring = Keyring.open(folder / "keyring.json", None)
    journal = SqlJournal(url, keyring)
    records = SqlRecords(url, keyring)
    await journal.start()
    exchange = exchange_of(chat_request("hello", stream=True))
    exchange.principal = SOMEBODY
    exchange.received = await exchange.read()
    exchange.request = chat_request("hello", stream=True)

    async def upstream(exchange: Exchange) -> Events:
        exchange.model = MODEL
        exchange.question = {"schema_version": 1}
        exchange.decision = Decision("dec_1", "sha256:1", allowing())
        await exchange.account.attempt(b'{"sent": true}', ZERO)
        exchange.heard.append(b"{}")
        return said()

    first = asyncio.Event()

    async def said() -> Events:
        for event in spoken(["one"]):
            yield event
            await first.wait()

    try:
        async with exchange:
            async for _ in await KeepAccount(journal)(exchange, upstream):
                first.set()  # so the rest is a segment apart
        stored = await records.read_exchange(exchange.id)
    finally:
        await journal.stop()
        await records.stop()
    assert [entry.kind for entry in stored] == list(Kind)[:4]  # the others are acts
    return list(stored)


def headers_in_code() -> set[str]:
    """Names of response headers that the code spells out; of an f-string, what is fixed.

    Providers have headers of their own, which our callers never see.
    """
    found: set[str] = set()
    rooms = ("core", "stages", "obligations", "server", "adapters/providers")
    for room in rooms:
        ours = "x-govgate-" if room.startswith("adapters/") else "x-"
        for path in (ROOT / "gateway" / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found |= set(re.findall(rf"^{ours}[a-z-]+$", node.value))
    return found


def test_every_header_is_documented() -> None:
    text = page("reference/headers.md")
    found = headers_in_code()
    assert {"x-govgate-decision", "x-govgate-leaf", "x-ratelimit-limit-"} <= found
    assert not [name for name in found if f"`{name}" not in text]


def test_every_kind_of_rule_is_documented() -> None:
    schema = json.loads((ROOT / "policies/schemas/pack.json").read_text())
    text = page("reference/policy.md")
    for kind in schema["$defs"]["rule"]["properties"]["kind"]["anyOf"][0]["enum"]:
        assert row(text, kind)


def test_every_direction_of_replay_is_documented() -> None:
    said = re.findall(r"@replay ([a-z-]+)", replay_script.__doc__ or "")
    assert len(said) >= 8
    text = page("reference/replay.md")
    assert not [verb for verb in said if f"`@replay {verb}" not in text]


def requirements(path: Path) -> list[str]:
    lines = path.read_text().splitlines()
    return [re.split(r"[<>=\[;]", line)[0] for line in lines if line and not line.startswith("-")]


def test_every_direct_dependency_is_explained() -> None:
    text = page("explanation/dependencies.md")
    named = [name for path in (ROOT / "requirements").glob("*.in") for name in requirements(path)]
    assert not [name for name in named if f"`{name}`" not in text]
    cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    assert set(re.findall(r"`([a-z0-9.-]+)`", " ".join(cells))) == set(named)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(path: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text())
    local = [target for target in targets if "://" not in target]
    assert not [target for target in local if not (path.parent / target).exists()]


def test_every_page_is_in_the_index() -> None:
    index = page("README.md") + page("decisions/README.md")
    pages = [path for path in DOCS.rglob("*.md") if path.name != "README.md"]
    assert not [path for path in pages if path.name not in index]
