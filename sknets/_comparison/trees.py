"""Trees for `compare`: what they are, and the text of their leaves."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from sklearn.base import BaseEstimator, TransformerMixin

from sknets._inputs.trees import read_trees


class LeafText(TransformerMixin, BaseEstimator):
    """Trees as strings of their leaves, for models of text."""

    def fit(self, X: Any, y: Any = None) -> LeafText:
        """Learn nothing."""
        return self

    def transform(self, X: Any) -> list[str]:
        """Return the leaves of each tree, with a space between two."""
        forest = read_trees("LeafText", X, False, False)
        starts, texts, words = forest.starts.tolist(), forest.texts, forest.words
        return [
            " ".join(texts[i] for i in words[a:b].tolist() if i >= 0)
            for a, b in pairwise(starts)
        ]

    def __sklearn_is_fitted__(self) -> bool:
        return True


def describe_trees(X: Any) -> tuple[list[str], list[str]]:
    """Return the facts and the notes about trees.

    Raises
    ------
    ValueError
        When they cannot be read; the sentence is ``compare``'s.
    """
    try:
        forest = read_trees("", X, False, False)
    except ValueError as error:
        raise ValueError(f"compare(X=...): {str(error).lstrip(': ')}") from error
    sizes = forest.starts.diff()
    facts = [
        f"{len(forest):,} trees of {int(sizes.min()):,} to {int(sizes.max()):,} nodes, "
        f"{len(forest.texts):,} words"
    ]
    return facts, ["classical models see the leaves of the trees as text"]


__all__ = ["LeafText", "describe_trees"]
