"""Text cut into sub-words: by a tokenizer learned from it, or a pretrained one."""

from __future__ import annotations

import json
from typing import Any, ClassVar, Literal

import numpy as np

from sknets._inputs.reader import Learned, Reader
from sknets._inputs.sequences import SequenceData
from sknets._inputs.text import checked_texts, tokenizer_of, tokenizers_for, whole
from sknets._params import Declared, param

# The special tokens of each kind, in the order of their numbers.
MARKS = {
    "wordpiece": ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
    "bytes": ("<|endoftext|>",),
}


class SubwordParameters(Declared):
    """How many sub-words are learned, and how much of a text is read."""

    lowercase: bool = param(default=True)
    vocabulary_size: int = param(default=8_000, at_least=1)
    min_frequency: int = param(default=2, at_least=1)
    max_length: int | None = param(default=None, at_least=1)


class ReadsSubwords(SubwordParameters):
    """The parameters and attributes of every estimator that reads sub-words."""

    tokenizer_ = Learned()

    @property
    def vocabulary_(self) -> dict[str, int]:
        """The number of each sub-word."""
        return tokenizer_of(self.tokenizer_).get_vocab()


class Subwords(Reader, SubwordParameters):
    """Lists, arrays or columns of strings, or of lists of words; any may be empty.

    A text is ``[CLS] ... [SEP]`` where ``cut`` is "wordpiece" [Schuster, Nakajima
    2012]; where it is "bytes" (byte pairs), its tokens, or the end of text alone.

    Parameters
    ----------
    cut : {"wordpiece", "bytes"}
    stored : str or None
        The JSON of a tokenizer that was learned elsewhere.

    Learned:

    tokenizer_ : str
        The tokenizer, as the JSON of `tokenizers`.
    """

    name: ClassVar[str] = "text"

    cut: Literal["wordpiece", "bytes"] = param(default="wordpiece")
    stored: str | None = param(default=None)

    def _read(self, X: Any, reset: bool, seen: np.ndarray | None) -> SequenceData:
        texts = checked_texts(self.who, X)
        if reset:
            counted = texts
            if seen is not None:
                counted = [text for text, is_seen in zip(texts, seen) if is_seen]
            self.tokenizer_: str = self.stored or self._learn(counted)
            self.stored = None
            self._check_marks()
        coded = [np.array(self.encode(text), np.int32) for text in texts]
        return SequenceData.of([numbers[:, None] for numbers in coded], whole=True)

    def encode(self, text: Any) -> list[int]:
        """The numbers of a text's tokens, with those that stand around it."""
        listed = not isinstance(text, str)
        given = list(map(whole, text)) if listed else whole(text)
        if listed and self.cut == "bytes":  # a space is a part of the word after it
            given, listed = " ".join(given), False
        encoded = tokenizer_of(self.tokenizer_).encode(
            given, is_pretokenized=listed, add_special_tokens=False
        )
        numbers = encoded.ids[: self.max_length]
        if self.cut == "bytes":
            return numbers or [self.boundary]
        return [self.number("[CLS]"), *numbers, self.number("[SEP]")]

    def number(self, token: str) -> int:
        return tokenizer_of(self.tokenizer_).token_to_id(token)

    def tokens(self, text: Any) -> list[str]:
        """The tokens of a text, as they are written."""
        names = tokenizer_of(self.tokenizer_).id_to_token
        return [names(number) for number in self.encode(text)]

    # -- for what writes text --------------------------------------------------------

    @property
    def boundary(self) -> int:
        """The token before a text and after it."""
        return self.number(MARKS["bytes"][0])

    @property
    def names(self) -> list[str]:
        """How each token is written, by its number."""
        numbers = tokenizer_of(self.tokenizer_).get_vocab()
        return sorted(numbers, key=numbers.__getitem__)

    @property
    def never_written(self) -> list[int]:
        return []

    gap: ClassVar[str] = ""

    def write(self, encoded: Any) -> str:
        """The text of tokens' numbers."""
        return tokenizer_of(self.tokenizer_).decode([int(n) for n in encoded])

    # -- learning --------------------------------------------------------------------

    def _check_marks(self) -> None:
        for mark in MARKS[self.cut][1:] or MARKS[self.cut]:
            if self.number(mark) is None:
                raise ValueError(
                    f"{self.who}: the pretrained tokenizer has no {mark}, it is not "
                    f"made of {_NOUN[self.cut]}"
                )

    def _learn(self, texts: list[Any]) -> str:
        package = tokenizers_for(self.who)
        strings = [
            whole(text if isinstance(text, str) else " ".join(text)) for text in texts
        ]
        if not any(map(str.split, strings)):
            raise ValueError(f"{self.who}: X has no token, all its texts are empty")
        learn = self._learn_pieces if self.cut == "wordpiece" else self._learn_pairs
        return learn(package, strings).to_str()

    def _learn_pieces(self, package: Any, texts: list[str]) -> Any:
        marks = MARKS["wordpiece"]
        # Accents stay: without them Hindi would have lost its vowels.
        normalize = package.normalizers.BertNormalizer(
            lowercase=self.lowercase, strip_accents=False
        )
        words = package.pre_tokenizers.BertPreTokenizer()
        texts = [normalize.normalize_str(text) for text in texts]
        # Numbered before the trainer meets them, in an order that does not depend on
        # how a process hashes strings: equal frequencies are told apart by numbers.
        letters = sorted(set().union(*texts) - set(" \t\n\r"))
        inner = [f"##{letter}" for letter in letters]
        trained = package.Tokenizer(package.models.WordPiece(unk_token="[UNK]"))
        trained.pre_tokenizer = words
        trained.train_from_iterator(
            texts,
            package.trainers.WordPieceTrainer(
                vocab_size=max(self.vocabulary_size, len(marks) + 2 * len(letters)),
                min_frequency=self.min_frequency,
                special_tokens=[*marks, *letters, *inner],
                show_progress=False,
            ),
        )
        model = package.models.WordPiece(trained.get_vocab(), unk_token="[UNK]")
        tokenizer = package.Tokenizer(model)
        tokenizer.normalizer, tokenizer.pre_tokenizer = normalize, words
        tokenizer.decoder = package.decoders.WordPiece()
        tokenizer.add_special_tokens(list(marks))
        return tokenizer

    def _learn_pairs(self, package: Any, texts: list[str]) -> Any:
        """Byte-pair encoding of the bytes of texts: no text has an unknown token."""
        bytes_ = package.pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer = package.Tokenizer(package.models.BPE())
        tokenizer.pre_tokenizer = bytes_
        tokenizer.decoder = package.decoders.ByteLevel()
        if self.lowercase:
            tokenizer.normalizer = package.normalizers.Lowercase()
        trainer = package.trainers.BpeTrainer(
            vocab_size=self.vocabulary_size,
            min_frequency=self.min_frequency,
            special_tokens=list(MARKS["bytes"]),
            initial_alphabet=sorted(bytes_.alphabet()),
            show_progress=False,
        )
        tokenizer.train_from_iterator(texts, trainer)
        return tokenizer


def as_stored(text: str) -> str:
    """The JSON of a stored tokenizer, without padding and cutting of its own."""
    settings = json.loads(text)
    return json.dumps({**settings, "padding": None, "truncation": None})


_NOUN = {"wordpiece": "word pieces, as BERT's", "bytes": "byte pairs, as GPT-2's"}

__all__ = ["MARKS", "ReadsSubwords", "Subwords", "as_stored"]
