"""How well vectors of words go with what people say: similarities and analogies."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

# So many questions are answered by one product.
_TOGETHER = 512


def _is_path(rows: Any) -> bool:
    return isinstance(rows, str | os.PathLike)


def _rows(given: Any) -> Any:
    """Those of a list, an array or a frame."""
    given = given.to_numpy() if hasattr(given, "to_numpy") else given
    return given.tolist() if isinstance(given, np.ndarray) else given


def _lines(who: str, path: Any) -> Iterator[str]:
    try:
        with Path(path).open(encoding="utf-8-sig") as file:
            yield from (line.strip() for line in file)
    except FileNotFoundError as error:
        raise ValueError(f"{who}({str(path)!r}): there is no such file") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{who}({str(path)!r}): it is not UTF-8") from error


def _pairs(who: str, given: Any) -> Iterator[tuple[str, str, float]]:
    if not _is_path(given):
        for i, row in enumerate(_rows(given)):
            try:
                a, b, value = row
                words, number = isinstance(a, str) and isinstance(b, str), float(value)
            except (TypeError, ValueError):
                words = False
            if not words:
                raise ValueError(
                    f"{who}: pairs[{i}] must be two words and a number, got {row!r:.60}"
                )
            yield a, b, number
        return
    for line in _lines(who, given):
        parts = line.replace(",", "\t").split("\t")
        if line.startswith("#") or len(parts) < 3:
            continue
        try:
            yield parts[0].strip(), parts[1].strip(), float(parts[2])
        except ValueError:
            continue  # names of columns


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    norms = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / max(norms, 1e-12)


def judge_pairs(estimator: Any, pairs: Any) -> dict[str, float]:
    """See `WordVectorizer.evaluate_word_pairs`."""
    who = f"{type(estimator).__name__}.evaluate_word_pairs"
    found, told, n = [], [], 0
    for a, b, value in _pairs(who, pairs):
        n += 1
        vectors = [estimator._found(word) for word in (a, b)]
        if vectors[0] is not None and vectors[1] is not None:
            found.append(cosine(*vectors))
            told.append(value)
    if len(found) < 2:
        raise ValueError(
            f"{who}: of {n} pairs fit has learned both words of {len(found)}; at least "
            "two must be known"
        )
    return {
        "spearman": float(stats.spearmanr(found, told).statistic),
        "pearson": float(stats.pearsonr(found, told).statistic),
        "n_pairs": len(found),
        "unknown": 1 - len(found) / n,
    }


def _questions(who: str, given: Any) -> Iterator[tuple[str, list[str]]]:
    section = "all"
    if not _is_path(given):
        for i, row in enumerate(_rows(given)):
            words = list(row) if isinstance(row, list | tuple) else []
            if len(words) != 4 or not all(isinstance(w, str) for w in words):
                raise ValueError(
                    f"{who}: questions[{i}] must be four words, got {row!r:.60}"
                )
            yield section, words
        return
    for line in _lines(who, given):
        if line.startswith(":"):
            section = line[1:].strip()
        elif len(line.split()) == 4:
            yield section, line.split()


def judge_analogies(estimator: Any, questions: Any) -> dict[str, Any]:
    """See `WordVectorizer.evaluate_analogies`."""
    who = f"{type(estimator).__name__}.evaluate_analogies"
    known = estimator.vocabulary_

    def number(word: str) -> int:
        found = known.get(word, -1)
        return (
            known.get(word.lower(), -1) if estimator.lowercase and found < 0 else found
        )

    sections, rows, n = [], [], 0
    for section, words in _questions(who, questions):
        n += 1
        numbers = [number(word) for word in words]
        if min(numbers) >= 0:
            sections.append(section)
            rows.append(numbers)
    if not rows:
        raise ValueError(
            f"{who}: fit has learned all words of none of the {n} questions"
        )
    table = np.array(rows)
    vectors = estimator.vectors_
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1), 1e-12)[:, None]
    right = np.empty(len(table), bool)
    for start in range(0, len(table), _TOGETHER):
        a, b, c, d = table[start : start + _TOGETHER].T
        cosines = (unit[b] - unit[a] + unit[c]) @ unit.T
        for given in (a, b, c):
            cosines[np.arange(len(a)), given] = -np.inf
        right[start : start + len(a)] = cosines.argmax(1) == d
    names = np.array(sections)
    return {
        "accuracy": float(right.mean()),
        "n_questions": len(table),
        "unknown": 1 - len(table) / n,
        "sections": {
            s: float(right[names == s].mean()) for s in dict.fromkeys(sections)
        },
    }


__all__ = ["cosine", "judge_analogies", "judge_pairs"]
