"""How alike texts that were found are to true ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


def text_scores(true: Any, found: Any) -> dict[str, float]:
    """BLEU and chrF of a corpus by sacrebleu, and the share of texts that are equal.

    Lists of tokens are taken as the words that they are.

    Raises
    ------
    ImportError
        Without sacrebleu.
    """
    try:
        import sacrebleu
    except ImportError as error:
        raise ImportError(
            "BLEU and chrF are sacrebleu's: pip install 'sknets[text]'"
        ) from error
    equal = sum(
        list(one) == list(other) for one, other in zip(true, found, strict=True)
    )
    listed = any(not isinstance(text, str) for text in true)
    true, found = ([_whole(text) for text in texts] for texts in (true, found))
    # Tokens are not to be cut again.
    cut = "none" if listed else "13a"
    bleu = sacrebleu.BLEU(tokenize=cut, force=True, effective_order=True)
    return {
        "bleu": bleu.corpus_score(found, [true]).score,
        "chrf": sacrebleu.CHRF().corpus_score(found, [true]).score,
        "exact": equal / len(true),
    }


def error_rates(true: Any, found: Any) -> dict[str, float]:
    """Words and characters that are wrong, of so many true ones; texts that are equal.

    The least number of words (characters) to put in, leave out and replace.
    """
    true, found = ([_whole(text) for text in texts] for texts in (true, found))
    pairs = list(zip(true, found, strict=True))

    def rate(cut: Callable[[str], Any]) -> float:
        wrong = sum(edits(cut(one), cut(other)) for one, other in pairs)
        return wrong / sum(len(cut(text)) for text in true)

    equal = sum(one == other for one, other in pairs)
    return {"wer": rate(str.split), "cer": rate(str), "exact": equal / len(pairs)}


def edits(one: Sequence[Any], other: Sequence[Any]) -> int:
    """Levenshtein's distance."""
    places = np.arange(len(other) + 1)
    row = places
    for i, item in enumerate(one, 1):
        differs = np.array([item != each for each in other], bool)
        best = np.minimum(row[1:] + 1, row[:-1] + differs)
        # Whatever is put in costs one more a place.
        row = np.minimum.accumulate(np.append(i, best) - places) + places
    return int(row[-1])


def warped_distance(one: np.ndarray, other: np.ndarray) -> float:
    """The mean difference of frames (T, bands) and (S, bands), as they fit best.

    Of all ways to go on in one or both [Sakoe, Chiba 1978] that of the least sum, by
    as many pairs of frames as it has.
    """
    apart = np.abs(one[:, None] - other).mean(2)
    # Of each pair the sum, and the number, of those on the best way to it.
    best: dict[tuple[int, int], tuple[float, int]] = {}
    for i, j in np.ndindex(apart.shape):
        ways = (best.get(each) for each in ((i - 1, j - 1), (i - 1, j), (i, j - 1)))
        least, n = min((way for way in ways if way), default=(0.0, 0))
        best[i, j] = least + float(apart[i, j]), n + 1
    least, n = best[len(one) - 1, len(other) - 1]
    return least / n


def _whole(text: Any) -> str:
    return text if isinstance(text, str) else " ".join(text)


__all__ = ["edits", "error_rates", "text_scores", "warped_distance"]
