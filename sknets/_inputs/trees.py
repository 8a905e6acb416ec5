"""Trees: nested tuples, bracketed strings or nltk's, kept as flat arrays of nodes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

# A labelled word in one step, as two of three brackets hold no more; then "(" with a
# label or without, ")" and words without brackets.
_WORD = r"[^\s()]+"
_TOKEN = re.compile(
    rf"\(\s*({_WORD})\s+({_WORD})\s*\)|(\()\s*({_WORD})?|(\))|({_WORD})",
    re.ASCII,  # a no-break space holds a word together: "2 1/2"
)
_CLOSE = object()


class Grove:
    """A batch of trees whose nodes are sorted by height, one object for skorch.

    The nodes of one height are a slice: a network composes them all in one step, from
    states that are there already.

    Attributes
    ----------
    words : int64 tensor of shape (n_leaves,)
        Numbers of the words at the leaves, which are the first nodes.
    sizes : list of int
        How many nodes there are of each height.
    children : int64 tensor of shape (n_slots,)
        Two of each inner node if all are binary, ``n_nodes`` where one is missing; else
        as many as there are, those of a node side by side.
    owners : int64 tensor of shape (n_slots,) or None
        Unless binary: whose child each is, counted from the first node of its height.
    n_children : list of int or None
        Unless binary: children of the nodes of each height, leaves left out.
    slots : int64 tensor of shape (n_nodes,)
        Where among ``children`` each node is; ``n_slots`` for roots.
    roots : int64 tensor of shape (n_trees,)
    nodes : int64 tensor of shape (n_nodes,)
        Where these nodes are in the `Forest`.
    targets, weights : tensors or None
        What nodes shall give and how much they count.
    scored : int64 tensor or None
        The nodes that have targets; None for all.
    """

    def __init__(self, words, sizes, children, owners, n_children, slots, roots, nodes):
        self.words: Tensor = words
        self.sizes: list[int] = sizes
        self.children: Tensor = children
        self.owners: Tensor | None = owners
        self.n_children: list[int] | None = n_children
        self.slots: Tensor = slots
        self.roots: Tensor = roots
        self.nodes: Tensor = nodes
        self.targets: Tensor | None = None
        self.weights: Tensor | None = None
        self.scored: Tensor | None = None

    def __len__(self) -> int:
        return len(self.roots)

    def to(self, device: torch.device | str) -> Grove:
        moved = Grove.__new__(Grove)
        for name, value in vars(self).items():
            is_tensor = isinstance(value, Tensor)
            setattr(moved, name, value.to(device) if is_tensor else value)
        return moved

    def convert_to_tensors(self, kind: str) -> Grove:
        """What skorch asks of a batch that is no tensor: it holds some already."""
        return self


class Forest:
    """The canonical container: all nodes of all trees, tree after tree.

    The nodes of a tree come in the order in which they are written; after them those
    that were made to have it binary.

    Parameters
    ----------
    starts : int64 tensor of shape (n_trees + 1,)
    words, parents, ranks, heights : int64 tensors of shape (n_nodes,)
        The number of a leaf's word among ``texts``, -1 of other nodes; the parent,
        counted within the tree, -1 of roots; which child of it the node is; the longest
        way down to a leaf.
    written : bool tensor of shape (n_nodes,) or None
        Which nodes were not made; None for all.
    texts : list of str
    labels : object ndarray of str or None
        An item a written node.
    binary : bool
    """

    def __init__(
        self, starts, words, parents, ranks, heights, written, texts, labels, binary
    ):
        self.starts: Tensor = starts
        self.words: Tensor = words
        self.parents: Tensor = parents
        self.ranks: Tensor = ranks
        self.heights: Tensor = heights
        self.written: Tensor | None = written
        self.texts: list[str] = texts
        self.labels: np.ndarray = labels
        self.binary: bool = binary
        self.codes: Tensor | None = None  # of words, in the vocabulary
        # What nodes shall give, of which nodes that is known, how much they count.
        self.targets: Tensor | None = None
        self.scored: Tensor | None = None
        self.weights: Tensor | None = None
        self.dtype, self.device = torch.float32, torch.device("cpu")

    def __len__(self) -> int:
        return len(self.starts) - 1

    def to(self, device: torch.device, dtype: torch.dtype) -> Forest:
        """The same trees, whose batches come on this device."""
        other = Forest.__new__(Forest)
        vars(other).update(vars(self), device=device, dtype=dtype)
        return other

    @property
    def written_starts(self) -> Tensor:
        """Where each tree begins if only the written nodes count."""
        if self.written is None:
            return self.starts
        before = torch.cat([self.starts[:1], self.written.long().cumsum(0)])
        return before[self.starts]

    def of_written(self, values: Tensor, rows: Tensor) -> Tensor:
        """A row for each node, zeros but for ``rows`` of the written ones."""
        if self.written is not None:
            rows = self.written.nonzero()[:, 0][rows]
        every = values.new_zeros(len(self.words), *values.shape[1:])
        return every.index_copy_(0, rows, values)

    def word_counts(self, rows: Tensor | None) -> np.ndarray:
        """How often each of ``texts`` is a leaf of these trees."""
        words = self.words if rows is None else self.words[self.nodes_of(rows)[0]]
        return torch.bincount(words[words >= 0], minlength=len(self.texts)).numpy()

    def encode(self, vocabulary: dict[str, int]) -> None:
        """Number the words as a vocabulary does, 0 for those that it lacks."""
        table = torch.tensor([vocabulary.get(text, 0) for text in self.texts])
        self.codes = table[self.words.clamp_min(0)]

    def nodes_of(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Nodes of these trees, the tree of each, and where each tree begins."""
        sizes = self.starts.diff()[rows]
        begins = sizes.cumsum(0) - sizes
        tree = torch.repeat_interleave(sizes)
        nodes = torch.arange(len(tree)) + (self.starts[rows] - begins)[tree]
        return nodes, tree, begins

    def batch(self, index: slice | Tensor) -> Grove:
        if isinstance(index, slice):
            index = torch.arange(len(self))[index]
        nodes, tree, begins = self.nodes_of(index)
        n = len(nodes)
        heights, order = self.heights[nodes].sort(stable=True)
        sizes = torch.bincount(heights)
        place = torch.empty_like(order)
        place[order] = torch.arange(n)
        nodes, n_leaves = nodes[order], int(sizes[0])
        parents = self.parents[nodes]
        is_root = parents < 0
        above = place[parents.add_(begins[tree[order]]).masked_fill_(is_root, 0)]
        parents = above.sub_(n_leaves).masked_fill_(is_root, 0)  # inner nodes only
        owners = n_children = None
        if self.binary:
            n_slots, first = 2 * (n - n_leaves), 2 * parents
        else:
            counts = torch.bincount(parents[~is_root], minlength=n - n_leaves)
            edges = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
            n_slots, first = n - len(index), edges[parents]
            of_height = sizes[1:]
            ends = of_height.cumsum(0)
            within = torch.arange(n - n_leaves)
            within -= torch.repeat_interleave(ends - of_height, of_height)
            owners = torch.repeat_interleave(within, counts)
            n_children = edges[ends].diff(prepend=edges[:1]).tolist()
        slots = (first + self.ranks[nodes]).masked_fill_(is_root, n_slots)
        children = torch.full((n_slots + 1,), n)
        children[slots] = torch.arange(n)
        assert self.codes is not None
        grove = Grove(
            self.codes[nodes[:n_leaves]],
            sizes.tolist(),
            children[:-1],
            owners,
            n_children,
            slots,
            place[begins],
            nodes,
        )
        if self.targets is not None:
            if self.scored is not None:
                grove.scored = self.scored[nodes].nonzero()[:, 0]
                nodes = nodes[grove.scored]
            grove.targets = self.targets[nodes]
            if self.weights is not None:
                grove.weights = self.weights[nodes]
        return grove if self.device.type == "cpu" else grove.to(self.device)


class Trees:
    """Lists of trees: nested tuples, bracketed strings, nltk's trees.

    The estimator says whether it wants them ``_binary`` and ``lowercase``, and knows a
    ``vocabulary_`` once it is fitted.
    """

    name: ClassVar[str] = "trees"

    @staticmethod
    def accepts(X: Any) -> bool:
        return getattr(X, "ndim", 1) == 1 and not isinstance(X, str)

    @staticmethod
    def check(estimator: Any, X: Any, *, reset: bool) -> Forest:
        if isinstance(X, Forest):
            return X
        owner = type(estimator).__name__
        builder = _Builder(estimator._binary, estimator.lowercase)
        for i, tree in enumerate(_items(owner, X)):
            try:
                builder.read(tree)
            except _Malformed as error:
                raise ValueError(f"{owner}: X[{i}] {error}") from None
        forest = builder.forest()
        if not reset:
            forest.encode(estimator.vocabulary_)
        return forest


def _items(owner: str, X: Any) -> Sequence[Any]:
    what = "a list of trees (nested tuples, bracketed strings, nltk's)"
    if isinstance(X, str) or _is_labelled(X):
        raise ValueError(f"{owner}: X must be {what}, got one tree; make it a list")
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
        for k, (label, labelled, start, of_start, end, word) in enumerate(tokens):
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

    def forest(self) -> Forest:
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
        flat = (torch.from_numpy(x) for x in (starts, words, parents, ranks, heights))
        return Forest(*flat, written, list(self.texts), labels, self.binary)


def _at(text: str, token: int) -> str:
    """Where a token is, for a message."""
    for k, match in enumerate(_TOKEN.finditer(text)):
        if k == token:
            start = match.start()
            return f"at column {start + 1}: {text[start : start + 20]!r}"
    raise AssertionError(token)


__all__ = ["Forest", "Grove", "Trees"]
