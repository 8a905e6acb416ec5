"""The task of saying in a text, or aloud, what was read."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from sknets._available import available_unless
from sknets._engine.callbacks import with_callbacks
from sknets._engine.optim import Budget
from sknets._estimator import Estimator
from sknets._inputs.sentences import Sentences
from sknets._inputs.text import TextParameters
from sknets._params import param
from sknets._targets import given_target

_MOST = 128  # pairs a step, at most
_STEPS = 50  # in an epoch, at least, where there are enough pairs


class PairTask(TextParameters, Estimator):
    """Base of estimators that learn of pairs, one side of which is a text."""

    _predict_batch_size: ClassVar[int] = 128

    tokenizer: Literal["words", "characters", "bpe"] = param(default="bpe")
    lowercase: bool = param(default=False)
    vocabulary_size: int = param(default=6000, at_least=1)
    dropout: float = param(default=0.1, at_least=0, below=1)
    batch_size: int | Literal["auto"] = param(  # type: ignore[assignment]
        default="auto", at_least=1
    )
    optimizer: Literal["adam", "adamw", "sgd"] = param(default="adamw")
    lr: float = param(default=1.5e-3, above=0)
    lr_schedule: Literal["step", "cosine", "one_cycle", "plateau"] | None = param(
        default="one_cycle"
    )
    weight_decay: float = param(default=1e-4, at_least=0)
    gradient_clip: float | None = param(default=1.0, above=0)
    ema_decay: float | None = param(default=0.998, above=0, below=1)

    @property
    def _budget(self) -> Budget:
        return Budget(epochs=10, steps=2000)

    @with_callbacks
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        X_val: Any = None,
        y_val: Any = None,
    ) -> Self:
        """Train on samples and what belongs to each.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            What the class names.
        y : list of str, of lists of tokens or of ndarray
            As many, which the class writes or says, none of them empty.
        sample_weight : array-like of shape (n_samples,), default=None
            Not negative; a weight of 0 is an absent pair.
        X_val, y_val : array-like, default=None
            Pairs to validate by, with ``early_stopping``, instead of a share of X.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For a parameter out of bounds, for what is no text, an empty one, no sound
            or silence, and numbers of samples that differ.
        DivergenceError
            When the training loss is no longer finite.
        """
        return self._fit(X, y, sample_weight, X_val, y_val)

    @available_unless("_fits_whole")
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train for one epoch; as many calls as ``max_epochs`` equal one `fit`.

        The vocabularies are those of the first call.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.

        Returns
        -------
        self : object
        """
        return self._partial_fit(X, y, sample_weight)

    def _batch_size(self) -> int:
        auto = int(max(8, min(_MOST, self.n_samples_seen_ // _STEPS)))
        self.batch_size_ = auto if self.batch_size == "auto" else int(self.batch_size)
        return self.batch_size_

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.estimator_type = None
        tags.target_tags.required = True
        tags.input_tags.two_d_array = False
        return tags


class TextTask(PairTask):
    """Base of estimators whose y is a text a sample.

    A subclass gives ``_written``, ``_figures`` and ``_mark``.
    """

    _targets: ClassVar[tuple[Any, ...]] = (Sentences,)

    n_beams: int = param(default=4, at_least=1)

    def predict(self, X: Any) -> np.ndarray:
        """Return the text of each sample, found by ``n_beams``.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)

        Returns
        -------
        texts : object ndarray of shape (n_samples,)
            Strings, or lists of tokens where the y of `fit` had these.
        """
        return self.predict_with_scores(X)[0]

    def predict_with_scores(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return the text of each sample, and how probable it is to the network.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)

        Returns
        -------
        texts : object ndarray of shape (n_samples,)
        log_p : ndarray of shape (n_samples,)
            The sum of the logarithms of its tokens' probabilities.
        """
        check_is_fitted(self)
        x = self._check_input(X, reset=False)
        texts, scores = np.empty(len(x), object), np.empty(len(x))

        def write(batch: Any) -> tuple[list[Any], np.ndarray]:
            return self._written(self.net_.module_(batch), self.n_beams)

        for rows, (found, log_p) in self.net_.batches(x, write):
            for i, text in zip(np.arange(len(x))[rows], found):
                texts[i] = text
            scores[rows] = log_p
        return texts, scores

    def _marked(self, X: Any, y: Any) -> dict[str, float]:
        """All figures of how alike the texts predicted are to those of y."""
        found = self.predict(X)
        y = given_target(y, type(self).__name__, len(found))
        return self._figures(self.target_reader_.texts(y), found)

    def _figures(self, true: Any, found: Any) -> dict[str, float]:
        raise NotImplementedError

    def _mark(self, figures: dict[str, float]) -> float:
        """Which of them, or what of them, `score` is."""
        raise NotImplementedError

    # -- for the engine ----------------------------------------------------------------

    def _encode_target(self, y, n_samples, weight, *, reset, classes=None):
        y, owner = given_target(y, type(self).__name__, n_samples), self.target_reader_
        owner.refuse_empty(y)
        return owner.read(y)

    def _written(self, output: Any, n_beams: int) -> tuple[list[Any], np.ndarray]:
        """The texts of a batch, and their log-probabilities."""
        raise NotImplementedError

    def _score(self) -> Any:
        return TextScore(self)


class TextScore:
    """The score of a validation set, whose texts are found greedily."""

    def __init__(self, writer: TextTask):
        self.writer = writer
        self.true: list[Any] = []
        self.found: list[Any] = []

    def update(self, output: Any, y: Any, weight: Tensor | None) -> None:
        writer = self.writer
        rows = y.join()[:, 0].split(y.counts.tolist())
        self.true += [writer.target_reader_.written(row.tolist()) for row in rows]
        self.found += writer._written(output, 1)[0]

    def compute(self) -> float:
        return self.writer._mark(self.writer._figures(self.true, self.found))


__all__ = ["PairTask", "TextTask"]
