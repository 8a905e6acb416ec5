"""Texts of frames that each say a token or nothing: connectionist temporal decoding."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

BLANK = 0
# Prefixes that are followed, at most, where none of fewer ends with a whole word.
_MOST = 4096
_FACTOR = np.int64(6364136223846793005)


class Words(NamedTuple):
    """Texts that are allowed, as states of what has been written.

    Attributes
    ----------
    after : int ndarray of shape (n_states, n_tokens)
        The state after one more token, -1 where it may not come; the first is 0.
    whole : bool ndarray of shape (n_states,)
        Whether the last word is.
    """

    after: np.ndarray
    whole: np.ndarray

    @classmethod
    @functools.lru_cache(maxsize=4)
    def of(cls, words: tuple[tuple[int, ...], ...], gap: int, n_tokens: int) -> Words:
        """Texts of one or more of these words.

        ``gap`` is the token between two, 0 where there is none, and -1 if a text has
        one word only.
        """
        nodes: list[dict[int, int]] = [{}]
        ends = set()
        for word in words:
            node = 0
            for token in word:
                if token not in nodes[node]:
                    nodes[node][token] = len(nodes)
                    nodes.append({})
                node = nodes[node][token]
            ends.add(node)
        # A state is all that may have been written: a word, or words one by one.
        states = {frozenset([0]): 0}
        rows: list[dict[int, int]] = []
        for state in (order := [frozenset([0])]):
            going: dict[int, set[int]] = {}
            for node in state | ({0} if gap == 0 and state & ends else set()):
                for token, other in nodes[node].items():
                    going.setdefault(token, set()).add(other)
            if gap > 0 and state & ends:
                going.setdefault(gap, set()).add(0)
            rows.append({})
            for token, reached in going.items():
                key = frozenset(reached)
                if key not in states:
                    states[key] = len(states)
                    order.append(key)  # which the loop comes to
                rows[-1][token] = states[key]
        after = np.full((len(rows), n_tokens), -1)
        for i, row in enumerate(rows):
            after[i, list(row)] = list(row.values())
        return cls(after, np.array([bool(state & ends) for state in order]))


def best_path(log_p: np.ndarray, lengths: np.ndarray) -> list[list[int]]:
    """The tokens of the most probable alignment of each sample."""
    texts = []
    for row, length in zip(log_p.argmax(2), lengths):
        row = row[:length]
        new = np.append(True, row[1:] != row[:-1]) & (row != BLANK)
        texts.append(row[new].tolist())
    return texts


def prefix_search(
    log_p: np.ndarray, lengths: np.ndarray, n_beams: int, words: Words | None = None
) -> tuple[list[list[int]], np.ndarray]:
    """The texts of the largest sums over alignments [Hannun 2014].

    Parameters
    ----------
    log_p : ndarray of shape (n, n_frames, n_tokens)
        Of token 0, the blank, and of the others.
    lengths : int ndarray of shape (n,)
        Frames of each sample.
    n_beams : int
        Prefixes that are followed; so many that all fit in give the exact answer.
    words : Words or None
        What texts may be made of. More beams are followed where none of these ends
        with a whole word.

    Returns
    -------
    texts : list of lists of int
    scores : ndarray of shape (n,)
        The logarithm of the sum that was found; -inf, and no token, where a sample has
        fewer frames than any text that is allowed.
    """
    n, n_frames, n_tokens = log_p.shape
    # After its end a sample surely says nothing, which changes nothing.
    log_p = np.where(
        (np.arange(n_frames) < lengths[:, None])[..., None], log_p, -np.inf
    )
    log_p[..., BLANK][np.arange(n_frames) >= lengths[:, None]] = 0
    samples = np.arange(n)[:, None]
    # Sums over the alignments of a prefix that end with the blank, and with its token.
    blank, spoken = np.full((2, n, n_beams), -np.inf)
    blank[:, 0] = 0
    beams: Any = {
        "key": np.zeros((n, n_beams), np.int64),  # which prefix it is
        "parent": np.full((n, n_beams), -1, np.int64),  # the key of all but its last
        "last": np.zeros((n, n_beams), int),
        "state": np.zeros((n, n_beams), int),
        "count": np.zeros((n, n_beams), int),
        "tokens": np.zeros((n, n_beams, n_frames), np.int32),
    }
    for frame in log_p.swapaxes(0, 1):
        total, last = np.logaddexp(blank, spoken), beams["last"]
        silent = total + frame[:, :1]
        again = spoken + np.take_along_axis(frame, last, 1)
        grown = total[..., None] + frame[:, None]
        # Its last token once more, only if a blank was between.
        twice = (blank + np.take_along_axis(frame, last, 1))[..., None]
        np.put_along_axis(grown, last[..., None], twice, 2)
        if words is not None:
            grown[words.after[beams["state"]] < 0] = -np.inf
        # What a prefix becomes may be followed already.
        known = beams["parent"][:, :, None] == beams["key"][:, None]
        known &= (total > -np.inf)[:, :, None] & (total > -np.inf)[:, None]
        i, child, parent = known.nonzero()
        token = last[i, child]
        again[i, child] = np.logaddexp(again[i, child], grown[i, parent, token])
        grown[i, parent, token] = -np.inf
        grown[..., BLANK] = np.logaddexp(silent, again)
        flat = grown.reshape(n, -1)
        best = np.argpartition(-flat, n_beams - 1, axis=1)[:, :n_beams]
        row, token = np.divmod(best, n_tokens)
        stays = token == BLANK
        blank = np.where(stays, silent[samples, row], -np.inf)
        spoken = np.where(stays, again[samples, row], flat[samples, best])
        beams = {name: values[samples, row] for name, values in beams.items()}
        new = ~stays
        i, child = new.nonzero()
        token = token[new]
        beams["tokens"][i, child, beams["count"][new]] = token
        beams["count"] += new
        beams["last"][new] = token
        beams["parent"][new] = beams["key"][new]
        beams["key"][new] = beams["key"][new] * _FACTOR + token
        if words is not None:
            beams["state"][new] = words.after[beams["state"][new], token]
    total = np.logaddexp(blank, spoken)
    if words is not None:
        total[~words.whole[beams["state"]]] = -np.inf
    found = total.argmax(1)
    scores = total[np.arange(n), found]
    texts = [
        beams["tokens"][i, k, : beams["count"][i, k]].tolist()
        for i, k in enumerate(found)
    ]
    for i in np.flatnonzero(scores == -np.inf):
        texts[i] = []
        if n_beams < _MOST:
            more = prefix_search(
                log_p[i : i + 1, : lengths[i]], lengths[i : i + 1], 4 * n_beams, words
            )
            texts[i], scores[i] = more[0][0], more[1][0]
    return texts, scores


__all__ = ["BLANK", "Words", "best_path", "prefix_search"]
