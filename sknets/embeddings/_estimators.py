"""Word2Vec and FastText."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from torch import nn

from sknets._params import param
from sknets.embeddings._gensim import FastTextTrainer, GensimTrainer
from sknets.embeddings._words import WordTable, WordVectorizer

# As many buckets a word of the vocabulary, up to what the FastText tool has.
_BUCKETS_A_WORD, _MOST_BUCKETS = 20, 2_000_000


class _ByGensim(WordVectorizer):
    """What word2vec and FastText have in common."""

    method: Literal["skip_gram", "cbow"] = param(default="skip_gram")
    loss: Literal["negative_sampling", "hierarchical_softmax"] = param(
        default="negative_sampling"
    )
    n_negatives: int = param(default=5, at_least=1)
    negative_exponent: float = param(default=0.75)
    subsample: float = param(default=1e-3, at_least=0, below=1)
    lr: float = param(default=0.025, above=0)
    n_jobs: int = param(default=1, at_least=1)

    _trained_by = GensimTrainer

    def _trainer(self, module: nn.Module, seed: int) -> GensimTrainer:
        make, epochs = self._make_model, self.max_epochs_
        verbose = int(self.verbose >= 2)
        return self._trained_by(module, make, seed, epochs, verbose)  # type: ignore[arg-type]

    def _prepare(self, net: Any, *sets: Any) -> None:
        super()._prepare(net, *sets)
        # Of a copy, or after other parameters: the model is made by these.
        net._make, net._epochs = self._make_model, self.max_epochs_

    def _make_model(self, seed: int) -> Any:
        """The model of gensim for the vocabulary that was learned."""
        negative = self.loss == "negative_sampling"
        model = self._gensim(
            vector_size=self.embedding_size,
            window=self.window,
            min_count=1,  # the vocabulary has only words that count, in order
            sorted_vocab=0,
            sg=int(self.method == "skip_gram"),
            hs=int(not negative),
            negative=self.n_negatives if negative else 0,
            ns_exponent=self.negative_exponent,
            sample=self.subsample,
            alpha=self.lr,
            batch_words=self.batch_size,
            workers=self.n_jobs,
            seed=seed,
        )
        counts = dict(zip(self.vocabulary_, self.word_counts_.tolist()))
        model.corpus_total_words = sum(counts.values())
        model.build_vocab_from_freq(counts)
        return model

    def _gensim(self, **given: Any) -> Any:
        raise NotImplementedError


class Word2VecVectorizer(_ByGensim):
    """Vectors of words by word2vec [1]_ [2]_, and documents as those of their words.

    Parameters
    ----------
    embedding_size : int, default=100
        Numbers in the vector of a word.
    method : {"skip_gram", "cbow"}, default="skip_gram"
        "skip_gram": a word's vector tells each word near it; "cbow": the mean of those
        near it tells the word, three to four times as fast, and better on large
        corpora only.
    window : int, default=5
        How many words before and after one are near it; for each word as many as are
        drawn from 1 to this.
    loss : {"negative_sampling", "hierarchical_softmax"}, default="negative_sampling"
        How words that are near are told from others: from some that are drawn, or by a
        path through a Huffman tree of all words.
    n_negatives : int, default=5
        Words drawn for "negative_sampling".
    negative_exponent : float, default=0.75
        Power of the counts by which they are drawn.
    subsample : float, default=0.001
        Words more frequent than this share are left out at random, the more so the more
        frequent; 0 leaves none out.
    tokenizer : {"words", "characters"}, default="words"
        What a string is cut into: words and punctuation marks, or characters. Lists of
        words are taken as they are.
    lowercase : bool, default=True
        Whether strings are turned to lower case first.
    min_count : int, default=5
        How often a word must occur in `fit` to be learned.
    vocabulary_size : int or None, default=None
        Words that are learned at most, the most frequent ones.
    pooling : {"mean", "tfidf", "sif", "max"}, default="mean"
        How `transform` makes one vector of those of a document's words: their mean; the
        mean weighted by how few documents of `fit` have a word, as in scikit-learn's
        TfidfVectorizer; the mean weighted by ``1 / (1 + 1000 p)``, p the share of a
        word, without what all documents have in common [3]_; or the largest of each
        number.
    batch_size : int, default=10000
        Words that a thread takes at a time.
    lr : float, default=0.025
        The learning rate, which falls to 1/250 of it along a line.
    max_epochs : int or "auto", default="auto"
        How often training goes through the corpus. "auto" is 5, or as many as make a
        million words, up to 100.
    n_jobs : int, default=1
        Threads. One gives the same bits for a ``random_state`` in any process. Several
        write into the same vectors as they come: faster, and other vectors at each
        fit, about as good.

    Attributes
    ----------
    vectors_ : float32 ndarray of shape (n_words, embedding_size)
        The vector of each word, in the order of ``vocabulary_``.
    vocabulary_ : dict of str to int
        The number of each word, the most frequent first.
    word_counts_, document_counts_ : ndarray of int64 of shape (n_words,)
        How often each word occurs in the corpus, and in how many documents.
    n_documents_, n_tokens_ : int
        Documents of the corpus, and words of all of them, unknown ones too.
    common_direction_ : ndarray of shape (embedding_size,) or None
        What ``pooling="sif"`` leaves out.

    Notes
    -----
    X is a list or a column of texts (a column of a DataFrame in a ColumnTransformer
    too), or of lists of words; or the path of a UTF-8 file, a document a line; or a
    function of no arguments that gives an iterator over texts or lists of words. A path
    and a function are read once for the vocabulary and once an epoch, so that a corpus
    may be larger than memory. The vocabulary is that of `fit`, or of the first
    `partial_fit`, which then goes on with further chunks at a constant rate.

    Trained by gensim, on the CPU whatever ``device`` is: with one thread, an int as
    ``random_state`` and the same parameters, vectors are those of ``Word2Vec(seed=
    random_state)`` to the bit. Documents are cut after 10,000 words, where gensim
    would ignore the rest. ``loss_curve_`` is the mean loss of a fixed sample of words
    and contexts after each epoch: gensim's own account of its loss is wrong. There are
    no parameters of optimisers, of batches' gradients and of validation; for
    ``random_state``, ``warm_start``, ``callbacks``, ``checkpoint`` and ``verbose`` see
    `sknets._estimator.Estimator`.

    References
    ----------
    .. [1] T. Mikolov, K. Chen, G. Corrado, J. Dean. Efficient Estimation of Word
       Representations in Vector Space. 2013.
    .. [2] T. Mikolov, I. Sutskever, K. Chen, G. Corrado, J. Dean. Distributed
       Representations of Words and Phrases and their Compositionality. NIPS 2013.
    .. [3] S. Arora, Y. Liang, T. Ma. A Simple but Tough-to-Beat Baseline for Sentence
       Embeddings. ICLR 2017.

    Examples
    --------
    >>> from sknets import Word2VecVectorizer
    >>> pets = ["the cat drinks milk", "the dog drinks water", "a dog chases a cat"]
    >>> cars = ["the car needs fuel", "a truck needs oil", "the truck is a big car"]
    >>> words = Word2VecVectorizer(
    ...     embedding_size=16, subsample=0, random_state=0
    ... ).fit((pets + cars) * 20)
    >>> words.similarity("cat", "dog") > words.similarity("cat", "truck")
    True
    >>> words.transform(["a dog", "the car"]).shape
    (2, 16)
    """

    def _gensim(self, **given: Any) -> Any:
        from gensim.models import Word2Vec

        return Word2Vec(**given)

    def _build(self) -> nn.Module:
        shape = (len(self.vocabulary_), self.embedding_size)
        return WordTable(shape, output=shape)


class FastTextVectorizer(_ByGensim):
    """Vectors of words and of their parts [1]_, so that unknown words have one too.

    The vector of a word is the mean of its own and of those of its n-grams of
    characters; of a word that `fit` has not seen it is the mean of the latter. X, its
    documents and all parameters and attributes but those below are as in
    `sknets.Word2VecVectorizer`.

    Parameters
    ----------
    min_n : int, default=3
        Characters of the shortest n-grams; the beginning and the end of a word count.
    max_n : int, default=6
        Characters of the longest ones; fewer than ``min_n`` switch them off.
    n_buckets : int or "auto", default="auto"
        Vectors of n-grams, which a hash finds; "auto" are 20 a word of the vocabulary,
        up to two million. Each takes ``4 embedding_size`` bytes.

    Notes
    -----
    Trained by gensim: vectors are those of its ``FastText`` with ``bucket=n_buckets``.
    Files of the word2vec format hold no n-grams: they can be written, not read.

    References
    ----------
    .. [1] P. Bojanowski, E. Grave, A. Joulin, T. Mikolov. Enriching Word Vectors with
       Subword Information. TACL 5, 2017.

    Examples
    --------
    >>> from sknets import FastTextVectorizer
    >>> texts = ["running and walking", "she walks and runs", "walk or run"] * 20
    >>> words = FastTextVectorizer(embedding_size=16, random_state=0).fit(texts)
    >>> "walked" in words.vocabulary_
    False
    >>> words.most_similar("walked", k=1)[0][0].startswith("walk")
    True
    """

    min_n: int = param(default=3, at_least=1)
    max_n: int = param(default=6, at_least=0)
    n_buckets: int | Literal["auto"] = param(default="auto", at_least=1)

    _trained_by = FastTextTrainer

    @property
    def _n_buckets(self) -> int:
        if self.max_n < self.min_n:
            return 0
        if self.n_buckets != "auto":
            return int(self.n_buckets)
        return min(_MOST_BUCKETS, _BUCKETS_A_WORD * len(self.vocabulary_))

    def _gensim(self, **given: Any) -> Any:
        from gensim.models import FastText

        own = {"min_n": self.min_n, "max_n": self.max_n, "bucket": self._n_buckets}
        return FastText(**given, **own)

    def _build(self) -> nn.Module:
        shape = (len(self.vocabulary_), self.embedding_size)
        ngrams = (self._n_buckets, self.embedding_size)
        return WordTable(shape, words=shape, ngrams=ngrams, output=shape)

    def _made(self, word: str) -> np.ndarray | None:
        from gensim.models.fasttext import ft_ngram_hashes

        if not self._n_buckets:
            return None
        parts = ft_ngram_hashes(word, self.min_n, self.max_n, self._n_buckets)
        ngrams = self.net_.module_.table("ngrams")
        return ngrams[parts].sum(0) / len(parts) if parts else None

    def _numbered(self, documents):
        rows, more = super()._numbered(documents)
        new: dict[str, int] = {}
        vectors: list[np.ndarray] = []
        for row, words in zip(rows, documents):
            for i in np.flatnonzero(row < 0):
                if words[i] not in new:
                    made = self._made(words[i])
                    new[words[i]] = -1 if made is None else len(vectors)
                    vectors += [] if made is None else [made]
                at = new[words[i]]
                row[i] = at if at < 0 else len(self.vocabulary_) + at
        return rows, np.stack(vectors) if vectors else more

    def load_word2vec_format(self, path: Any, binary: bool = False) -> Any:
        """Refuse: such files hold no n-grams.

        Raises
        ------
        ValueError
            Always: use the one of `sknets.Word2VecVectorizer`.
        """
        raise ValueError(
            f"{type(self).__name__}.load_word2vec_format({str(path)!r}): such files "
            "hold no n-grams: read them by Word2VecVectorizer"
        )


__all__ = ["FastTextVectorizer", "Word2VecVectorizer"]
