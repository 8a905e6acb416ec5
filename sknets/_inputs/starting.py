"""Vectors of words, learned elsewhere, from which a network of text starts."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import check_is_fitted

from sknets._inputs.text import N_RESERVED, ReadsText
from sknets._layers import TokenEmbedding
from sknets._params import param

# As a fresh embedding has them: see `TokenEmbedding`.
_DEVIATION = 0.3


class StartsFromWords(ReadsText):
    """What an estimator of text has that may start from vectors of words."""

    embedding: Any = param(default=None)

    # Of no use once there are weights, and nothing that a file of numbers holds.
    _only_for_fit: ClassVar[tuple[str, ...]] = ("embedding",)

    def _check_input(self: Any, X: Any, *, reset: bool, seen: Any = None) -> Any:
        if reset and self.embedding is not None:
            self._check_embedding(X)
        x = super()._check_input(X, reset=reset, seen=seen)  # type: ignore[misc]
        if reset and self.embedding is not None:
            rows = X if seen is None else _safe_indexing(X, np.flatnonzero(seen))
            self._learn_start(rows)
        return x

    def _check_embedding(self: Any, X: Any) -> None:
        made = self.embedding
        if not all(hasattr(made, name) for name in ("transform_tokens", "get_params")):
            rule = (
                "must be a vectorizer of words, such as Word2VecVectorizer(), or None"
            )
            raise ValueError(self._refusal("embedding", f"embedding {rule}"))
        if self._choose_kind(X).name != "text":
            why = "X has no words to start from: leave embedding out"
            raise ValueError(self._refusal("embedding", why))
        if self.tokenizer == "bpe":
            why = "byte pairs are no words: set tokenizer='words'"
            raise ValueError(self._refusal("embedding", why))

    def _learn_start(self: Any, X: Any) -> None:
        """The vector of each token of the vocabulary, of zeros where there is none."""
        words = self.embedding
        try:
            check_is_fitted(words)
        except NotFittedError:
            words = clone(words)
            if words.random_state is None and isinstance(self.random_state, int):
                words.set_params(random_state=self.random_state)
            words.fit(X)
        known = self.reader_.vocabulary_
        # What it knows of further words counts too: they may come to be predicted.
        for word in words.vocabulary_:
            known.setdefault(word, N_RESERVED + len(known))
        vectors = words.transform_tokens([list(known)])[0]
        self.word_size_ = vectors.shape[1]
        self._start = vectors

    @property
    def _word_size(self) -> int:
        """Numbers in the vector of a token."""
        given: int = vars(self).get("word_size_", self.embedding_size)
        return given

    def _load_pretrained(self: Any, module: Any) -> None:
        super()._load_pretrained(module)  # type: ignore[misc]
        start = vars(self).pop("_start", None)
        if start is None:
            return
        found = start.any(1)
        scale = _DEVIATION / max(float(start[found].std()), 1e-12)
        tokens = next(m for m in module.modules() if isinstance(m, TokenEmbedding))
        rows = N_RESERVED + torch.from_numpy(np.flatnonzero(found))
        with torch.no_grad():
            weight = tokens.embedding.weight
            weight[rows] = torch.from_numpy(start[found] * scale).to(weight)


__all__ = ["StartsFromWords"]
