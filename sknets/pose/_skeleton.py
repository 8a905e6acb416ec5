"""Joints by name: which of them are joined, and which a mirror image swaps."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.sparse.csgraph import minimum_spanning_tree

from sknets._inputs.naming import on_one_line


def pairs_of(given: Any, joints: Sequence[str], what: str) -> np.ndarray:
    """Pairs (n, 2) of numbers of joints, of pairs of names or numbers.

    Raises
    ------
    ValueError
        The rule that a pair breaks; ``what`` names it.
    """
    found = []
    for pair in given:
        if not isinstance(pair, list | tuple | np.ndarray) or len(pair) != 2:
            raise ValueError(f"{what} has {on_one_line(pair)}, which is no pair")
        both = []
        for joint in pair:
            number = isinstance(joint, int | np.integer) and 0 <= joint < len(joints)
            if not number and joint not in joints:
                raise ValueError(
                    f"{what} names {joint!r}, and the joints are "
                    f"{on_one_line(list(joints))}"
                )
            both.append(int(joint) if number else list(joints).index(joint))
        if both[0] == both[1]:
            raise ValueError(f"{what} pairs {pair[0]!r} with itself")
        found.append(both)
    return np.array(found, np.int64).reshape(-1, 2)


def sides_of(joints: Sequence[str]) -> list[tuple[str, str]]:
    """The pairs of names that differ by "left" and "right" alone."""
    places = {name.lower(): name for name in joints}
    pairs = []
    for name in joints:
        other = places.get(re.sub("left", "right", name.lower(), count=1))
        if other is not None and other != name:
            pairs.append((name, other))
    return pairs


def spanning_tree(people: np.ndarray) -> np.ndarray:
    """The tree of least length over all joints, by their mean distances.

    Parameters
    ----------
    people : ndarray of shape (people, joints, dims + 1)

    Returns
    -------
    edges : ndarray of shape (joints - 1, 2)
        Joints that were never seen together are as far apart as can be.
    """
    lengths = distances(people)
    # No edge may be of length 0, which stands for none.
    far = 1 + np.nanmax(np.append(lengths, 0.0))
    lengths = np.where(np.isnan(lengths), far, lengths) + 1e-6
    tree = minimum_spanning_tree(np.triu(lengths, 1)).tocoo()
    return np.stack([tree.row, tree.col], 1).astype(np.int64)


def distances(people: np.ndarray) -> np.ndarray:
    """(joints, joints): mean distances within a person, NaN where never together."""
    n = people.shape[1]
    places = np.where(people[..., -1:] > 0, people[..., :2], np.nan)
    table = np.full((n, n), np.nan)
    for j in range(n):
        each = np.linalg.norm(places - places[:, j : j + 1], axis=2)
        there = ~np.isnan(each)
        sums = np.where(there, each, 0).sum(0)
        table[j] = np.divide(sums, there.sum(0), out=table[j], where=there.any(0))
    return table


def usual_size(people: np.ndarray) -> float:
    """The median of the larger sides of the boxes around visible joints."""
    places = np.where(people[..., -1:] > 0, people[..., :2], np.nan)
    sides = [np.nanmax(p, 0) - np.nanmin(p, 0) for p in places if (p == p).any()]
    return float(np.median(np.max(sides, axis=1)))


__all__ = ["distances", "pairs_of", "sides_of", "spanning_tree", "usual_size"]
