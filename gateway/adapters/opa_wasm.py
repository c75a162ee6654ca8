"""The policy engine in process: OPA's WebAssembly target, under wasmtime.

`policies/lib` is compiled to a Wasm module by `opa build -t wasm`; a pack is data that the
module interprets. The module has no way out: what it imports traps. It may use so much memory
and so many instructions, and an instance that failed is thrown away.

Source: OPA's Wasm ABI 1.3, https://www.openpolicyagent.org/docs/wasm
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, TypeVar

import orjson
from wasmtime import (
    Caller,
    Config,
    Engine,
    Func,
    FuncType,
    Global,
    Limits,
    Linker,
    Memory,
    MemoryType,
    Module,
    Store,
    Trap,
    ValType,
    WasmtimeError,
)

from gateway.core.errors import Code, Unavailable
from gateway.core.ids import new_id
from gateway.core.policy import Decision, Question, Verdict

ENTRYPOINT = "govgate/decision"

_PAGE = 1 << 16
_JSON = 0  # the format of a result, for opa_eval
_CHUNK = 4096
_LOADING_STEPS = 10**10

_Extern = TypeVar("_Extern", Func, Memory, Global)


class WasmPolicy:
    """Asks a compiled policy, in the calling thread: one evaluation is shorter than a hop.

    `module` is the compiled library, `pack` what it finds at `data.pack`. `memory` is the most
    bytes an instance may have, `steps` the most instructions (Wasm fuel) of one evaluation: a
    million for a plain question, and some billions to the second. A count, not a clock, so
    that what is decided on an idle machine is decided on a busy one.

    Raises `ValueError` when `module` is no such module, or cannot take `pack`.
    """

    def __init__(
        self,
        module: bytes,
        pack: Mapping[str, Any],
        revision: str,
        *,
        memory: int = 64 << 20,
        steps: int = 500_000_000,
    ) -> None:
        self._data = orjson.dumps({"pack": pack})
        self._revision = revision
        self._memory = memory
        self._steps = steps
        self._lock = threading.Lock()
        try:
            self._engine, self._module = _compiled(module)
            self._instance: _Instance | None = self._fresh()
        except _FAULTS as error:
            raise ValueError(f"not a compiled policy: {_cause(error)}") from error

    @property
    def revision(self) -> str:
        return self._revision

    async def decide(self, question: Question) -> Decision:
        """Decide. Raises `Unavailable` (POLICY_ERROR) whatever goes wrong."""
        try:
            asked = orjson.dumps(question)
        except TypeError as error:
            raise _error(f"the question is not JSON: {error}") from error
        with self._lock:
            answer = self._answer(asked)
        return Decision(new_id("dec"), self._revision, Verdict.parse(_result(answer)))

    def _answer(self, asked: bytes) -> bytes:
        instance, self._instance = self._instance, None
        try:
            instance = instance or self._fresh()
            answer = instance.evaluate(asked, self._steps)
        except _FAULTS as error:
            raise _error(f"the engine failed: {_cause(error)}") from error
        self._instance = instance
        return answer

    def _fresh(self) -> _Instance:
        store = Store(self._engine)
        store.set_limits(memory_size=self._memory, instances=1, memories=1, tables=1)
        store.set_fuel(_LOADING_STEPS)
        return _Instance(store, self._module, self._data)


@lru_cache(maxsize=4)
def _compiled(module: bytes) -> tuple[Engine, Module]:
    """The module as machine code, which every policy that it interprets may share."""
    config = Config()
    config.consume_fuel = True
    engine = Engine(config)
    return engine, Module(engine, module)


class _BadModule(Exception):
    """The module is not what the ABI says, or gave up by itself."""


_FAULTS = (Trap, WasmtimeError, _BadModule, IndexError)


class _Instance:
    """One instance of the module, with its data. After a failure it must not be used again."""

    def __init__(self, store: Store, module: Module, data: bytes) -> None:
        self._store = store
        self._memory = Memory(store, _memory_type(module))
        linker = Linker(store.engine)
        linker.define(store, "env", "memory", self._memory)
        linker.define_func(
            "env", "opa_abort", FuncType([ValType.i32()], []), _abort, access_caller=True
        )
        linker.define_unknown_imports_as_traps(module)
        self._exports = linker.instantiate(store, module).exports(store)
        self._eval = self._export("opa_eval", Func)
        self._check()
        self._data = self._load(data)
        self._base: int = self._export("opa_heap_ptr_get", Func)(store)

    def evaluate(self, asked: bytes, steps: int) -> bytes:
        """The JSON that the entrypoint answers to the JSON `asked`.

        The heap begins at the same place each time, so nothing is left of what was asked
        before. Raises one of `_FAULTS`.
        """
        store, base = self._store, self._base
        self._put(asked, base)
        store.set_fuel(steps)
        end = base + len(asked)
        return self._text(self._eval(store, 0, 0, self._data, base, len(asked), end, _JSON))

    def _check(self) -> None:
        """Whether this is a module of ABI 1.2 or later, with our entrypoint and nothing that
        the host would have to supply."""
        store = self._store
        abi = [
            self._export(f"opa_wasm_abi_{part}", Global).value(store)
            for part in ("version", "minor_version")
        ]
        if abi[0] != 1 or abi[1] < 2:
            raise _BadModule(f"its ABI is {abi[0]}.{abi[1]}, and 1.2 or later is needed")
        if builtins := self._described("builtins"):
            raise _BadModule(f"it needs builtins of the host: {', '.join(sorted(builtins))}")
        if self._described("entrypoints").get(ENTRYPOINT) != 0:
            raise _BadModule(f"its entrypoint is not {ENTRYPOINT}")

    def _described(self, name: str) -> dict[str, int]:
        value = self._export(name, Func)(self._store)
        described: dict[str, int] = orjson.loads(
            self._text(self._export("opa_json_dump", Func)(self._store, value))
        )
        return described

    def _load(self, data: bytes) -> int:
        """The address of `data`, parsed."""
        store = self._store
        at = self._export("opa_malloc", Func)(store, len(data))
        self._put(data, at)
        parsed: int = self._export("opa_json_parse", Func)(store, at, len(data))
        if parsed == 0:
            raise _BadModule("it cannot read the pack")
        self._export("opa_free", Func)(store, at)
        return parsed

    def _put(self, value: bytes, at: int) -> None:
        short = at + len(value) - self._memory.data_len(self._store)
        if short > 0:
            self._memory.grow(self._store, -(-short // _PAGE))
        self._memory.write(self._store, value, at)

    def _text(self, at: int) -> bytes:
        """What stands at `at`, to the first zero byte."""
        store, end = self._store, self._memory.data_len(self._store)
        text = bytearray()
        while 0 < at < end:
            chunk = self._memory.read(store, at, at + _CHUNK)
            text += chunk
            if (length := chunk.find(0)) >= 0:
                del text[len(text) - len(chunk) + length :]
                return bytes(text)
            at += _CHUNK
        raise _BadModule("it answered with an address outside its memory")

    def _export(self, name: str, kind: type[_Extern]) -> _Extern:
        export = self._exports.get(name)
        if not isinstance(export, kind):
            raise _BadModule(f"it exports no {name}")
        return export


def _memory_type(module: Module) -> MemoryType:
    for wanted in module.imports:
        if isinstance(wanted.type, MemoryType):
            return MemoryType(Limits(wanted.type.limits.min, None))
    raise _BadModule("it imports no memory")


def _abort(caller: Caller, at: int) -> None:
    """The module gives up: `opa_abort`, with a message at `at`."""
    memory = caller.get("memory")
    said = memory.read(caller, at, at + 200) if isinstance(memory, Memory) else bytearray()
    raise _BadModule(said.split(b"\0")[0].decode(errors="replace"))


def _result(answer: bytes) -> object:
    """The one result in an answer; None when the entrypoint is undefined."""
    try:
        match orjson.loads(answer):
            case [{"result": result}]:
                return result
            case []:
                return None
    except orjson.JSONDecodeError as error:
        raise _error("it answered no JSON") from error
    raise _error("it answered in another shape than the ABI's")


def _cause(error: Exception) -> str:
    """What went wrong: the last line of what may be a backtrace."""
    return str(error).strip().rpartition("\n")[2].strip()


def _error(what: str) -> Unavailable:
    return Unavailable(Code.POLICY_ERROR, f"The policy could not be evaluated: {what}.")
