"""Known answers in memory: bounded, fresh, and nobody's to spoil."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.adapters.memory_cache import MemoryCache
from gateway.core.ids import new_id
from gateway.core.ports import CachedAnswer


def answer(text: str = "x") -> CachedAnswer:
    return CachedAnswer({"choices": [{"message": {"content": text}}]}, "exc_1")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_what_was_kept_is_found() -> None:
    cache = MemoryCache()
    assert await cache.find(b"k") is None
    await cache.keep(b"k", answer("é"), 60)
    assert await cache.find(b"k") == answer("é")
    assert await cache.find(b"other") is None


async def test_each_gets_a_copy() -> None:
    cache, given_in = MemoryCache(), answer("good")
    await cache.keep(b"k", given_in, 60)
    given_in.answer["choices"].clear()
    for _ in range(2):
        found = await cache.find(b"k")
        assert found == answer("good")
        assert found is not None
        found.answer["choices"][0]["message"]["content"] = "spoilt"


async def test_each_grows_old_in_its_own_time() -> None:
    clock = Clock()
    cache = MemoryCache(now=clock)
    await cache.keep(b"short", answer(), 10)
    await cache.keep(b"long", answer(), 100)
    clock.now = 9.9
    assert await cache.find(b"short")
    clock.now = 10.0
    assert await cache.find(b"short") is None
    assert await cache.find(b"long")
    clock.now = 100.0
    assert await cache.find(b"long") is None


async def test_keeping_again_begins_anew() -> None:
    clock = Clock()
    cache = MemoryCache(now=clock)
    await cache.keep(b"k", answer("old"), 10)
    clock.now = 9.0
    await cache.keep(b"k", answer("new"), 10)
    clock.now = 18.0
    assert await cache.find(b"k") == answer("new")


async def test_the_least_recently_used_goes_first() -> None:
    cache = MemoryCache(most_bytes=1_000)
    await cache.keep(b"a", answer("x" * 100), 60)
    await cache.keep(b"b", answer("x" * 100), 60)
    assert await cache.find(b"a")
    await cache.keep(b"c", answer("x" * 100), 60)
    assert [key for key in (b"a", b"b", b"c") if await cache.find(key)] == [b"a", b"c"]


@pytest.mark.parametrize("most", [0, 256, 1_000])
async def test_it_never_holds_more_than_it_may(most: int) -> None:
    cache = MemoryCache(most_bytes=most)
    for key in range(50):
        await cache.keep(bytes([key]), answer("x" * 40 * key), 60)
    held: list[Any] = [await cache.find(bytes([key])) for key in range(50)]
    sizes = [len(found.answer["choices"][0]["message"]["content"]) for found in held if found]
    assert sum(sizes) <= most
    assert bool(sizes) is (most == 1_000)


async def test_what_was_erased_is_forgotten_with_what_is_under_way() -> None:
    cache = MemoryCache()
    early = CachedAnswer({"a": 1}, new_id("exc"))
    await cache.keep(b"k", early, 60)
    cache.forget()
    assert await cache.find(b"k") is None
    await cache.keep(b"k", early, 60)
    assert await cache.find(b"k") is None
    late = CachedAnswer({"a": 2}, new_id("exd"))
    await cache.keep(b"k", late, 60)
    assert await cache.find(b"k") == late
