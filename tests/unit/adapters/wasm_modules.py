"""Tiny Wasm modules that keep OPA's ABI and answer what a test says, or misbehave."""

from __future__ import annotations

import json

from wasmtime import wat2wasm

_TEMPLATE = """
(module
  (import "env" "memory" (memory 2))
  (import "env" "opa_abort" (func $abort (param i32)))
  (import "env" "opa_builtin0" (func $builtin (param i32 i32) (result i32)))
  (export "memory" (memory 0))
  (global (export "opa_wasm_abi_version") i32 (i32.const {abi}))
  (global (export "opa_wasm_abi_minor_version") i32 (i32.const 3))
  (data (i32.const 1024) "{{}}\\00")
  (data (i32.const 2048) "{entrypoints}\\00")
  (data (i32.const 4096) "{answer}\\00")
  (func (export "builtins") (result i32) (i32.const {builtins}))
  (func (export "entrypoints") (result i32) (i32.const 2048))
  (func (export "opa_json_dump") (param i32) (result i32) (local.get 0))
  (func (export "opa_malloc") (param i32) (result i32) (i32.const 65536))
  (func (export "opa_free") (param i32))
  (func (export "opa_json_parse") (param i32 i32) (result i32) (i32.const {parsed}))
  (func (export "opa_heap_ptr_get") (result i32) (i32.const 65536))
  (func (export "opa_eval") (param i32 i32 i32 i32 i32 i32 i32) (result i32)
    {body}
    (i32.const 4096)))
"""


def module(
    body: str = "",
    answer: str = "[]",
    entrypoints: str = '{"govgate/decision": 0}',
    builtins: int = 1024,
    abi: int = 1,
    parsed: int = 65536,
) -> bytes:
    """A module whose `opa_eval` runs `body` (WebAssembly text) and answers `answer`."""
    wat = _TEMPLATE.format(
        body=body,
        answer=_text(answer),
        entrypoints=_text(entrypoints),
        builtins=builtins,
        abi=abi,
        parsed=parsed,
    )
    return bytes(wat2wasm(wat))


def answering(result: object) -> bytes:
    """A module whose entrypoint is `result`; undefined when that is None."""
    return module(answer=json.dumps([] if result is None else [{"result": result}]))


def _text(value: str) -> str:
    return "".join(f"\\{byte:02x}" for byte in value.encode())
