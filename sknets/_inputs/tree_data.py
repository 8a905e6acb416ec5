"""Trees cut into batches: flat arrays of nodes, in each batch sorted by height."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from sknets._engine.containers import Container, Ragged


class TreeBatch:
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
    order : int64 tensor of shape (n_nodes,)
        Which of the batch's nodes each is, if these came tree after tree.
    counts : int64 tensor of shape (n_trees,)
        How many nodes each tree has.
    """

    def __init__(
        self,
        words: Tensor,
        sizes: list[int],
        children: Tensor,
        owners: Tensor | None,
        n_children: list[int] | None,
        slots: Tensor,
        roots: Tensor,
        order: Tensor,
        counts: Tensor,
    ):
        self.words, self.sizes, self.children = words, sizes, children
        self.owners, self.n_children = owners, n_children
        self.slots, self.roots = slots, roots
        self.order, self.counts = order, counts

    def __len__(self) -> int:
        return len(self.roots)

    def by_tree(self, values: Tensor) -> Ragged:
        """Rows of nodes sorted by height, as those of one tree after the other."""
        joined = torch.empty_like(values).index_copy(0, self.order, values)
        return Ragged(joined, self.counts)

    def to(self, device: torch.device | str) -> TreeBatch:
        moved = TreeBatch.__new__(TreeBatch)
        for name, value in vars(self).items():
            is_tensor = isinstance(value, Tensor)
            setattr(moved, name, value.to(device) if is_tensor else value)
        return moved


class TreeData(Container):
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

    _derived: ClassVar[tuple[str, ...]] = ("codes",)

    def __init__(
        self,
        starts: Tensor,
        words: Tensor,
        parents: Tensor,
        ranks: Tensor,
        heights: Tensor,
        written: Tensor | None,
        texts: list[str],
        labels: np.ndarray,
        binary: bool,
    ):
        self.starts, self.words, self.parents = starts, words, parents
        self.ranks, self.heights, self.written = ranks, heights, written
        self.texts, self.labels, self.binary = texts, labels, binary
        self.codes: Tensor | None = None  # of words, in the vocabulary

    def __len__(self) -> int:
        return len(self.starts) - 1

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

    def batch(self, index: slice | Tensor) -> TreeBatch:
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
        batch = TreeBatch(
            self.codes[nodes[:n_leaves]],
            sizes.tolist(),
            children[:-1],
            owners,
            n_children,
            slots,
            place[begins],
            order,
            self.starts.diff()[index],
        )
        return batch if self.device.type == "cpu" else batch.to(self.device)


__all__ = ["TreeBatch", "TreeData"]
