"""Word2Vec and FastText as gensim trains them, an epoch at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp

from sknets._engine.trainer import EpochTrainer
from sknets.embeddings._words import WordTable

# The loss is that of so many places of the corpus (one of 200 words if these are fewer,
# but not below the second number), the same ones after each epoch: more would take more
# than a hundredth of the time of training.
_PLACES, _FEWEST = 4000, 256


class GensimTrainer(EpochTrainer):
    """Trains a `WordTable` by a model of gensim, whose arrays its tensors are.

    Parameters
    ----------
    module : WordTable
    make : callable
        ``make(seed)`` gives the model, with its vocabulary.
    seed : int
    epochs : int
        After which the rate is at its end.
    verbose : int
    """

    module_: WordTable
    constant = False  # the rate, where chunks of data come one by one
    seen: Any = None
    # The tables of the module and where they are in the model.
    _tables: tuple[tuple[str, str], ...] = (("vectors", "wv.vectors"),)

    def __init__(
        self,
        module: WordTable,
        make: Callable[[int], Any],
        seed: int,
        epochs: int,
        verbose: int,
    ):
        super().__init__(module, verbose)
        self._make, self._seed, self._epochs = make, seed, epochs
        self._model: Any = None
        self._random: dict[str, Any] | None = None

    def _homes(self, model: Any) -> Iterator[tuple[str, Any, str]]:
        output = "syn1" if model.hs else "syn1neg"
        for name, path in (*self._tables, ("output", output)):
            *inside, attribute = path.split(".")
            yield name, model.wv if inside else model, attribute

    def _begin(self, samples: Any) -> None:
        if self._model is None:
            model = self._model = self._make(self._seed)
            fresh = self._random is None
            for name, home, attribute in self._homes(model):
                if fresh:
                    self.module_.set(name, getattr(home, attribute))
                else:
                    table = self.module_.table(name)
                    setattr(home, attribute, table)
            if not fresh:
                model.random.set_state(self._random)
        model = self._model
        model.epochs = self._epochs
        model.min_alpha = model.alpha if self.constant else model.alpha / 250
        self._sample = Sample(self, model, samples.x)

    def loss(self, documents: Any) -> float:
        """That of a sample of other documents."""
        model = self._make(self._seed) if self._model is None else self._model
        return Sample(self, model, documents).loss()

    def _epoch(self, samples: Any) -> float:
        # Not the public `train`: epochs one by one would each begin the fall of the
        # learning rate anew.
        documents = _Watched(samples.x)
        done, n = len(self.history), samples.x.n_pieces
        try:
            self._model._train_epoch(documents, cur_epoch=done, total_examples=n)
        finally:
            documents.stopped = True
        if documents.error is not None:
            raise documents.error
        return self._sample.loss()

    def inputs(self, model: Any, words: np.ndarray, rows: np.ndarray, n: int) -> Any:
        """``() -> (n, d)``: the means that the output layer sees of words in n rows."""
        mean = _mean_of(words, rows, (n, len(self.module_.table("vectors"))))
        return lambda: mean @ self.module_.table("vectors")

    def _own_state(self) -> dict[str, Any]:
        if self._model is not None:
            self._random = self._model.random.get_state(legacy=False)
        return {"random": self._random, "seed": self._seed}

    def _take(self, state: dict[str, Any]) -> None:
        self._random, self._seed, self._model = state["random"], state["seed"], None


class FastTextTrainer(GensimTrainer):
    """Words have vectors of their own and share those of their sub-words."""

    _tables = (("words", "wv.vectors_vocab"), ("ngrams", "wv.vectors_ngrams"))

    def inputs(self, model: Any, words: np.ndarray, rows: np.ndarray, n: int) -> Any:
        parts, counts = _subwords(model, words)
        at = np.repeat(rows, counts)
        total = np.bincount(rows, minlength=n) + np.bincount(at, minlength=n)
        total = np.maximum(total, 1)[:, None].astype(np.float32)
        own = _sum_of(words, rows, (n, len(self.module_.table("words"))))
        sub = _sum_of(parts, at, (n, len(self.module_.table("ngrams"))))

        def means() -> np.ndarray:
            ngrams = self.module_.table("ngrams")
            return (own @ self.module_.table("words") + sub @ ngrams) / total

        return means

    def _settle(self) -> None:
        if self._model is None:
            return
        # The same sums in the same order as gensim's, which adds in a loop of Python.
        words = self.module_.table("words")
        parts, counts = _subwords(self._model, np.arange(len(words)))
        ends = np.append(0, counts.cumsum())
        shape = (len(words), len(self.module_.table("ngrams")))
        ones = np.ones(len(parts), np.float32)
        sums = words.copy()
        found = sp.csr_array((ones, parts, ends), shape)
        sums += found @ self.module_.table("ngrams")
        sums /= (counts + 1)[:, None].astype(np.float32)
        self.module_.set("vectors", sums)


def _subwords(model: Any, words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The sub-words of words, joined, and how many each has."""
    parts = [model.wv.buckets_word[word] for word in words]
    counts = np.array([len(each) for each in parts], np.int64)
    return np.concatenate([*parts, np.empty(0, np.int64)]).astype(np.int64), counts


class Sample:
    """Places of a corpus whose loss tells how far training has come.

    gensim's own account of it is a running sum in single precision over threads, and
    is not there at all for FastText. This is the loss itself, of the same words, their
    contexts and negative samples after every epoch, so that it falls as training lowers
    what it aims at.
    """

    def __init__(self, trainer: Any, model: Any, documents: Any):
        random = np.random.RandomState(0)
        self.trainer, self.model = trainer, model
        find, window = model.wv.key_to_index, model.window
        keep = model.wv.expandos["sample_int"] / (2**32 - 1)
        n = max(_FEWEST, min(_PLACES, model.corpus_total_words // 200))
        found = documents.sample
        found = found[:: max(1, sum(map(len, found)) // (10 * n))]
        parts = [[find[w] for w in words if w in find] for words in found]
        ids = np.concatenate([np.array(part, np.int64) for part in parts])
        whose = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        kept = random.random_sample(len(ids)) < keep[ids]
        ids, whose = ids[kept], whose[kept]
        centres: list[int] = []
        contexts: list[int] = []
        rows: list[int] = []
        for place in random.randint(max(1, len(ids)), size=n if len(ids) else 0):
            reach = window - random.randint(window)
            near = np.arange(max(0, place - reach), min(len(ids), place + reach + 1))
            near = near[(whose[near] == whose[place]) & (near != place)]
            if not len(near):
                continue
            if model.sg:
                near = near[random.randint(len(near), size=1)]
            rows += [len(centres)] * len(near)
            contexts += ids[near].tolist()
            centres.append(ids[place])
        self.n = len(centres)
        if not self.n:
            return
        words = np.array(centres)
        self.inputs = trainer.inputs(model, np.array(contexts), np.array(rows), self.n)
        if model.hs:
            paths = [model.wv.get_vecattr(w, "point") for w in words]
            codes = [model.wv.get_vecattr(w, "code") for w in words]
            self.rows = np.repeat(np.arange(self.n), [len(path) for path in paths])
            self.outputs = np.concatenate(paths).astype(np.int64)
            self.signs = 1 - 2.0 * np.concatenate(codes)
        else:
            table = model.cum_table
            drawn = random.randint(table[-1], size=(self.n, model.negative))
            others = np.searchsorted(table, drawn)
            self.rows = np.repeat(np.arange(self.n), 1 + model.negative)
            self.outputs = np.column_stack([words, others]).ravel()
            signs = np.column_stack(
                [np.ones(self.n), np.where(others == words[:, None], 0, -1)]
            )
            self.signs = signs.ravel()

    def loss(self) -> float:
        """The mean over places of the sum of -log sigmoid(± input · output)."""
        if not self.n:
            return 0.0
        inputs = self.inputs()
        output = self.trainer.module_.table("output")
        products = np.einsum("nd,nd->n", inputs[self.rows], output[self.outputs])
        losses = np.logaddexp(0, -self.signs * products) * (self.signs != 0)
        return float(losses.sum() / self.n)


class _Watched:
    """Documents for a thread of gensim's, an error in which would leave us waiting."""

    def __init__(self, documents: Any):
        self.documents, self.stopped = documents, False
        self.error: BaseException | None = None

    def __iter__(self) -> Iterator[list[str]]:
        n = 0
        try:
            for words in self.documents.pieces_of_words():
                if self.stopped:
                    return
                n += 1
                yield words
            if n != self.documents.n_pieces:
                raise ValueError(
                    f"X gave {n} documents in an epoch and {self.documents.n_pieces} "
                    "when words were counted: it must give the same each time"
                )
        except Exception as error:
            self.error = error


def _sum_of(words: np.ndarray, rows: np.ndarray, shape: tuple[int, int]) -> Any:
    ones = np.ones(len(words), np.float32)
    return sp.csr_array((ones, (rows, words)), shape)


def _mean_of(words: np.ndarray, rows: np.ndarray, shape: tuple[int, int]) -> Any:
    counts = np.maximum(np.bincount(rows, minlength=shape[0]), 1)
    ones = (1 / counts[rows]).astype(np.float32)
    return sp.csr_array((ones, (rows, words)), shape)


__all__ = ["FastTextTrainer", "GensimTrainer"]
