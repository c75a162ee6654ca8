"""One exchange: fields written once, work done at the end whatever happens, and its outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from gateway.core.errors import Code, Denied, Filtered, OverBudget, Unavailable, UpstreamError
from gateway.core.exchange import Call, Exchange, Once, Outcome, outcome_of
from tests.exchanges import MODEL, SOMEBODY, chat_request, decided, exchange_of

FIELDS = sorted(name for name, value in vars(Exchange).items() if isinstance(value, Once))


def new() -> Exchange:
    return exchange_of(chat_request())


def noting(done: list[str], what: str, fault: Exception | None = None
           ) -> Callable[[], Awaitable[None]]:  # fmt: skip
    """Work that notes that it was done, and may then fail."""

    async def work() -> None:
        done.append(what)
        if fault is not None:
            raise fault

    return work


async def leave(exchange: Exchange, why: Exception | None = None) -> None:
    """Enter the exchange and leave it, by `why`."""
    async with exchange:
        if why is not None:
            raise why


@pytest.mark.parametrize("field", FIELDS)
def test_a_field_is_written_once_and_never_read_before(field: str) -> None:
    exchange = new()
    assert not exchange.knows(field)
    with pytest.raises(LookupError, match=field):
        getattr(exchange, field)
    setattr(exchange, field, None)  # None is a value: the field is then known
    assert exchange.knows(field)
    assert getattr(exchange, field) is None
    with pytest.raises(AttributeError, match=field):
        setattr(exchange, field, "again")
    assert getattr(exchange, field) is None


def test_what_was_found_in_a_text_that_was_replaced_is_not_there_any_more() -> None:
    exchange = decided(chat_request("hello", "there", user="ann"))
    before = [slot.where for slot in exchange.slots]
    [named] = exchange.dialect.users(exchange.request)
    exchange.replaced(named)
    assert [slot.where for slot in exchange.slots] == [at for at in before if at != "/user"]
    assert len(before) == len(exchange.slots) + 1


def test_the_fields_are_those_that_stages_write() -> None:
    assert FIELDS == [
        "account", "decision", "judge", "model", "principal", "question", "received", "request",
        "slots",
    ]  # fmt: skip


def test_exchanges_share_nothing() -> None:
    one, other = new(), new()
    one.principal = SOMEBODY
    one.headers["x"] = "y"
    one.labels.append("l")
    assert not other.knows("principal")
    assert (other.headers, other.labels, other.findings) == ({}, [], [])
    assert one.id != other.id


def test_it_may_go_on_with_another_target() -> None:
    exchange = new()
    exchange.model = MODEL
    other = replace(MODEL, upstream="other")
    exchange.turn_to(other)
    assert exchange.model is other


def test_it_is_no_stream_before_the_request_is_read() -> None:
    exchange = new()
    assert not exchange.streamed
    exchange.request = chat_request(stream=True)
    assert exchange.streamed


def test_time_is_added_up_by_concern() -> None:
    exchange = new()
    exchange.timings["policy"] = 10**12
    with exchange.timed("policy"), exchange.timed("inspect"):
        pass
    with pytest.raises(ZeroDivisionError), exchange.timed("inspect"):
        _ = 1 / 0
    assert exchange.timings["policy"] > 10**12
    assert list(exchange.timings) == ["policy", "inspect"]
    assert exchange.elapsed > 0


def test_a_call_brings_no_authority_by_default() -> None:
    assert Exchange(new().dialect, new().read).call == Call(None, {})


async def test_deferred_work_runs_newest_first_and_only_once() -> None:
    done: list[str] = []
    exchange = new()
    async with exchange:
        for name in ("first", "second", "third"):
            exchange.defer(noting(done, name))
        assert done == []
    assert done == ["third", "second", "first"]
    async with exchange:
        pass
    assert done == ["third", "second", "first"]


async def test_work_that_is_deferred_at_the_end_is_done_too() -> None:
    done: list[str] = []
    exchange = new()

    async def one_more() -> None:
        exchange.defer(noting(done, "late"))

    async with exchange:
        exchange.defer(noting(done, "early"))
        exchange.defer(one_more)
    assert done == ["late", "early"]


async def test_a_fault_at_the_end_stops_nothing_and_is_raised() -> None:
    done: list[str] = []
    fault = OSError("x")
    exchange = new()
    exchange.defer(noting(done, "first"))
    exchange.defer(noting(done, "second", fault))
    with pytest.raises(OSError, match="x") as raised:
        await leave(exchange)
    assert raised.value is fault
    assert done == ["second", "first"]
    assert exchange.outcome is Outcome.COMPLETED


async def test_several_faults_are_raised_together_newest_first() -> None:
    done: list[str] = []
    faults = [OSError("first"), KeyError("second")]
    exchange = new()
    for fault in faults:
        exchange.defer(noting(done, "x", fault))
    with pytest.raises(ExceptionGroup) as raised:
        await leave(exchange)
    assert list(raised.value.exceptions) == faults[::-1]


async def test_what_stopped_the_exchange_is_the_context_of_a_fault_at_the_end() -> None:
    why = Denied(Code.CONTENT_FILTER, "no")
    exchange = new()
    exchange.defer(noting([], "x", OSError("x")))
    with pytest.raises(OSError, match="x") as raised:
        await leave(exchange, why)
    assert raised.value.__context__ is why
    assert exchange.outcome is Outcome.DENIED


@pytest.mark.parametrize("cancels", [1, 3])
async def test_a_cancelled_exchange_still_ends(cancels: int) -> None:
    """Cancelled while it runs, and again and again while it ends."""
    running, ending, go_on = asyncio.Event(), asyncio.Event(), asyncio.Event()
    done: list[str] = []
    exchange = new()

    async def slow() -> None:
        ending.set()
        await go_on.wait()
        done.append("slow")

    async def visit() -> None:
        async with exchange:
            exchange.defer(noting(done, "first"))
            exchange.defer(slow)
            running.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(visit())
    await running.wait()
    task.cancel()
    await ending.wait()
    for _ in range(cancels):
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == ["slow", "first"]
    assert exchange.outcome is Outcome.CANCELLED


async def test_a_cancellation_while_a_good_exchange_ends_is_not_lost() -> None:
    ending, go_on = asyncio.Event(), asyncio.Event()
    exchange = new()

    async def slow() -> None:
        ending.set()
        await go_on.wait()

    async def visit() -> None:
        async with exchange:
            exchange.defer(slow)

    task = asyncio.create_task(visit())
    await ending.wait()
    task.cancel()
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert exchange.outcome is Outcome.COMPLETED


async def test_an_outcome_that_a_stage_wrote_stands() -> None:
    exchange = new()
    exchange.outcome = Outcome.COMPLETED
    with pytest.raises(OSError, match="x"):
        await leave(exchange, OSError("x"))
    assert exchange.outcome is Outcome.COMPLETED


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (None, Outcome.COMPLETED),
        (Denied(Code.CONTENT_FILTER, ""), Outcome.DENIED),
        (OverBudget(0, ""), Outcome.DENIED),
        (Filtered(Code.CONTENT_FILTER, ""), Outcome.FILTERED),
        (Unavailable(Code.POLICY_ERROR, ""), Outcome.FAILED),
        (UpstreamError(Code.UPSTREAM_ERROR, ""), Outcome.FAILED),
        (RuntimeError(), Outcome.FAILED),
        (asyncio.CancelledError(), Outcome.CANCELLED),
        (KeyboardInterrupt(), Outcome.CANCELLED),
    ],
    ids=lambda value: type(value).__name__,
)
def test_how_an_exchange_ended_is_told_from_what_ended_it(
    error: BaseException | None, outcome: Outcome
) -> None:
    assert outcome_of(error) is outcome
