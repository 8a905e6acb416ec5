"""Composition functions over whole batches of trees, height by height.

All nodes of a height are composed in one step, into one buffer of all states. Backwards
only what flows from parents to children goes height by height; the rest is done for all
nodes at once. So time and memory grow with the number of nodes, however deep the trees.

``compose(trees, *leaves, *weights)`` gives the states of all nodes (one row more, of
zeros, stands for children that are missing) and what else ``derive`` needs, which gives
the gradients of leaves and weights.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sknets._inputs.tree_data import TreeBatch

_ROWS = 64  # of products of all pairs at a time: they stay in the cache


class Compose(torch.autograd.Function):
    """The states of all nodes by those of the leaves, for any cell."""

    @staticmethod
    def forward(ctx: Any, cell: Any, trees: TreeBatch, *given: Tensor) -> Tensor:
        with torch.autocast(given[0].device.type, enabled=False):
            states, *more = cell.compose(trees, *given)
        ctx.cell, ctx.trees = cell, trees
        ctx.save_for_backward(*given, states, *more)
        return states[:-1]

    @staticmethod
    def backward(ctx: Any, *gradient: Tensor) -> Any:
        (of_states,) = gradient
        saved = ctx.saved_tensors
        found = ctx.cell.derive(ctx.trees, of_states.contiguous(), *saved)
        return None, None, *found


def _buffer(leaves: Tensor, trees: TreeBatch) -> tuple[Tensor, tuple[Tensor, ...]]:
    """States of all nodes with those of the leaves filled in, and views by height."""
    buffer = leaves.new_empty(len(trees.order) + 1, leaves.shape[1])
    views = buffer.split([*trees.sizes, 1])
    views[0].copy_(leaves)
    views[-1].zero_()
    return buffer, views[1:-1]


class _Messages:
    """What reaches each node from its parent, the roots nothing, height by height."""

    def __init__(self, trees: TreeBatch, counts: list[int], like: Tensor, width: int):
        size = like.shape[1] * width
        n_slots = len(trees.children)
        # Roots read the row past the end.
        buffer = like.new_empty(n_slots // width + 1, size)
        buffer[-1].zero_()
        self.rows = buffer.view(-1, like.shape[1])
        self.sent = buffer[:-1].split(counts)
        self.slots = trees.slots.split(trees.sizes)

    def received(self, height: int) -> Tensor:
        return self.rows.index_select(0, self.slots[height])


class RNN:
    """``h = tanh(W [a b] + v)`` of the children a and b."""

    n_states = 1

    @staticmethod
    def compose(trees, leaves, weight, bias):
        states, levels = _buffer(leaves, trees)
        turned = weight.t()
        for level, children in zip(levels, _children(trees)):
            both = states.index_select(0, children).view(-1, weight.shape[1])
            torch.addmm(bias, both, turned, out=level).tanh_()
        return (states,)

    @staticmethod
    def derive(trees, gradient, leaves, weight, bias, states):
        n_leaves, sizes = len(leaves), trees.sizes
        inner = states[n_leaves:-1]
        slopes = 1 - inner.square()
        by_level = slopes.split(sizes[1:])
        given = gradient.split(sizes)
        messages = _Messages(trees, sizes[1:], gradient, 2)
        for i in range(len(sizes) - 1, 0, -1):
            z = by_level[i - 1]
            z.mul_(messages.received(i).add_(given[i]))
            torch.mm(z, weight, out=messages.sent[i - 1])
        of_leaves = messages.received(0).add_(given[0])
        both = states.index_select(0, trees.children).view(-1, weight.shape[1])
        return of_leaves, slopes.t() @ both, slopes.sum(0)


class RNTN:
    """``h = tanh(W [a b] + [a b]' V [a b] + v)``: each number of h has its own matrix.

    V is given as (d, 4 d²).
    """

    n_states = 1

    @staticmethod
    def compose(trees, leaves, weight, bias, tensor):
        states, levels = _buffer(leaves, trees)
        n = weight.shape[1]
        cube = tensor.view(-1, n, n)
        # The slope of a form x' V x is (V + V') x, and half of it times x is the form.
        symmetric = (cube + cube.transpose(1, 2)).view(-1, n).t()
        slopes = leaves.new_empty(len(states) - 1 - len(leaves), symmetric.shape[1])
        turned = weight.t()
        for level, slope, children in zip(
            levels, slopes.split(trees.sizes[1:]), _children(trees)
        ):
            both = states.index_select(0, children).view(-1, n)
            torch.addmm(bias, both, turned, out=level)
            for z, x, s in zip(*(each.split(_ROWS) for each in (level, both, slope))):
                torch.mm(x, symmetric, out=s)
                forms = torch.bmm(s.view(len(x), -1, n), x.unsqueeze(2))
                z.add_(forms.squeeze(2), alpha=0.5)
            level.tanh_()
        return states, slopes

    @staticmethod
    def derive(trees, gradient, leaves, weight, bias, tensor, states, slopes):
        n_leaves, sizes, n = len(leaves), trees.sizes, weight.shape[1]
        z = 1 - states[n_leaves:-1].square()
        given = gradient.split(sizes)
        messages = _Messages(trees, sizes[1:], gradient, 2)
        forms = slopes.view(len(z), -1, n).split(sizes[1:])
        by_level = z.split(sizes[1:])
        for i in range(len(sizes) - 1, 0, -1):
            here, down = by_level[i - 1], messages.sent[i - 1]
            here.mul_(messages.received(i).add_(given[i]))
            torch.mm(here, weight, out=down)
            down.add_(torch.bmm(here.unsqueeze(1), forms[i - 1]).squeeze(1))
        both = states.index_select(0, trees.children).view(-1, n)
        of_tensor = torch.zeros_like(tensor).view(-1, n)
        for error, x in zip(z.split(_ROWS), both.split(_ROWS)):
            outer = (error.unsqueeze(2) * x.unsqueeze(1)).flatten(1)
            of_tensor.addmm_(outer.t(), x)
        return (
            messages.received(0).add_(given[0]),
            z.t() @ both,
            z.sum(0),
            of_tensor.view_as(tensor),
        )


class TreeLSTM:
    """The binary Tree-LSTM; gates are in the order o, i, f of a, f of b, u."""

    n_states = 2

    @staticmethod
    def compose(trees, leaves, cells, weight, bias):
        states, levels = _buffer(leaves, trees)
        memory, memories = _buffer(cells, trees)
        d = leaves.shape[1]
        gates = leaves.new_empty(len(states) - 1 - len(leaves), 5 * d)
        turned = weight.t()
        for level, cell, gate, children in zip(
            levels, memories, gates.split(trees.sizes[1:]), _children(trees)
        ):
            both = states.index_select(0, children).view(-1, weight.shape[1])
            torch.addmm(bias, both, turned, out=gate)
            gate[:, : 4 * d].sigmoid_()
            gate[:, 4 * d :].tanh_()
            o, i, _, _, u = gate.chunk(5, 1)
            kept = memory.index_select(0, children).view(-1, weight.shape[1])
            kept.mul_(gate[:, 2 * d : 4 * d])
            torch.mul(i, u, out=cell).add_(kept[:, :d]).add_(kept[:, d:])
            torch.tanh(cell, out=level).mul_(o)
        return states, memory, gates

    @staticmethod
    def derive(trees, gradient, leaves, cells, weight, bias, states, memory, gates):
        n_leaves, sizes = len(leaves), trees.sizes
        n, d = len(gates), leaves.shape[1]
        # Slopes of the gates, then, level by level, the gradient at them.
        o, i, _, _, u = gates.chunk(5, 1)
        forget = gates[:, 2 * d : 4 * d]
        z = torch.empty_like(gates)
        torch.mul(gates, 1 - gates, out=z)
        squashed = memory[n_leaves:-1].tanh()
        z[:, :d].mul_(squashed)
        z[:, d : 2 * d].mul_(u)
        kept = memory.index_select(0, trees.children).view(-1, weight.shape[1])
        z[:, 2 * d : 4 * d].mul_(kept)
        z[:, 4 * d :].copy_(i * (1 - u * u))
        through = o * (1 - squashed * squashed)

        given = gradient.split(sizes)
        of_states = _Messages(trees, sizes[1:], gradient, 2)
        of_memory = _Messages(trees, sizes[1:], gradient, 2)
        cut = [each.split(sizes[1:]) for each in (z.view(n, 5, d), forget, through)]
        for k in range(len(sizes) - 2, -1, -1):
            slopes, keep, out = (each[k] for each in cut)
            state = of_states.received(k + 1).add_(given[k + 1])
            cell = of_memory.received(k + 1).addcmul_(state, out)
            slopes[:, 0].mul_(state)
            slopes[:, 1:].mul_(cell.unsqueeze(1))
            torch.mm(slopes.flatten(1), weight, out=of_states.sent[k])
            torch.mul(
                keep.unflatten(1, (2, d)),
                cell.unsqueeze(1),
                out=of_memory.sent[k].view(-1, 2, d),
            )
        both = states.index_select(0, trees.children).view(-1, weight.shape[1])
        return (
            of_states.received(0).add_(given[0]),
            of_memory.received(0),
            z.t() @ both,
            z.sum(0),
        )


class ChildSum:
    """The child-sum Tree-LSTM; gates are in the order o, i, u, and f of each child."""

    n_states = 2

    @staticmethod
    def compose(trees, leaves, cells, weight, bias, forget_weight, forget_bias):
        states, levels = _buffer(leaves, trees)
        memory, memories = _buffer(cells, trees)
        d = leaves.shape[1]
        gates = leaves.new_empty(len(states) - 1 - len(leaves), 3 * d)
        forget = leaves.new_empty(len(trees.children), d)
        sums = leaves.new_zeros(len(gates), d)
        turned, turned_forget = weight.t(), forget_weight.t()
        cut = [each.split(trees.sizes[1:]) for each in (gates, sums)]
        owners = trees.owners.split(trees.n_children)
        keeps = forget.split(trees.n_children)
        for level, cell, gate, total, keep, owner, children in zip(
            levels, memories, *cut, keeps, owners, _children(trees)
        ):
            each = states.index_select(0, children)
            total.index_add_(0, owner, each)
            torch.addmm(bias, total, turned, out=gate)
            gate[:, : 2 * d].sigmoid_()
            gate[:, 2 * d :].tanh_()
            o, i, u = gate.chunk(3, 1)
            torch.addmm(forget_bias, each, turned_forget, out=keep).sigmoid_()
            kept = memory.index_select(0, children).mul_(keep)
            torch.mul(i, u, out=cell).index_add_(0, owner, kept)
            torch.tanh(cell, out=level).mul_(o)
        return states, memory, gates, forget, sums

    @staticmethod
    def derive(
        trees,
        gradient,
        leaves,
        cells,
        weight,
        bias,
        forget_weight,
        forget_bias,
        states,
        memory,
        gates,
        forget,
        sums,
    ):
        n_leaves, sizes, edges = len(leaves), trees.sizes, trees.n_children
        n, d = len(gates), leaves.shape[1]
        o, i, u = gates.chunk(3, 1)
        z = gates * (1 - gates)
        squashed = memory[n_leaves:-1].tanh()
        z[:, :d].mul_(squashed)
        z[:, d : 2 * d].mul_(u)
        z[:, 2 * d :].copy_(i * (1 - u * u))
        through = o * (1 - squashed * squashed)
        z_forget = memory.index_select(0, trees.children)
        z_forget.mul_(forget).mul_(1 - forget)

        given = gradient.split(sizes)
        of_states = _Messages(trees, edges, gradient, 1)
        of_memory = _Messages(trees, edges, gradient, 1)
        cut = [each.split(sizes[1:]) for each in (z.view(n, 3, d), through)]
        of_edges = [each.split(edges) for each in (z_forget, forget, trees.owners)]
        for k in range(len(sizes) - 2, -1, -1):
            slopes, out = (each[k] for each in cut)
            forget_slopes, keep, owner = (each[k] for each in of_edges)
            state = of_states.received(k + 1).add_(given[k + 1])
            cell = of_memory.received(k + 1).addcmul_(state, out)
            slopes[:, 0].mul_(state)
            slopes[:, 1:].mul_(cell.unsqueeze(1))
            each = cell.index_select(0, owner)
            forget_slopes.mul_(each)
            torch.mul(keep, each, out=of_memory.sent[k])
            shared = torch.mm(slopes.flatten(1), weight)
            torch.addmm(
                shared.index_select(0, owner),
                forget_slopes,
                forget_weight,
                out=of_states.sent[k],
            )
        return (
            of_states.received(0).add_(given[0]),
            of_memory.received(0),
            z.t() @ sums,
            z.sum(0),
            z_forget.t() @ states.index_select(0, trees.children),
            z_forget.sum(0),
        )


def _children(trees: TreeBatch) -> tuple[Tensor, ...]:
    """Children of the nodes of each height, leaves left out."""
    sizes = trees.n_children or [2 * size for size in trees.sizes[1:]]
    return trees.children.split(sizes)


CELLS: dict[str, Any] = {
    "tree_lstm": TreeLSTM,
    "child_sum": ChildSum,
    "rntn": RNTN,
    "rnn": RNN,
}

__all__ = ["CELLS", "Compose"]
