"""The clients that applications call Govgate with, and what is known about each.

Each is run by tests/clients/sdks in an environment of its own. What one cannot do stands in
`cannot`, with the reason; what it does differently from the others stands in its other fields.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import pytest

from tests.clients.callers import BLOCKED

ROOT = Path(__file__).parents[2]
SDKS = Path(__file__).parent / "sdks"
NODE = "node"
DEPLOYMENT = "/openai/deployments/{model}/chat/completions"
RESPONSES = "/v1/responses"
MESSAGES = "/v1/messages"
CLEARED = "Sure. First some history. "
"""What of `BLOCKED` is shown where answers are released sentence by sentence."""

IN_JSON = '{"said": "Sure. First some history. You build a pi\\u0070e bomb so.", "sure": true}'
"""The same answer for who wants JSON."""
NO_LOOP = "It uses tools to get an answer into shape, and has no way to offer others."
HELD = "Its answers are JSON, which is shown when it is whole; nothing comes before a hang-up."


@dataclass(frozen=True)
class Client:
    """A package as applications use it, and what it makes of what it is told."""

    name: str
    environment: str
    """Of .clients/, or `NODE`."""
    module: str
    """In tests/clients/sdks, with the dialect if there is a choice."""
    refused: str
    """The class that it raises when a request is refused."""
    midway: str
    """The class that it raises when an answer is stopped."""
    over_budget: str
    limited: str
    path: str = "/v1/chat/completions"
    """Where it asks; `{model}` stands for the model's name."""
    asked: str = BLOCKED
    """What gets it an answer that is stopped."""
    heard: str = CLEARED
    """What it has shown by then."""
    says: str = "You said: "
    """What stands before the text in its answers with a shape."""
    names_in: frozenset[str] = frozenset({"message", "body"})
    """Where its error for a refusal has the decision's id."""
    tool: str = "send"
    """What the model is told that the tool is called."""
    budget_attempts: int = 1
    limited_attempts: int = 3
    heeds: bool = True
    """Whether it waits at a rate limit as long as it is told to."""
    cannot: Mapping[str, str] = field(default_factory=dict)

    @property
    def command(self) -> list[str]:
        if self.environment == NODE:
            return [NODE, str(SDKS / "drive.mjs"), *self.module.split()]
        python = ROOT / ".clients" / self.environment / "bin" / "python"
        return [str(python), str(SDKS / "drive.py"), *self.module.split()]


OPENAI = {
    "refused": "BadRequestError",
    "midway": "APIError",
    "over_budget": "RateLimitError",
    "limited": "RateLimitError",
}
ANTHROPIC: dict[str, Any] = {
    "refused": "BadRequestError",
    "midway": "APIStatusError",
    "over_budget": "RateLimitError",
    "limited": "RateLimitError",
    "path": MESSAGES,
}
LANGCHAIN_ANTHROPIC: dict[str, Any] = {
    "refused": "AnthropicInvalidRequestError",
    "midway": "APIStatusError",
    "over_budget": "AnthropicRateLimitError",
    "limited": "AnthropicRateLimitError",
    "path": MESSAGES,
}
LANGCHAIN = {
    "refused": "OpenAIInvalidRequestError",
    "midway": "APIError",
    "over_budget": "OpenAIRateLimitError",
    "limited": "OpenAIRateLimitError",
}
PYDANTIC_AI = {
    "refused": "ModelRequestRejectedError",
    "midway": "ModelAPIError",
    "over_budget": "ModelQuotaExceededError",
    "limited": "ModelRateLimitError",
}
INSTRUCTOR: dict[str, Any] = {
    "refused": "InstructorRetryException",
    "midway": "APIError",
    "over_budget": "InstructorRetryException",
    "limited": "InstructorRetryException",
    "heard": "",
    "cannot": {"tool": NO_LOOP, "hang up": HELD},
}
SEMANTIC_KERNEL: dict[str, Any] = {
    "refused": "ContentFilterAIException",
    "midway": "APIError",
    "over_budget": "ServiceResponseException",
    "limited": "ServiceResponseException",
    "names_in": frozenset({"body"}),
    "tool": "mail-send",  # the plugin's name stands before the function's
}
LITELLM: dict[str, Any] = {
    "refused": "BadRequestError",
    "midway": "MidStreamFallbackError",
    "over_budget": "RateLimitError",
    "limited": "RateLimitError",
}
DSPY: dict[str, Any] = {
    "refused": "LMInvalidRequestError",
    "over_budget": "LMBillingError",
    "limited": "LMRateLimitError",
    "names_in": frozenset({"message"}),
    "limited_attempts": 4,
}
AI_SDK: dict[str, Any] = {
    "refused": "AI_APICallError",
    "midway": "Object",
    "over_budget": "AI_RetryError",
    "limited": "AI_RetryError",
    "budget_attempts": 3,  # it does not know x-should-retry
}

CLIENTS = (
    Client("openai", "openai3", "openai_chat", **OPENAI),
    Client("openai 2", "openai2", "openai_chat", **OPENAI),
    Client("openai for Node", NODE, "openai_node", **OPENAI),
    Client("AzureOpenAI", "openai3", "openai_chat azure", **OPENAI, path=DEPLOYMENT),
    Client("AzureOpenAI of openai 2", "openai2", "openai_chat azure", **OPENAI, path=DEPLOYMENT),
    Client("AzureOpenAI for Node", NODE, "openai_node azure", **OPENAI, path=DEPLOYMENT),
    Client("LangChain ChatOpenAI", "openai3", "langchain_chat", **LANGCHAIN),
    Client(
        "LlamaIndex OpenAILike",
        "openai2",
        "llama_index_like",
        **OPENAI,
        says="",  # it asks for a call of a tool, which has the arguments as they were asked for
        budget_attempts=3,  # it repeats every 429 itself
        limited_attempts=12,  # three times, and the package below it three times more each
    ),
    Client(
        "instructor, tools",
        "openai2",
        "instructor_models",
        **INSTRUCTOR,
        says="",
        asked=f"@replay tool Reply {IN_JSON}",
    ),
    Client(
        "instructor, JSON schema",
        "openai2",
        "instructor_models json",
        **INSTRUCTOR,
        asked=f"@replay say {json.dumps(IN_JSON)}",
    ),
    Client("Pydantic AI", "openai3", "pydantic_ai_agent", **PYDANTIC_AI, says=""),
    Client("OpenAI Agents SDK", "openai3", "openai_agents", **OPENAI),
    Client("Semantic Kernel", "semantic-kernel", "semantic_kernel_chat", **SEMANTIC_KERNEL),
    Client(
        "Semantic Kernel, Azure",
        "semantic-kernel",
        "semantic_kernel_chat azure",
        **SEMANTIC_KERNEL,
        path=DEPLOYMENT,
    ),
    Client("LiteLLM", "litellm", "litellm_completion", **LITELLM),
    Client("DSPy", "litellm", "dspy_lm", **DSPY, midway="LMProviderError"),
    Client(
        "DSPy over LiteLLM",
        "litellm",
        "dspy_lm litellm",
        **DSPY,
        midway="LMServerError",
        heeds=False,
    ),
    Client("Vercel AI SDK, openai chat", NODE, "ai_sdk", **AI_SDK),
    Client("Vercel AI SDK, openai-compatible", NODE, "ai_sdk compatible", **AI_SDK),
    Client("openai, responses", "openai3", "openai_responses", **OPENAI, path=RESPONSES),
    Client(
        "AzureOpenAI, responses",
        "openai3",
        "openai_responses azure",
        **OPENAI,
        path="/openai/responses",
    ),
    Client(
        "LangChain ChatOpenAI, responses",
        "openai3",
        "langchain_chat responses",
        **LANGCHAIN,
        path=RESPONSES,
    ),
    Client(
        "Pydantic AI, responses",
        "openai3",
        "pydantic_ai_agent responses",
        **PYDANTIC_AI,
        path=RESPONSES,
        says="",
    ),
    Client(
        "OpenAI Agents SDK, responses",
        "openai3",
        "openai_agents responses",
        **OPENAI,
        path=RESPONSES,
    ),
    Client("Vercel AI SDK, openai responses", NODE, "ai_sdk responses", **AI_SDK, path=RESPONSES),
    Client("anthropic", "openai3", "anthropic_messages", **ANTHROPIC),
    Client(
        "LiteLLM, messages",
        "litellm",
        "litellm_completion anthropic",
        **LITELLM,
        path=MESSAGES,
        says="",
        names_in=frozenset({"message"}),
        limited_attempts=1,
    ),
    Client(
        "LangChain ChatAnthropic",
        "openai3",
        "langchain_chat messages",
        **LANGCHAIN_ANTHROPIC,
        says="",
    ),
    Client(
        "Pydantic AI, messages",
        "openai3",
        "pydantic_ai_agent messages",
        **PYDANTIC_AI,
        path=MESSAGES,
        says="",
    ),
)


def missing(what: str, from_: str = ".ci/services") -> NoReturn:
    """Fail in CI, where everything must be there; elsewhere say what is not."""
    if os.environ.get("CI"):
        pytest.fail(f"missing: {what}")
    pytest.skip(f"missing: {what}; {from_} installs it")


def installed(environment: str) -> None:
    """Return if the packages of this environment are there as they are locked."""
    if environment == NODE:
        if shutil.which("node") is None:
            missing("Node.js (on Debian: apt install nodejs npm)")
        here = Path(__file__).parent
        lock, mark = here / "package-lock.json", here / "node_modules" / ".lock"
    else:
        lock = ROOT / "requirements" / f"clients-{environment}.txt"
        mark = ROOT / ".clients" / environment / ".lock"
    if not mark.exists() or mark.read_bytes() != lock.read_bytes():
        missing(f"the clients of {environment}", f".ci/clients {environment}")


def plain_environment(environment: str) -> dict[str, str]:
    """Variables for a client: none that gives it another address or key, and a home of its own."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return {**kept, "HOME": str(ROOT / ".clients" / environment)}


class Running:
    """A client in a process of its own, which does one task after another."""

    def __init__(self, client: Client) -> None:
        installed(client.environment)
        self._process = subprocess.Popen(
            client.command, env=plain_environment(client.environment), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def do(self, what: str, text: str, **where: str) -> dict[str, Any]:
        """What came of a task. Raises when the process has ended."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps({"do": what, "text": text, **where}) + "\n")
        stdin.flush()
        line = stdout.readline()
        if not line:
            raise RuntimeError(f"it ended with {self._process.wait()}")
        came: dict[str, Any] = json.loads(line)
        return came

    def stop(self) -> None:
        self._process.kill()
        self._process.communicate()
