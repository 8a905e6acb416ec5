"""Trees: nested tuples, bracketed strings or nltk's."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch

from sknets._inputs.reader import Reader
from sknets._inputs.sequences import column_of
from sknets._inputs.tree_data import TreeData
from sknets._params import param

# A labelled word in one step, as two of three brackets hold no more; then "(" with a
# label or without, ")" and words without brackets.
_WORD = r"[^\s()]+"
_TOKEN = re.compile(
    rf"\(\s*({_WORD})\s+({_WORD})\s*\)|(\()\s*({_WORD})?|(\))|({_WORD})",
    re.ASCII,  # a no-break space holds a word together: "2 1/2"
)
_CLOSE = object()


class Trees(Reader):
    """Lists or columns of trees: nested tuples, bracketed strings, nltk's trees.

    Learned:

    vocabulary_ : dict of str to int
        The number of each word.
    """

    name: ClassVar[str] = "trees"

    binary: bool = param(default=True)
    lowercase: bool = param(default=True)
    min_frequency: int = param(default=1, at_least=1)

    def _read(self, X: Any, reset: bool, seen: np.ndarray | None) -> TreeData:
        if isinstance(X, TreeData):
            return X
        trees = read_trees(self.who, X, self.binary, self.lowercase)
        if not reset:
            trees.encode(self.vocabulary_)
        return trees

    def learn_words(self, trees: TreeData, rows: torch.Tensor | None) -> None:
        """Number the words of a training set's trees, and so those of all trees."""
        often = np.flatnonzero(trees.word_counts(rows) >= self.min_frequency).tolist()
        self.vocabulary_ = {trees.texts[i]: k for k, i in enumerate(often, 1)}
        trees.encode(self.vocabulary_)


def read_trees(owner: str, X: Any, binary: bool, lowercase: bool) -> TreeData:
    """All trees of X, ``owner`` being who complains of a malformed one."""
    builder = _Builder(binary, lowercase)
    for i, tree in enumerate(_items(owner, X)):
        try:
            builder.read(tree)
        except _Malformed as error:
            raise ValueError(f"{owner}: X[{i}] {error}") from None
    return builder.forest()


def _items(owner: str, X: Any) -> Sequence[Any]:
    what = "a list of trees (nested tuples, bracketed strings, nltk's)"
    if isinstance(X, str) or _is_labelled(X):
        raise ValueError(f"{owner}: X must be {what}, got one tree; make it a list")
    X = column_of(X)
    shape = getattr(X, "shape", None)
    if shape is not None and len(shape) != 1:
        raise ValueError(f"{owner}: X must be {what}, got an array of shape {shape}")
    if not hasattr(X, "__len__") or isinstance(X, dict | set):
        raise ValueError(f"{owner}: X must be {what}, got {type(X).__name__}")
    if not len(X):
        raise ValueError(f"{owner}: X holds no trees, at least 1 sample is required")
    return list(X)


def _is_labelled(tree: Any) -> bool:
    """Whether it looks like nltk's trees."""
    return callable(getattr(tree, "label", None)) and hasattr(tree, "__iter__")


class _Malformed(ValueError):
    """What is wrong with a tree."""


class _Builder:
    """Reads trees node by node; nothing in it calls itself, however deep they are."""

    def __init__(self, binary: bool, lowercase: bool):
        self.binary, self.lowercase = binary, lowercase
        # Of each node: the number of its word, its label, its height.
        self.words: list[int] = []
        self.labels: list[str | None] = []
        self.heights: list[int] = []
        self.starts = [0]
        self.texts: dict[str, int] = {}
        # Which nodes have children, how many, and all of these one after the other.
        self.heads: list[int] = []
        self.counts: list[int] = []
        self.children: list[int] = []
        # Nodes made to have trees binary, numbered -1, -2, ...: tree and height.
        self.made: list[tuple[int, int]] = []
        # The inner nodes that are being read, with their children.
        self.path: list[tuple[int, list[int]]] = []
        self.bare = -1  # the last word, if it has no brackets of its own

    def read(self, tree: Any) -> None:
        self.path.clear()
        self.bare = -1
        if isinstance(tree, str):
            self._read_brackets(tree)
        else:
            self._read_nested(tree)
        self.starts.append(len(self.words))

    def _read_brackets(self, text: str) -> None:
        path = self.path
        tokens = _TOKEN.findall(text)
        for k, token in enumerate(tokens):
            label, labelled, start, of_start, _, word = token
            if k and not path:
                raise _Malformed(f"goes on after its end, {_at(text, k)}")
            if labelled:
                self._node(self._number(labelled), label)
            elif start:
                self.open(of_start or None)
            elif word:
                self.word(word)
            elif not path:
                raise _Malformed(f"has a ')' without its '(', {_at(text, k)}")
            elif not self.close():
                raise _Malformed(f"has brackets without words, {_at(text, k)}")
        if not tokens:
            raise _Malformed("is an empty string, not a tree")
        if path:
            unclosed: list[int] = []
            for k, token in enumerate(tokens):
                if token[2]:
                    unclosed.append(k)
                elif token[4]:
                    unclosed.pop()
            where = _at(text, unclosed[-1])
            raise _Malformed(f"has a '(' that is never closed, {where}")

    def _read_nested(self, tree: Any) -> None:
        agenda = [tree]
        while agenda:
            item = agenda.pop()
            if item is _CLOSE:
                if not self.close():
                    raise _Malformed("has a node without words, ()")
            elif isinstance(item, str):
                self.word(item)
            elif _is_labelled(item):
                label = item.label()
                self.open(None if label in (None, "") else str(label))
                agenda += [_CLOSE, *reversed(list(item))]
            elif isinstance(item, list | tuple):
                self.open(None)
                agenda += [_CLOSE, *reversed(item)]
            elif item is tree:
                raise _Malformed(
                    "must be a tree (nested tuples, a bracketed string or nltk's), got "
                    f"{item!r:.60}"
                )
            else:
                raise _Malformed(
                    f"has the leaf {item!r:.60}; leaves must be words, of type str"
                )

    def _number(self, text: str) -> int:
        text = text.lower() if self.lowercase else text
        return self.texts.setdefault(text, len(self.texts))

    def _node(self, word: int, label: str | None) -> int:
        node = len(self.words)
        self.words.append(word)
        self.labels.append(label)
        self.heights.append(0)
        if self.path:
            self.path[-1][1].append(node)
        return node

    def word(self, text: str) -> None:
        self.bare = self._node(self._number(text), None)

    def open(self, label: str | None) -> None:
        self.path.append((self._node(-1, label), []))

    def close(self) -> bool:
        """End the last open node; False if there is nothing in it."""
        node, children = self.path.pop()
        if children == [self.bare]:  # one word in brackets is a leaf
            self.words[node] = self.words.pop()
            self.labels.pop()
            self.heights.pop()
            self.bare = -1
        elif children:
            self._compose(node, children)
        return bool(children)

    def _compose(self, node: int, children: list[int]) -> None:
        heights = self.heights
        if self.binary and len(children) > 2:
            left, height = children[0], heights[children[0]]
            for right in children[1:-1]:  # from left to right: ((a b) c)
                height = max(height, heights[right]) + 1
                self.made.append((len(self.starts) - 1, height))
                self.heads.append(-len(self.made))
                self.counts.append(2)
                self.children += (left, right)
                left = -len(self.made)
            children = [left, children[-1]]
            heights[node] = max(height, heights[children[-1]]) + 1
        else:
            heights[node] = max([heights[child] for child in children]) + 1
        self.heads.append(node)
        self.counts.append(len(children))
        self.children += children

    def forest(self) -> TreeData:
        n = len(self.words)
        starts = np.array(self.starts)
        tree = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
        words, heights = np.array(self.words), np.array(self.heights)
        heads, children = np.array(self.heads, int), np.array(self.children, int)
        written = None
        if self.made:
            heads = np.where(heads < 0, n - 1 - heads, heads)
            children = np.where(children < 0, n - 1 - children, children)
            of_made = np.array(self.made)
            tree = np.concatenate([tree, of_made[:, 0]])
            heights = np.concatenate([heights, of_made[:, 1]])
            words = np.concatenate([words, np.full(len(of_made), -1)])
        parents, ranks = np.full(len(tree), -1), np.zeros(len(tree), int)
        counts = np.array(self.counts, int)
        parents[children] = np.repeat(heads, counts)
        firsts = np.repeat(np.cumsum(counts) - counts, counts)
        ranks[children] = np.arange(len(children)) - firsts
        if self.made:
            order = tree.argsort(kind="stable")
            place = np.empty_like(order)
            place[order] = np.arange(len(order))
            parents = np.where(parents < 0, -1, place[parents])[order]
            written = torch.from_numpy(order < n)
            tree, words = tree[order], words[order]
            ranks, heights = ranks[order], heights[order]
            starts = np.searchsorted(tree, np.arange(len(starts)))
        parents = np.where(parents < 0, -1, parents - starts[tree])
        labels = np.empty(n, dtype=object)
        labels[:] = self.labels
        return TreeData(
            torch.from_numpy(starts),
            torch.from_numpy(words),
            torch.from_numpy(parents),
            torch.from_numpy(ranks),
            torch.from_numpy(heights),
            written,
            list(self.texts),
            labels,
            self.binary,
        )


def _at(text: str, token: int) -> str:
    """Where a token is, for a message."""
    for k, match in enumerate(_TOKEN.finditer(text)):
        if k == token:
            start = match.start()
            return f"at column {start + 1}: {text[start : start + 20]!r}"
    raise AssertionError(token)


__all__ = ["Trees", "read_trees"]
