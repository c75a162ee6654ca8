"""Microsoft Presidio: its anonymizer masks, in this process; its analyzer finds, in workers."""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from gateway.core.errors import Code, Unavailable
from gateway.core.findings import Finding
from gateway.core.passages import Passage

if TYPE_CHECKING:
    from presidio_analyzer import AnalyzerEngine


@contextmanager
def _left_out(module: str) -> Iterator[None]:
    """Let an import inside find that `module` is not there, as `sys.modules` documents."""
    sys.modules[module] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[module]


# Presidio's anonymizer has one optional operator, for Azure Health Data Services. Where the
# analyzer is installed, that one imports it, and with it spaCy: 2 s and 200 MB for an operator
# that would send text to a cloud. Presidio handles its absence; so it is absent.
with _left_out("presidio_anonymizer.operators.ahds_surrogate"):
    from presidio_anonymizer import AnonymizerEngine, OperatorConfig, RecognizerResult

_BATCH = 32
"""Spans that Presidio replaces at once: it copies the text for each one."""

_LANGUAGE = "en"
"""Presidio asks for one. Our pack recognises in every language."""

Recognise = Callable[[str], Sequence[tuple[str, int, int, float]]]
"""Finds label, start, end and score in a text. A function of a module, so that it pickles."""


class PresidioMasker:
    """The `Masker` port by Presidio's AnonymizerEngine."""

    def __init__(self) -> None:
        self._engine = AnonymizerEngine()  # type: ignore[no-untyped-call]

    def mask(self, text: str, findings: Sequence[Finding], name: Callable[[str, str], str]) -> str:
        """`text` with each finding replaced by `name(label, value)`, asked in order of the text.

        Findings that overlap become one, labelled as the longest, so that no part of any
        stays readable. What lies outside the text is cut off.
        """
        spans = _disjoint(findings, len(text))
        names: dict[tuple[str, str], str] = {}
        for label, start, end in spans:
            value = text[start:end]
            if (label, value) not in names:
                names[label, value] = name(label, value)
        operators = {
            label: OperatorConfig("custom", {"lambda": partial(_named, names, label)})
            for label, _, _ in spans
        }
        pieces: list[str] = []
        at = 0
        for first in range(0, len(spans), _BATCH):
            batch = spans[first : first + _BATCH]
            end = batch[-1][2]
            found = [RecognizerResult(label, s - at, e - at, 1.0) for label, s, e in batch]
            masked = self._engine.anonymize(
                text[at:end], found, operators, merge_entities_with_spaces=False
            )
            pieces.append(masked.text or "")
            at = end
        return "".join((*pieces, text[at:]))


def _named(names: dict[tuple[str, str], str], label: str, value: str) -> str:
    return names[label, value]


def _disjoint(findings: Sequence[Finding], length: int) -> list[tuple[str, int, int]]:
    """Label, start and end of what is to be masked; findings that share a character as one.

    Presidio would keep two that overlap in part, and print half of one beside the other.
    """
    spans: list[tuple[str, int, int]] = []
    longest = (0, 0.0)
    for finding in sorted(findings, key=lambda finding: (finding.start, -finding.end)):
        start, end = max(0, finding.start), min(length, finding.end)
        if start >= end:
            continue
        size = (end - start, finding.score)
        if spans and start < spans[-1][2]:
            label, first, last = spans[-1]
            spans[-1] = (finding.label if size > longest else label, first, max(last, end))
            longest = max(longest, size)
        else:
            spans.append((finding.label, start, end))
            longest = size
    return spans


class AnalyzerInspector:
    """Presidio's AnalyzerEngine as an inspector, in worker processes.

    `recognise` is our pattern pack, whose findings carry `labels`; `predefined` adds
    Presidio's own English recognisers. The workers start with the first text, or with
    `start`, which takes some seconds; a text may take `seconds` or its worker ends itself.
    A worker that died takes its fellows with it, and the next text starts new ones.
    """

    name = "presidio"

    def __init__(
        self,
        recognise: Recognise,
        labels: Sequence[str],
        *,
        predefined: bool = False,
        workers: int = 1,
        seconds: float = 2.0,
        start_seconds: float = 60.0,
    ) -> None:
        self._pack = (recognise, tuple(labels), predefined)
        self._workers = workers
        self._seconds = seconds
        self._start_seconds = start_seconds
        self._pool: ProcessPoolExecutor | None = None
        self._ready: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the workers and wait until each is ready. Raises `Unavailable`."""
        await self._ask([])

    async def inspect(self, passages: Sequence[Passage]) -> list[Finding]:
        """What ends in the passages' text. Raises `Unavailable` (INSPECTION_UNAVAILABLE)."""
        found = await self._ask([passage.before + passage.text for passage in passages])
        return [
            Finding("pii", label, passage.where, start - len(passage.before),
                    end - len(passage.before), score, passage.direction)
            for passage, hits in zip(passages, found, strict=True)
            for label, start, end, score in hits
            if end > len(passage.before)
        ]  # fmt: skip

    async def aclose(self) -> None:
        """End the workers."""
        pool, self._pool = self._pool, None
        if self._ready is not None:
            self._ready.cancel()
        if pool is not None:
            await asyncio.to_thread(pool.shutdown, cancel_futures=True)

    async def _ask(self, texts: Sequence[str]) -> Sequence[Sequence[tuple[str, int, int, float]]]:
        pool, ready = self._running()
        try:
            async with asyncio.timeout(self._start_seconds):
                await asyncio.shield(ready)
            if not texts:
                return []
            async with asyncio.timeout(2 * self._seconds):  # for the queue, and for the work
                return await asyncio.wrap_future(
                    pool.submit(_analyse, *self._pack, texts, self._seconds)
                )
        except Exception as error:  # noqa: BLE001  whatever a recogniser raises: fail closed
            if isinstance(error, BrokenExecutor) or not _succeeded(ready):
                self._drop(pool)
            # Not chained, and without its words: they may quote the text.
            raise Unavailable(
                Code.INSPECTION_UNAVAILABLE, f"The analyzer could not look: {type(error).__name__}."
            ) from None

    def _running(self) -> tuple[ProcessPoolExecutor, asyncio.Task[None]]:
        if self._pool is None or self._ready is None:
            spawn = multiprocessing.get_context("spawn")  # forking a process with threads hangs
            self._pool = ProcessPoolExecutor(self._workers, mp_context=spawn)
            self._ready = asyncio.create_task(self._warm(self._pool))
        return self._pool, self._ready

    async def _warm(self, pool: ProcessPoolExecutor) -> None:
        """Have each worker build its engine."""
        tasks = [pool.submit(_build, *self._pack) for _ in range(self._workers)]
        await asyncio.gather(*map(asyncio.wrap_future, tasks))

    def _drop(self, pool: ProcessPoolExecutor) -> None:
        """Give a pool up; the next text starts another."""
        if self._pool is pool:
            self._pool = self._ready = None
        pool.shutdown(wait=False, cancel_futures=True)


def _succeeded(task: asyncio.Task[None]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is None


# What follows runs in the workers. Presidio's analyzer is imported there only: it takes two
# seconds and 200 MB, most of it spaCy.


@lru_cache(maxsize=1)
def _engine(recognise: Recognise, labels: tuple[str, ...], predefined: bool) -> AnalyzerEngine:
    """This worker's engine, built once: the pack, and Presidio's own recognisers if wanted."""
    import tldextract
    from presidio_analyzer import AnalyzerEngine, EntityRecognizer, RecognizerRegistry
    from presidio_analyzer import RecognizerResult as Result
    from presidio_analyzer.nlp_engine import NlpArtifacts, NoOpNlpEngine

    class PackRecognizer(EntityRecognizer):
        """Our pattern pack, as Presidio knows recognisers."""

        def load(self) -> None:
            """Nothing to load: the patterns are compiled when they are first used."""

        def analyze(
            self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts
        ) -> list[Result]:
            return [Result(*hit) for hit in recognise(text) if hit[0] in entities]

    # Its e-mail recogniser would fetch the public suffix list; the copy in the package will do.
    offline = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
    tldextract.tldextract.TLD_EXTRACTOR = offline
    language = NoOpNlpEngine([{"lang_code": _LANGUAGE, "model_name": "none"}])
    pack = PackRecognizer(list(labels), name="govgate", supported_language=_LANGUAGE)
    registry = RecognizerRegistry([pack])
    if predefined:
        registry.load_predefined_recognizers([_LANGUAGE], language)
    return AnalyzerEngine(registry, language)


def _build(recognise: Recognise, labels: tuple[str, ...], predefined: bool) -> None:
    """Build the engine and look at a first text, so that the next costs no more than it must."""
    _engine(recognise, labels, predefined).analyze("bob@example.com", _LANGUAGE)


def _analyse(
    recognise: Recognise,
    labels: tuple[str, ...],
    predefined: bool,
    texts: Sequence[str],
    seconds: float,
) -> list[list[tuple[str, int, int, float]]]:
    """Label, start, end and score of what there is in each text.

    The process ends when that takes longer than `seconds`: the alarm is left to its default
    action, which stops code that would not heed an exception.
    """
    engine = _engine(recognise, labels, predefined)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        return [
            [
                (hit.entity_type, hit.start, hit.end, hit.score)
                for hit in engine.analyze(text, _LANGUAGE)
            ]
            for text in texts
        ]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
