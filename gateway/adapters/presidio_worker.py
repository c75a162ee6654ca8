"""What an analyzer worker runs. Never imported by the server: Presidio's analyzer loads spaCy."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from functools import lru_cache

import tldextract
from presidio_analyzer import AnalyzerEngine, EntityRecognizer, RecognizerRegistry, RecognizerResult
from presidio_analyzer.nlp_engine import NlpArtifacts, NoOpNlpEngine

Recognise = Callable[[str], Sequence[tuple[str, int, int, float]]]

_LANGUAGE = "en"
"""Presidio asks for one. Ours recognise in every language."""


class PackRecognizer(EntityRecognizer):
    """Our pattern pack, as Presidio knows recognisers."""

    def __init__(self, recognise: Recognise, labels: Sequence[str]) -> None:
        self._recognise = recognise
        super().__init__(list(labels), name="govgate", supported_language=_LANGUAGE)

    def load(self) -> None:
        """Nothing to load: the patterns are compiled when they are first used."""

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts
    ) -> list[RecognizerResult]:
        """What the pack finds of `entities` in `text`."""
        return [
            RecognizerResult(label, start, end, score)
            for label, start, end, score in self._recognise(text)
            if label in entities
        ]


@lru_cache(maxsize=1)
def engine(recognise: Recognise, labels: tuple[str, ...], predefined: bool) -> AnalyzerEngine:
    """This worker's engine, built once: the pack, and Presidio's own recognisers if wanted."""
    # Its e-mail recogniser would fetch the public suffix list; the copy in the package will do.
    offline = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
    tldextract.tldextract.TLD_EXTRACTOR = offline
    language = NoOpNlpEngine([{"lang_code": _LANGUAGE, "model_name": "none"}])
    registry = RecognizerRegistry([PackRecognizer(recognise, labels)])
    if predefined:
        registry.load_predefined_recognizers([_LANGUAGE], language)
    built = AnalyzerEngine(registry, language)
    analyse(built, ["warm up: bob@example.com"], 0)
    return built


def analyse(
    engine: AnalyzerEngine, texts: Sequence[str], seconds: float
) -> list[list[tuple[str, int, int, float]]]:
    """Label, start, end and score of what there is in each text.

    This process ends when it takes longer than `seconds` (0: no limit): the alarm is left to
    its default action, which stops code that would not heed an exception.
    """
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
