"""Text: strings cut into tokens, or lists of tokens, as numbers of a vocabulary."""

from __future__ import annotations

import functools
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import compress
from typing import Any, ClassVar, Literal

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer

from sknets._inputs.reader import Learned, Reader
from sknets._inputs.sequences import SequenceData, column_of, is_missing
from sknets._params import Declared, param

# Numbers of tokens that no text has: what is not in the vocabulary, and all there is of
# a text without a token.
UNKNOWN, EMPTY = 0, 1
N_RESERVED = 2


class TextParameters(Declared):
    """How text is cut into tokens, and which of them are known."""

    tokenizer: Literal["words", "characters", "bpe"] = param(default="words")
    lowercase: bool = param(default=True)
    vocabulary_size: int = param(default=20_000, at_least=1)
    min_frequency: int = param(default=1, at_least=1)
    max_length: int | None = param(default=None, at_least=1)


class ReadsText(TextParameters):
    """The parameters and attributes of every estimator that reads text."""

    vocabulary_ = Learned()
    bpe_ = Learned()

    embedding_size: int = param(default=64, at_least=1)

    @property
    def _n_tokens(self) -> int:
        """Rows of an embedding."""
        return N_RESERVED + len(self.vocabulary_)


class Text(Reader, TextParameters):
    """Lists, arrays or columns of strings, or of lists of tokens; any may be empty.

    Learned:

    vocabulary_ : dict of str to int
        The number of each token.
    bpe_ : str
        With ``tokenizer="bpe"`` the tokenizer, as the JSON of `tokenizers`.
    """

    name: ClassVar[str] = "text"
    # What errors call the texts.
    called: ClassVar[str] = "X"
    # What they advise where there is none.
    absent: ClassVar[str] = "make it ''"

    def _read(self, X: Any, reset: bool, seen: np.ndarray | None) -> SequenceData:
        texts = self.texts(X)
        if reset:
            counted = texts if seen is None else compress(texts, seen)
            self.learn_tokens(list(counted))
        encode = _code(self)
        limit = self.max_length
        coded = [np.array(encode(text)[:limit] or [EMPTY], np.int32) for text in texts]
        return SequenceData.of([numbers[:, None] for numbers in coded], whole=True)

    def texts(self, X: Any) -> list[Any]:
        """Strings, or lists of tokens, of which none is anything else."""
        return checked_texts(self.who, X, self.called, self.absent)

    def learn_tokens(self, texts: list[Any]) -> None:
        self.vocabulary_: dict[str, int] = _learn_tokens(self, texts)

    @property
    def boundary(self) -> int:
        """The token before a text and after it."""
        return EMPTY

    @property
    def names(self) -> list[str]:
        """How each token is written, by its number."""
        return ["[UNK]", "[END]", *self.vocabulary_]

    @property
    def never_written(self) -> list[int]:
        return [UNKNOWN]

    def write(self, encoded: Any) -> str:
        """The text of tokens' numbers; unknown ones are left out."""
        numbers = [int(n) for n in encoded if n >= N_RESERVED]
        if hasattr(self, "bpe_"):
            bpe = tokenizer_of(self.bpe_)
            return bpe.decode([n - N_RESERVED for n in numbers]).lstrip()
        names = list(self.vocabulary_)  # numbered in this order
        return self.gap.join(names[n - N_RESERVED] for n in numbers)

    @property
    def gap(self) -> str:
        """What stands between two tokens."""
        return "" if self.tokenizer == "characters" else " "


def checked_texts(
    owner: str, X: Any, called: str = "X", absent: str = Text.absent
) -> list[Any]:
    """The texts of X, each a string or a list of tokens; what is none is named."""
    X, says = column_of(X), f"{owner}: {called}"
    if isinstance(X, str) or getattr(X, "ndim", 1) != 1:
        got = f"one string, {X!r:.40}" if isinstance(X, str) else f"the shape {X.shape}"
        raise ValueError(
            f"{says} must be a list of texts, or a column of a table, got {got}"
        )
    texts = [item.tolist() if isinstance(item, np.ndarray) else item for item in X]
    if not texts:
        raise ValueError(f"{says} has 0 samples; it must have at least one text")
    for i, text in enumerate(texts):
        if isinstance(text, str):
            continue
        if not isinstance(text, list | tuple):
            fix = f"; {absent}" if is_missing(text) else ""
            decoded = f"; make it {called}[{i}].decode()"
            fix = decoded if isinstance(text, bytes) else fix
            raise ValueError(
                f"{says}[{i}] must be a text or a list of tokens, got {text!r:.60}{fix}"
            )
        if set(map(type, text)) <= {str}:
            continue
        wrong = next((token for token in text if not isinstance(token, str)), "")
        if not isinstance(wrong, str):
            raise ValueError(
                f"{says}[{i}] must be a list of tokens, and {wrong!r:.60} is no string"
            )
    return texts


Code = Callable[[Any], list[int]]


def _learn_tokens(reader: Any, texts: list[Any]) -> dict[str, int]:
    """The vocabulary; sets the byte-pair tokenizer if that is asked for."""
    size = reader.vocabulary_size
    if reader.tokenizer == "bpe" and any(isinstance(text, str) for text in texts):
        reader.bpe_, vocabulary = _learned_pairs(
            reader, (whole(text) for text in texts if isinstance(text, str))
        )
        return vocabulary
    cut = cutter(reader)
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(cut(text))
    enough = [(-n, t) for t, n in counts.items() if n >= reader.min_frequency]
    kept = [token for _, token in sorted(enough)[:size]]
    if not kept:
        raise ValueError(
            f"{reader.who}: {reader.called} has no token"
            + (
                f" that occurs {reader.min_frequency} times (min_frequency)"
                if counts
                else ", all its texts are empty"
            )
        )
    return {token: i for i, token in enumerate(kept, N_RESERVED)}


def _code(reader: Any) -> Code:
    find = reader.vocabulary_.get
    cut = cutter(reader)
    if not hasattr(reader, "bpe_"):
        return lambda text: [find(token, UNKNOWN) for token in cut(text)]
    bpe = tokenizer_of(reader.bpe_)

    def code(text: Any) -> list[int]:
        if isinstance(text, str):
            return [number + N_RESERVED for number in bpe.encode(whole(text)).ids]
        return [find(token, UNKNOWN) for token in text]

    return code


def tokens_of(reader: Any, text: Any) -> list[str]:
    """The tokens that a fitted estimator reads of a text, as they are written."""
    if hasattr(reader, "tokens"):
        return reader.tokens(text)
    if hasattr(reader, "bpe_") and isinstance(text, str):
        bpe = tokenizer_of(reader.bpe_)
        tokens = [bpe.decode([number]) for number in bpe.encode(whole(text)).ids]
    else:
        tokens = list(cutter(reader)(text))
    return tokens[: reader.max_length]


def cutter(reader: Any) -> Callable[[Any], list[str]]:
    """Tokens of a text; a list of tokens stays as it is."""
    if reader.tokenizer == "characters":
        analyze = CountVectorizer(
            analyzer="char", lowercase=reader.lowercase
        ).build_analyzer()
        return lambda text: analyze(text) if isinstance(text, str) else text
    lowercase = reader.lowercase
    return lambda text: (
        words_of(text.lower() if lowercase else text) if isinstance(text, str) else text
    )


def words_of(text: str) -> list[str]:
    """Its words, and each other sign alone."""
    return (_PLAIN if text.isascii() else _marked()).findall(text)


_PLAIN = re.compile(r"\w+|[^\w\s]")


@functools.cache
def _marked() -> re.Pattern[str]:
    return re.compile(rf"{word()}|[^\w\s]")


@functools.cache
def word() -> str:
    """The pattern of a word with the marks in it, of which ``\\w`` knows none: vowels
    of Hindi and Thai, accents of their own, joiners in Persian.
    """
    signs = map(chr, range(sys.maxunicode + 1))
    marks = "".join(sign for sign in signs if unicodedata.category(sign)[0] == "M")
    return rf"\w+(?:[{marks}\u200c\u200d]+\w*)*"


def whole(text: str) -> str:
    """The text in whole characters, as UTF-8 takes them: half of one is U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def tokenizers_for(owner: str) -> Any:
    """The package tokenizers, which is an extra."""
    try:
        import tokenizers
    except ImportError as error:
        raise ImportError(
            f"{owner} needs the package tokenizers: pip install 'sknets[text]'"
        ) from error
    return tokenizers


def _learned_pairs(reader: Any, texts: Iterable[str]) -> tuple[str, dict[str, int]]:
    """Byte-pair encoding of the bytes of texts: no text has an unknown token."""
    package = tokenizers_for(f"{reader.who}(tokenizer='bpe')")
    bytes_ = package.pre_tokenizers.ByteLevel(add_prefix_space=True)
    bpe = package.Tokenizer(package.models.BPE())
    bpe.pre_tokenizer = bytes_
    if reader.lowercase:
        bpe.normalizer = package.normalizers.Lowercase()
    trainer = package.trainers.BpeTrainer(
        vocab_size=reader.vocabulary_size,
        min_frequency=reader.min_frequency,
        initial_alphabet=bytes_.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    numbers = bpe.get_vocab()
    ordered = sorted(numbers, key=numbers.__getitem__)
    return bpe.to_str(), {token: numbers[token] + N_RESERVED for token in ordered}


@functools.lru_cache(maxsize=8)
def tokenizer_of(json: str) -> Any:
    """The tokenizer of this JSON; one that does not say how to write writes bytes."""
    package = tokenizers_for("sknets")
    tokenizer = package.Tokenizer.from_str(json)
    if tokenizer.decoder is None:
        tokenizer.decoder = package.decoders.ByteLevel()
    return tokenizer


__all__ = [
    "EMPTY",
    "N_RESERVED",
    "UNKNOWN",
    "ReadsText",
    "Text",
    "checked_texts",
    "cutter",
    "is_missing",
    "tokenizer_of",
    "tokenizers_for",
    "tokens_of",
    "whole",
    "word",
]
