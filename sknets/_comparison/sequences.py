"""Sequences and texts for `compare`: what they are, and tables made of them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.feature_extraction.text import TfidfVectorizer

from sknets._inputs import Sequences
from sknets._inputs.text import is_missing
from sknets._inputs.waveforms import Waveforms
from sknets._params import Declared, param


class SequenceStatistics(TransformerMixin, Declared, BaseEstimator):
    """Rows of each channel's statistics and the length, for models of tables.

    A channel's mean, standard deviation, least, median and largest value, its first and
    last one, and the mean size of its moves from step to step.
    """

    def fit(self, X: Any, y: Any = None) -> SequenceStatistics:
        """Learn the number of channels."""
        self.reader_ = Sequences.of(self)
        self.reader_.learn(X)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return (n_samples, 8 * n_channels + 1) numbers."""
        steps = self.reader_.read(X)
        values = steps.values.double().flatten(0, -2).numpy()
        ends = steps.counts.cumsum(0).tolist()
        return np.array([_statistics(x) for x in np.split(values, ends[:-1])])


def _statistics(x: np.ndarray) -> np.ndarray:
    moves = np.abs(np.diff(x, axis=0)).mean(0) if len(x) > 1 else np.zeros(x.shape[1])
    quantiles = np.quantile(x, [0, 0.5, 1], axis=0).ravel()
    parts = [x.mean(0), x.std(0), quantiles, x[0], x[-1], moves, [len(x)]]
    return np.concatenate(parts)


class SoundThirds(TransformerMixin, Declared, BaseEstimator):
    """Rows of the mean of each band of waveforms, or channel, in each third."""

    sample_rate: float = param(default=8000, above=0)

    def fit(self, X: Any, y: Any = None) -> SoundThirds:
        """Learn whether X are waveforms, and the number of channels."""
        self.reader_ = Waveforms.of(self)
        self.reader_.learn(X)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return (n_samples, 3 * n_channels) numbers."""
        steps = self.reader_.read(X)
        values = steps.values.double().flatten(0, -2).numpy()
        ends = steps.counts.cumsum(0).tolist()
        return np.array([_thirds(x) for x in np.split(values, ends[:-1])])


def _thirds(x: np.ndarray) -> np.ndarray:
    ends = [len(x) * i // 3 for i in range(4)]
    parts = [x[a : max(b, a + 1)].mean(0) for a, b in pairwise(ends)]
    return np.concatenate(parts)


def describe_sequences(X: Any) -> tuple[list[str], list[str]]:
    """Return the facts and the notes about sequences.

    Raises
    ------
    ValueError
        When they cannot be read; the sentence is ``compare``'s.
    """
    try:
        steps = Sequences.of(SequenceStatistics()).learn(X)
    except ValueError as error:
        why = str(error).removeprefix("SequenceStatistics").lstrip(": ")
        raise ValueError(f"compare(X=...): {why}") from error
    lengths, n = steps.counts, steps.values.shape[-1]
    least, most = int(lengths.min()), int(lengths.max())
    long = f"{least} steps" if least == most else f"{least} to {most} steps"
    channels = f"{n} channel{'' if n == 1 else 's'}"
    notes = [
        "classical models see statistics of each sequence, but MiniRocket and 1-NN DTW "
        "its steps"
    ]
    return [f"{len(steps):,} sequences of {long}, {channels}"], notes


def describe_texts(X: Any) -> tuple[list[str], list[str]]:
    """Return the facts and the notes about texts."""
    for i, text in enumerate(X):
        if not isinstance(text, str | list | tuple):
            fix = "; make it ''" if is_missing(text) else ""
            raise ValueError(
                f"compare(X=...): X[{i}] must be a text or a list of tokens, got "
                f"{text!r:.60}{fix}"
            )
    words = [len(text.split() if isinstance(text, str) else text) for text in X]
    notes = [
        "classical models see TF-IDF weights of words and of pairs of words, but those "
        "with Word2Vec in their name vectors of words"
    ]
    return [f"{len(words):,} texts (median {np.median(words):.0f} words)"], notes


def tfidf(X: Any) -> TfidfVectorizer:
    """Weights of words and of pairs of words; of tokens, where X holds lists."""
    if all(isinstance(text, str) for text in X):
        return TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2))
    return TfidfVectorizer(analyzer=as_tokens, sublinear_tf=True)


def as_tokens(text: Any) -> list[str]:
    """A text as a list of tokens."""
    return text.split() if isinstance(text, str) else list(text)


__all__ = [
    "SequenceStatistics",
    "SoundThirds",
    "describe_sequences",
    "describe_texts",
    "tfidf",
]
