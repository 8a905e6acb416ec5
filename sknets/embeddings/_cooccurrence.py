"""How often words occur near each other, counted in bounded memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

# Words counted at a time; pairs of a run beyond which it lies on the disk; pairs of a
# part of those that are trained on.
_WORDS, _RUN, _PART = 2**18, 2**23, 2**20

PAIR = np.dtype([("row", "<i4"), ("column", "<i4"), ("count", "<f4")])


class Cooccurrences:
    """Pairs of words, each once: row <= column.

    Every two words that are at most ``window`` apart within a document add the
    reciprocal of their distance; of one word twice that, as each of the two is near the
    other. Counts are kept as sorted runs that are merged, two of
    about one size at a time, large ones on the disk: memory does not grow with the
    corpus.

    Parameters
    ----------
    n_words : int
        Words are numbers below it.
    window : int
    """

    def __init__(self, n_words: int, window: int):
        self.n_words, self.window = n_words, window
        self.runs: list[tuple[Any, Any]] = []  # keys, counts
        self.folder: Any = None
        self._parts: list[Any] = []
        self._n_files = 0
        self._ids: list[np.ndarray] = []
        self._held = 0

    def count(self, documents: Iterable[np.ndarray]) -> Cooccurrences:
        """Add the pairs of documents: arrays of the numbers of their known words."""
        for ids in documents:
            if len(ids) > 1:
                self._ids.append(ids)
                self._held += len(ids)
            if self._held >= _WORDS:
                self._flush()
        if self._held:
            self._flush()
        return self

    def _flush(self) -> None:
        ids = np.concatenate(self._ids)
        lengths = [len(each) for each in self._ids]
        whose = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
        self._ids, self._held = [], 0
        found = []
        for distance in range(1, min(self.window, len(ids) - 1) + 1):
            a, b = ids[:-distance], ids[distance:]
            same = whose[:-distance] == whose[distance:]
            a, b = a[same], b[same]
            key = np.minimum(a, b) * self.n_words + np.maximum(a, b)
            found.append(key * self.window + (distance - 1))
        keys = np.concatenate(found)
        keys.sort()
        # Equal pairs of one distance, then equal pairs.
        starts = _starts(keys)
        times = np.diff(starts, append=len(keys))
        pairs, distances = np.divmod(keys[starts], self.window)
        counts = times / (distances + 1.0)
        counts[pairs % (self.n_words + 1) == 0] *= 2  # i * n_words + i
        starts = _starts(pairs)
        if len(starts):
            self._push(pairs[starts], np.add.reduceat(counts, starts))

    def _push(self, keys: Any, counts: Any) -> None:
        while self.runs and len(self.runs[-1][0]) < 2 * len(keys):
            keys, counts = _merged(self.runs.pop(), (keys, counts))
            if len(keys) > _RUN:
                keys, counts = self._on_disk(keys), self._on_disk(counts)
                break
        self.runs.append((keys, counts))

    def _on_disk(self, array: np.ndarray) -> Any:
        if self.folder is None:
            self.folder = tempfile.TemporaryDirectory(prefix="sknets-")
        self._n_files += 1
        path = Path(self.folder.name, f"{self._n_files}.npy")
        np.save(path, array)
        return np.load(path, mmap_mode="r")

    def _ranges(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """All pairs in ascending order, some at a time."""
        while self.folder is None and len(self.runs) > 1:
            self.runs.append(_merged(self.runs.pop(), self.runs.pop()))
        if self.folder is None:
            yield from self.runs
            return
        # Limits by the largest run, so that a range has about as much of each.
        longest = max((keys for keys, _ in self.runs), key=len)
        limits = [*longest[:: _RUN // 4][1:], np.iinfo(np.int64).max]
        places = [0] * len(self.runs)
        for limit in limits:
            part: Any = (np.empty(0, np.int64), np.empty(0))
            for i, (keys, counts) in enumerate(self.runs):
                end = int(np.searchsorted(keys, limit))
                own = np.array(keys[places[i] : end]), np.array(counts[places[i] : end])
                part, places[i] = _merged(part, own), end
            yield part

    def parts(self) -> list[Any]:
        """All pairs, each in one of several arrays, at random; on the disk if many."""
        if not self._parts:
            self._parts = self._spread()
            self.runs = []
        return self._parts

    def close(self) -> None:
        """Delete the files."""
        if self.folder is not None:
            self._parts = []
            self.folder.cleanup()

    def _spread(self) -> list[Any]:
        random = np.random.RandomState(0)
        n = sum(len(keys) for keys, _ in self.runs)
        files: list[Any] = []
        for keys, counts in self._ranges():
            pairs = np.empty(len(keys), PAIR)
            pairs["row"], pairs["column"] = np.divmod(keys, self.n_words)
            pairs["count"] = counts
            if self.folder is None:
                return [pairs]
            if not files:
                names = (f"part {i}" for i in range(-(-n // _PART)))
                files = [Path(self.folder.name, name) for name in names]
            where = random.randint(len(files), size=len(pairs))
            order = np.argsort(where, kind="stable")
            ends = np.searchsorted(where[order], np.arange(len(files) + 1))
            for path, start, end in zip(files, ends, ends[1:]):
                with path.open("ab") as file:
                    pairs[order[start:end]].tofile(file)
        full = [path for path in files if path.stat().st_size]
        return [np.memmap(path, PAIR, "r") for path in full]


def _starts(ordered: np.ndarray) -> np.ndarray:
    """Where the first of equal values are."""
    return np.flatnonzero(np.diff(ordered, prepend=-1))


def _merged(one: tuple[Any, Any], other: tuple[Any, Any]) -> tuple[Any, Any]:
    """Two sorted runs as one; a key of both has the sum of their counts."""
    keys = np.concatenate([one[0], other[0]])
    order = np.argsort(keys, kind="stable")  # linear, of two runs
    keys, counts = keys[order], np.concatenate([one[1], other[1]])[order]
    starts = _starts(keys)
    return keys[starts], np.add.reduceat(counts, starts) if len(keys) else counts


__all__ = ["PAIR", "Cooccurrences"]
