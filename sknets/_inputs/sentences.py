"""Sentences: texts that are read to the end, and texts that are written."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from sknets._inputs.sequences import SequenceData
from sknets._inputs.text import EMPTY, Text

_MARK = np.array([[EMPTY]], np.int32)


class Source(Text):
    """Texts to read, each with a mark at its end."""

    absent: ClassVar[str] = "leave it out"
    _begun: ClassVar[bool] = False

    def _read(self, X: Any, reset: bool, seen: np.ndarray | None) -> SequenceData:
        return self.marked(super()._read(X, reset, seen))

    def marked(self, texts: SequenceData) -> SequenceData:
        before = [_MARK] if self._begun else []
        parts = np.split(texts.join().numpy(), texts.counts.cumsum(0)[:-1].numpy())
        rows = [np.concatenate([*before, part, _MARK]) for part in parts]
        return SequenceData.of(rows, whole=True)

    def refuse_empty(self, X: Any) -> None:
        """Of a text without a word nothing is learned."""
        for i, text in enumerate(self.texts(X)):
            if not (text.strip() if isinstance(text, str) else text):
                raise ValueError(
                    f"{self.who}: {self.called}[{i}] is an empty text, {text!r}: leave "
                    "the pair out"
                )

    def take_tokens(self, other: Text) -> None:
        """Read by the vocabulary that another has learned."""
        self.restore({k: v for k, v in vars(other).items() if k[-1:] == "_"})


class Sentences(Source):
    """Texts to write, between two marks. Learned:

    listed_ : bool
        Whether they were lists of tokens.
    """

    called: ClassVar[str] = "y"
    _begun: ClassVar[bool] = True

    def learn(self, X: Any, seen: np.ndarray | None = None) -> SequenceData:
        self.listed_ = all(not isinstance(text, str) for text in self.texts(X))
        return super().learn(X, seen)

    def written(self, encoded: Any) -> Any:
        """A text, or its tokens where those of fit were lists of them."""
        if not self.listed_:
            return self.write(encoded)
        names = list(self.vocabulary_)
        return [names[n - 2] for n in encoded if n >= 2]


class Transcripts(Sentences):
    """Texts that are heard, without marks: where they end the sound tells."""

    def marked(self, texts: SequenceData) -> SequenceData:
        return texts


__all__ = ["Sentences", "Source", "Transcripts"]
