"""A corpus: documents of words, in memory or read from their source as often as needed.

Words are counted in one pass, in which all that is wrong is found: no training begins
with a corpus that it cannot read to the end.
"""

from __future__ import annotations

import hashlib
import inspect
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from sknets._engine.containers import Container
from sknets._inputs.naming import on_one_line
from sknets._inputs.reader import Reader
from sknets._inputs.sequences import is_missing
from sknets._inputs.text import checked_texts, cutter, whole
from sknets._params import Declared, param

# A line of a file longer than this is several documents.
_LONGEST_LINE = 2**20
# So many documents, from all parts of a corpus, stand for it where a loss is computed.
_SAMPLED = 512
# More words of a document at once gensim would not see.
PIECE = 10_000


class CorpusParameters(Declared):
    """How documents are cut into words, and which of these are known."""

    tokenizer: Literal["words", "characters"] = param(default="words")
    lowercase: bool = param(default=True)
    min_count: int = param(default=5, at_least=1)
    vocabulary_size: int | None = param(default=None, at_least=1)


class Documents(Container):
    """Documents as lists of words, in order, as often as one iterates over them.

    Parameters
    ----------
    make : callable
        Gives an iterator over all of them.
    n, n_pieces : int
        How many there are, and how many of at most 10,000 words.
    mark : str
        A digest of the words, or of where they come from.
    sample : list of list of str
        Some of them, from all parts.
    """

    _derived: ClassVar[tuple[str, ...]] = ("make", "sample")

    def __init__(
        self,
        make: Callable[[], Iterator[list[str]]],
        n: int,
        n_pieces: int,
        mark: str,
        sample: list[list[str]],
    ):
        self.make, self.n, self.n_pieces = make, n, n_pieces
        self.mark, self.sample = mark, sample

    def __len__(self) -> int:
        return self.n

    def __iter__(self) -> Iterator[list[str]]:
        return self.make()

    def pieces_of_words(self) -> Iterator[list[str]]:
        """The documents, long ones cut into several."""
        for words in self.make():
            if len(words) <= PIECE:
                yield words
            else:
                yield from (words[i : i + PIECE] for i in range(0, len(words), PIECE))

    def batches(self, size: int) -> Iterator[tuple[slice, list[list[str]]]]:
        """Yield rows and their documents, so many at a time."""
        documents, start = iter(self), 0
        while found := list(islice(documents, size)):
            yield slice(start, start + len(found)), found
            start += len(found)


class Corpus(Reader, CorpusParameters):
    """Texts or lists of words; or a path, a line a document; or a function of no
    arguments (or an object) that gives an iterator over such, each time anew.

    Learned:

    vocabulary_ : dict of str to int
        The number of each word, the most frequent first.
    word_counts_, document_counts_ : ndarray of int64 of shape (n_words,)
        How often each occurs, and in how many documents.
    n_documents_, n_tokens_ : int
        Documents, and all their words, unknown ones too.
    """

    name: ClassVar[str] = "text"

    def _read(self, X: Any, reset: bool, seen: np.ndarray | None) -> Documents:
        cut = cutter(self)
        if not is_streamed(X):
            known: dict[str, str] = {}
            texts = checked_texts(self.who, X)
            # Strings that are equal are one object: a corpus of words takes little more
            # than their places.
            share = known.setdefault
            documents = [
                [share(word, word) for word in cut(whole(text))]
                if isinstance(text, str)
                else _whole_words(text)
                for text in texts
            ]
            make: Any = partial(iter, documents)
            tally = _Tally(learn=reset, digest=True).over(documents)
        else:
            make = partial(_stream, self.who, X, cut)
            tally = _Tally(learn=reset, digest=not is_path(X)).over(make())
            if not tally.n:
                fix = "the file has no line" if is_path(X) else _ANEW
                raise ValueError(f"{self.who}: X has 0 samples: {fix}")
        if reset:
            self._learn(tally)
        mark = tally.hasher.hexdigest()
        if is_path(X):
            status = os.stat(X)
            mark = f"{status.st_size} {status.st_mtime_ns} {tally.n_tokens}"
        return Documents(make, tally.n, tally.n_pieces, mark, tally.sample)

    def _learn(self, tally: _Tally) -> None:
        counts = tally.counts
        enough = [(w, n) for w, n in counts.items() if n >= self.min_count]
        # gensim's order: of equally frequent words the last seen first.
        kept = sorted(enough[::-1], key=lambda pair: -pair[1])[: self.vocabulary_size]
        if not kept:
            if not counts:
                raise ValueError(
                    f"{self.who}: X has no word, all its texts are empty; give texts "
                    "with words"
                )
            word, most = counts.most_common(1)[0]
            rule = f"no word occurs so often in X (the most frequent, {word!r:.40}, "
            rule += f"does {most} times): lower min_count"
            raise ValueError(self._refusal("min_count", rule))
        self.vocabulary_ = {word: i for i, (word, _) in enumerate(kept)}
        self.word_counts_ = np.array([n for _, n in kept], np.int64)
        within = tally.within
        self.document_counts_ = np.array([within[w] for w, _ in kept], np.int64)
        self.n_documents_, self.n_tokens_ = tally.n, tally.n_tokens


class _Tally:
    """What one pass over documents tells."""

    def __init__(self, learn: bool, digest: bool):
        self.learn, self.digest = learn, digest
        self.counts: Counter[str] = Counter()
        self.within: Counter[str] = Counter()
        self.hasher = hashlib.sha256()
        self.n = self.n_pieces = self.n_tokens = 0
        self.sample: list[list[str]] = []

    def over(self, documents: Iterable[list[str]]) -> _Tally:
        step = 1
        for i, words in enumerate(documents):
            self.n += 1
            self.n_pieces += max(1, -(-len(words) // PIECE))
            self.n_tokens += len(words)
            if self.learn:
                self.counts.update(words)
                self.within.update(set(words))
            if self.digest:
                text = "\x1f".join(words) + "\x1e"
                self.hasher.update(text.encode("utf-8", "surrogatepass"))
            if i % step == 0:
                self.sample.append(words)
                if len(self.sample) > _SAMPLED:
                    self.sample, step = self.sample[::2], 2 * step
        return self


def is_streamed(X: Any) -> bool:
    """Whether it is what documents are read from, not a list of them: a path, a
    function, or whatever can do no more than be iterated over.
    """
    if is_path(X) or inspect.isroutine(X) or isinstance(X, partial):
        return True
    known = hasattr(X, "__len__") or hasattr(X, "__array__") or hasattr(X, "shape")
    return hasattr(X, "__iter__") and not known and not isinstance(X, type)


def is_path(X: Any) -> bool:
    return isinstance(X, str | os.PathLike)


_ANEW = "give a function that makes a new iterator each time it is called"


def _stream(who: str, X: Any, cut: Callable[[Any], list[str]]) -> Iterator[list[str]]:
    """The documents of a path, or of what gives an iterator."""
    if is_path(X):
        yield from map(cut, _lines(who, Path(X)))
        return
    if hasattr(X, "__next__"):
        raise ValueError(f"{who}: X is an iterator, over after one pass: {_ANEW}")
    items = X if hasattr(X, "__iter__") else X()
    if not hasattr(items, "__iter__"):
        raise ValueError(f"{who}: X() gave {items!r:.40}, no iterator: {_ANEW}")
    for i, item in enumerate(items):
        if isinstance(item, str):
            yield cut(whole(item))
            continue
        is_list = isinstance(item, list | tuple)
        if not is_list or not all(isinstance(word, str) for word in item):
            fix = ": make it ''" if is_missing(item) else ""
            raise ValueError(
                f"{who}: what X yields must be texts or lists of words, and item {i} "
                f"is {on_one_line(item)}{fix}"
            )
        yield _whole_words(item)


def _whole_words(words: Any) -> list[str]:
    """Words that UTF-8 takes, as sub-words and files ask for."""
    try:
        "".join(words).encode()
    except UnicodeEncodeError:
        return [*map(whole, words)]
    return list(words)


def _lines(who: str, path: Path) -> Iterator[str]:
    """The lines of a file, long ones in several parts."""
    if not path.is_file():
        why = "that is a folder" if path.is_dir() else "there is no such file"
        raise ValueError(
            f"{who}: X must be a list of texts, the path of a file of text or a "
            f"function, got one string, {str(path)!r:.40}, and {why}"
        )
    n, rest = 0, ""
    with path.open(encoding="utf-8-sig") as file:
        try:
            while line := file.readline(_LONGEST_LINE):
                n += line.endswith("\n")
                line, rest = rest + line, ""
                if len(line) >= _LONGEST_LINE and not line.endswith("\n"):
                    line, _, rest = line.rpartition(" ")
                    line, rest = (line, rest) if line else (rest, "")
                yield line
            if rest:
                yield rest
        except UnicodeDecodeError as error:
            raise ValueError(
                f"{who}: the file {str(path)!r} is not UTF-8: {error.reason} (byte "
                f"{error.object[error.start]:#x}) after line {n}; convert it, or give "
                "a function that opens it with its encoding and yields lines"
            ) from error


__all__ = ["Corpus", "CorpusParameters", "Documents", "is_streamed"]
