"""C34, C36: docs/howto/clients.md says what is so, and its examples run."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.clients.fleet import CLIENTS, NODE, ROOT, Client, installed, plain_environment
from tests.houses import House

PAGE = (ROOT / "docs" / "howto" / "clients.md").read_text()
ENVIRONMENTS = {
    "openai": "openai3",
    "openai for Node": NODE,
    "Azure OpenAI": "openai3",
    "anthropic": "openai3",
    "LangChain": "openai3",
    "LlamaIndex": "openai2",
    "instructor": "openai2",
    "Pydantic AI": "openai3",
    "OpenAI Agents SDK": "openai3",
    "Semantic Kernel": "semantic-kernel",
    "LiteLLM's SDK": "litellm",
    "DSPy": "litellm",
    "Vercel AI SDK": NODE,
}


def examples() -> list[tuple[str, str]]:
    """Each example that is a program, with the heading that it stands under."""
    found = []
    for section in PAGE.split("\n## ")[1:]:
        heading = section.partition("\n")[0]
        programs = re.findall(r"```(?:python|js)\n(.*?)```", section, flags=re.DOTALL)
        found += [(heading, program) for program in programs]
    return found


def test_every_example_is_known() -> None:
    assert {heading for heading, _ in examples()} == set(ENVIRONMENTS)


@pytest.mark.parametrize(
    ("heading", "program"),
    examples(),
    ids=[f"{heading} {place}" for place, (heading, _) in enumerate(examples())],
)
def test_c36_an_example_runs(
    heading: str, program: str, fleet_house: House, fleet_key: str, tmp_path: Path
) -> None:
    environment = ENVIRONMENTS[heading]
    installed(environment)
    here = program.replace("127.0.0.1:8080", f"127.0.0.1:{fleet_house.port}")
    assert here != program
    if environment == NODE:  # packages are looked for beside the program or above it
        command = [NODE, "--input-type=module", "-"]
        folder = Path(__file__).parent
    else:
        command = [str(ROOT / ".clients" / environment / "bin" / "python"), "-"]
        folder = tmp_path
    told = {**plain_environment(environment), "OPENAI_API_KEY": fleet_key}
    done = subprocess.run(
        command, cwd=folder, env=told, input=here,
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert said, "it prints what it was told"
    assert all("hello" in line or line.startswith("content_filter dec_") for line in said)


def row(client: Client) -> str:
    """The row that speaks of a client."""
    cells = [
        client.name,
        f"`{client.path}`",
        f"`{client.refused}`",
        "an object, no error" if client.midway == "Object" else f"`{client.midway}`",
        str(client.budget_attempts),
        str(client.limited_attempts),
        " ".join(f"{task}: {why}" for task, why in client.cannot.items()),
    ]
    return f"| {' | '.join(cells)} |"


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_c34_the_table_says_what_the_tests_show(client: Client) -> None:
    assert row(client) in PAGE.splitlines()
