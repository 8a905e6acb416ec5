"""How the class of an object is told: one of many, each on its own, or by a tree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sknets._inputs.naming import on_one_line


class Classes(Protocol):
    """From scores (n, n_scores) to probabilities (n, K), and their losses (n,)."""

    n_scores: int

    def __call__(self, scores: Tensor) -> Tensor: ...

    def losses(self, scores: Tensor, labels: Tensor) -> Tensor: ...


class OneOfMany:
    """Softmax."""

    def __init__(self, n_classes: int):
        self.n_scores = n_classes

    def __call__(self, scores: Tensor) -> Tensor:
        return scores.softmax(-1)

    def losses(self, scores: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(scores, labels, reduction="none")


class EachOnItsOwn:
    """A logistic classifier a class, as in YOLO 3."""

    def __init__(self, n_classes: int):
        self.n_scores = n_classes

    def __call__(self, scores: Tensor) -> Tensor:
        return scores.sigmoid()

    def losses(self, scores: Tensor, labels: Tensor) -> Tensor:
        true: Any = F.one_hot(labels, self.n_scores).to(scores.dtype)
        losses = F.binary_cross_entropy_with_logits(scores, true, reduction="none")
        return losses.sum(-1)


class WordTree:
    """A softmax among the children of each word: those of YOLO 9000.

    Parameters
    ----------
    parents : int64 ndarray of shape (K,)
        The parent of each word, -1 of the first ones.
    threshold : float
        How probable a word has to be to be told instead of its parent.
    level : int or None
        How far down words are told, 1 being the first ones, whatever their
        probability; None: as far as they are probable enough.
    """

    def __init__(
        self, parents: np.ndarray, threshold: float = 0.5, level: int | None = None
    ):
        self.parents, self.threshold, self.level = parents, threshold, level
        self.n_scores = n = len(parents)
        self.depths = np.array([len(self._line(k)) for k in range(n)])
        self.groups = [np.flatnonzero(parents == p) for p in np.unique(parents)]
        # Which words a word is: itself and those above it.
        self.lines = np.zeros((n, n), bool)
        for k in range(n):
            self.lines[k, self._line(k)] = True
        self.deepest_first = np.argsort(-self.depths, kind="stable")

    def _line(self, k: int) -> list[int]:
        line = []
        while k >= 0:
            line.append(k)
            k = int(self.parents[k])
        return line

    def logarithms(self, scores: Tensor) -> Tensor:
        """Of the probability of each word, given its parent."""
        found = torch.empty_like(scores)
        for group in self.groups:
            found[..., group] = scores[..., group].log_softmax(-1)
        return found

    def probabilities(self, scores: Tensor) -> Tensor:
        """Of each word, the product along the line of those above it."""
        lines = torch.from_numpy(self.lines).to(scores)
        return (self.logarithms(scores) @ lines.T).exp()

    def __call__(self, scores: Tensor) -> Tensor:
        """(n, K), 0 but for the one word that is told."""
        p = self.probabilities(scores)
        depths = torch.from_numpy(self.depths).to(p.device)
        if self.level is None:
            # Down the most probable children, while they are probable enough.
            told = torch.zeros(p.shape[:-1], dtype=torch.int64, device=p.device) - 1
            parents = torch.from_numpy(self.parents).to(p.device)
            for depth in range(1, int(self.depths.max()) + 1):
                below = (parents == told[..., None]) & (depths == depth)
                best, child = p.masked_fill(~below, -1).max(-1)
                go = best >= (self.threshold if depth > 1 else 0)
                told = torch.where(go, child, told)
        else:
            # A line may end above the level: its last word stands for it.
            ends = ~np.isin(np.arange(len(depths)), self.parents)
            there = (self.depths == self.level) | (ends & (self.depths < self.level))
            told = p.masked_fill(~torch.from_numpy(there).to(p.device), -1).argmax(-1)
        return torch.where(F.one_hot(told, self.n_scores).bool(), p, 0.0)

    def losses(self, scores: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropies at a word and at all above it; below it nothing is known."""
        lines = torch.from_numpy(self.lines).to(scores)
        return -(self.logarithms(scores) * lines[labels]).sum(-1)


def words_of(hierarchy: Any) -> tuple[list[Any], np.ndarray]:
    """The words of a tree and the number of each one's parent, -1 of the first ones.

    Parameters
    ----------
    hierarchy : nested dict, or sequence of (word, parent)
        As {"animal": {"dog": {}, "cat": {}}}; the parent of a first word is None, or
        a word that has no pair of its own.

    Raises
    ------
    ValueError
        The rule that it breaks.
    """
    pairs: list[tuple[Any, Any]] = []

    def walk(words: Any, parent: Any) -> None:
        for word in words:
            pairs.append((word, parent))
            below = words[word] if isinstance(words, dict) else None
            if isinstance(below, dict | list | tuple | set):
                walk(below, word)
            elif below is not None:
                raise ValueError(
                    f"hierarchy[{word!r}] must be a dict or a list of words, got "
                    f"{on_one_line(below)}"
                )

    if isinstance(hierarchy, dict):
        walk(hierarchy, None)
    else:
        for pair in hierarchy:
            if not isinstance(pair, Sequence) or isinstance(pair, str) or len(pair) - 2:
                raise ValueError(
                    "hierarchy must be a nested dict or pairs of a word and its "
                    f"parent, got {on_one_line(pair)}"
                )
            pairs.append((pair[0], pair[1]))
        named = {word for word, _ in pairs}
        for _, parent in list(pairs):
            if parent is not None and parent not in named:
                named.add(parent)
                pairs.append((parent, None))
    above: dict[Any, Any] = {}
    for word, parent in pairs:
        if word in above:
            raise ValueError(f"hierarchy has {word!r} twice")
        above[word] = parent
    for word in above:
        seen, at = {word}, above[word]
        while at is not None:
            if at in seen:
                raise ValueError(f"hierarchy has {word!r} below itself")
            seen.add(at)
            at = above[at]
    words = sorted(above)
    number = {word: k for k, word in enumerate(words)}
    parents = [-1 if above[w] is None else number[above[w]] for w in words]
    return words, np.array(parents, np.int64)


__all__ = ["Classes", "EachOnItsOwn", "OneOfMany", "WordTree", "words_of"]
