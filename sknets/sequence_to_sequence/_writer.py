"""The task of writing a text token by token, about something that was read."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import numpy as np
import torch

from sknets._decoding import BeamSearch, GreedySearch
from sknets._engine.data import Samples
from sknets._inputs.text import EMPTY, UNKNOWN
from sknets._params import param
from sknets.sequence_to_sequence._scores import text_scores
from sknets.sequence_to_sequence._task import TextTask


class Writer(TextTask):
    """Base of estimators that write each token by those before it."""

    label_smoothing: float = param(default=0.1, at_least=0, below=1)
    length_penalty: float = param(default=1.0, at_least=0, at_most=10)
    max_output_length: int | Literal["auto"] = param(default="auto", at_least=1)
    metric: Literal["bleu", "chrf", "exact"] = param(default="bleu")

    def score(self, X: Any, y: Any) -> float:
        """Return how alike the texts predicted are to those of y: see ``metric``.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
        y : list of str, or list of lists of tokens

        Returns
        -------
        score : float
            By sacrebleu, of the whole corpus, BLEU or chrF within 0 and 100; or the
            share of texts that are exactly right, within 0 and 1.
        """
        return self._mark(self.evaluate(X, y))

    def evaluate(self, X: Any, y: Any) -> dict[str, float]:
        """Return all that `score` may be.

        Parameters
        ----------
        X, y
            As in `score`.

        Returns
        -------
        figures : dict
            ``bleu``, ``chrf``, ``exact``.
        """
        return self._marked(X, y)

    def _figures(self, true: Any, found: Any) -> dict[str, float]:
        return text_scores(true, found)

    def _mark(self, figures: dict[str, float]) -> float:
        return figures[self.metric]

    # -- for the engine ----------------------------------------------------------------

    def _learn_statistics(self, samples: Samples) -> None:
        super()._learn_statistics(samples)
        lengths = samples.targets.counts.double() - 1  # the end is written, too
        if self.chunks_.n == 1:
            self.target_length_ = float(lengths.mean())
            self.longest_ = int(lengths.max())

    @property
    def _n_target_tokens(self) -> int:
        return 2 + len(self.target_reader_.vocabulary_)

    def _written(self, memory: Any, n_beams: int) -> tuple[list[Any], np.ndarray]:
        module, reader = self.net_.module_, self.target_reader_
        auto = 10 + 3 * self.longest_ // 2
        given = self.max_output_length
        options: Any = {"max_length": auto if given == "auto" else given, "eos": EMPTY}
        cache, first = module.begin(memory)
        allowed = torch.ones(self._n_target_tokens, dtype=torch.bool)
        allowed[UNKNOWN] = False
        if n_beams == 1:
            found = GreedySearch(**options)(module.step, cache, first, allowed=allowed)
            tokens, scores = found.tokens, found.scores
        else:
            # That nothing better can come is known only long after the last word.
            options |= {"length_penalty": self.length_penalty, "early_stopping": True}
            search = BeamSearch(n_beams=n_beams, **options)
            best = search(module.step, cache, first, allowed=allowed)
            tokens = [each.tokens[0] for each in best]
            scores = np.array([each.scores[0] for each in best])
        return [reader.written(each) for each in tokens], scores

    def _looks(self, X: Any, text: Any) -> np.ndarray:
        """(T, S): what each token of the text of one sample looks at."""
        tokens = self.target_reader_.read([text]).batch(slice(None))
        look = partial(self.net_.module_.attention, y=tokens)
        ((_, told),) = self.net_.batches(self.reader_.read(X), look)
        return told[0].float().cpu().numpy()


__all__ = ["Writer"]
