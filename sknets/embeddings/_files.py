"""Vectors of words in the files of the word2vec tool, and in GloVe's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np


def _as_gensim(words: list[str], vectors: np.ndarray) -> Any:
    from gensim.models import KeyedVectors

    keyed = KeyedVectors(vectors.shape[1], count=0)
    keyed.index_to_key = words
    keyed.key_to_index = {word: i for i, word in enumerate(words)}
    keyed.vectors = vectors
    return keyed


def write_vectors(estimator: Any, path: Any, binary: bool) -> None:
    words = list(estimator.vocabulary_)
    spaced = next((word for word in words if len(word.split()) != 1), None)
    if spaced is not None:
        raise ValueError(
            f"{type(estimator).__name__}.save_word2vec_format: the word {spaced!r} has "
            "a space, which ends a word in such files: use save"
        )
    keyed = _as_gensim(words, estimator.vectors_)
    counts = getattr(estimator.reader_, "word_counts_", None)
    if counts is not None:
        keyed.expandos = {"count": counts}
    keyed.save_word2vec_format(str(path), binary=binary)


def read_vectors(owner: str, path: Any, binary: bool) -> tuple[list[str], np.ndarray]:
    """The words of a file, and their vectors."""
    from gensim.models import KeyedVectors

    def refuse(why: str) -> ValueError:
        return ValueError(f"{owner}.load_word2vec_format({str(path)!r}): {why}")

    if not Path(path).is_file():
        raise refuse("there is no such file")
    try:
        if not binary and not _has_header(path):
            words, vectors = _headless(path)
        else:
            keyed = KeyedVectors.load_word2vec_format(str(path), binary=binary)
            words, vectors = list(keyed.index_to_key), keyed.vectors
    except UnicodeDecodeError as error:
        why = "it is not UTF-8"
        fix = "convert it" if binary else "convert it, or set binary=True"
        raise refuse(f"{why}; {fix}") from error
    except (ValueError, EOFError, IndexError) as error:
        why = "it is no file of vectors, or damaged"
        raise refuse(f"{why} (binary={not binary} reads another form)") from error
    if not words or not np.isfinite(vectors).all():
        raise refuse("it holds no vectors, or such that are not finite")
    return words, np.ascontiguousarray(vectors, np.float32)


def _headless(path: Any) -> tuple[list[str], np.ndarray]:
    """Lines of a word and its numbers, as GloVe's tool writes them."""
    from gensim import utils

    words: list[str] = []
    rows: list[np.ndarray] = []
    with utils.open(str(path), "rt", encoding="utf-8") as file:
        for line in file:
            parts = line.rstrip().split(" ")
            n = len(rows[0]) if rows else len(parts) - 1
            words.append(" ".join(parts[:-n]))
            rows.append(np.array(parts[-n:], np.float32))
    return words, np.stack(rows)


def _has_header(path: Any) -> bool:
    """Whether the first line is two numbers; GloVe's files begin with a word."""
    from gensim import utils

    with utils.open(str(path), "rb") as file:
        first = file.readline().decode("utf-8").split()
    return len(first) == 2 and all(each.isdigit() for each in first)


__all__ = ["read_vectors", "write_vectors"]
