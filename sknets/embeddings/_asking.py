"""What can be asked of words that have a vector each."""

from __future__ import annotations

import difflib
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from sknets._inputs.text import whole
from sknets.embeddings._files import write_vectors
from sknets.embeddings._judging import cosine, judge_analogies, judge_pairs


class AsksWords(BaseEstimator):
    """Neighbours, analogies and evaluations: of ``vocabulary_`` and ``vectors_``."""

    vocabulary_: Any
    vectors_: Any
    lowercase: bool
    _n_features_out: int

    def _vector(self, call: str, word: Any) -> np.ndarray:
        """The vector of a word, or of its lower case; else the sentence."""
        if isinstance(word, np.ndarray) and word.shape == (self._n_features_out,):
            return word
        if not isinstance(word, str):
            raise ValueError(
                f"{type(self).__name__}.{call}: a word must be a string, got "
                f"{word!r:.40}"
            )
        found = self._found(word)
        if found is not None:
            return found
        known = self.vocabulary_
        near = difflib.get_close_matches(word.lower(), known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(
            f"{type(self).__name__}.{call}: {word!r:.40} is none of the {len(known)} "
            f"words that fit learned{hint}"
        )

    def _found(self, word: str) -> np.ndarray | None:
        word = whole(word)
        for each in (word, word.lower() if self.lowercase else word):
            if each in self.vocabulary_:
                return self._known(each)
        return self._made(word.lower() if self.lowercase else word)

    def _known(self, word: str) -> np.ndarray:
        vector: np.ndarray = self.vectors_[self.vocabulary_[word]]
        return vector

    def _made(self, word: str) -> np.ndarray | None:
        """The vector of an unknown word, where there can be one."""
        return None

    def _nearest(
        self, call: str, query: np.ndarray, without: set[int], k: int
    ) -> list[tuple[str, float]]:
        if not isinstance(k, int | np.integer) or k < 1:
            owner = type(self).__name__
            raise ValueError(f"{owner}.{call}(k={k!r}): k must be an integer above 0")
        vectors = self.vectors_
        norms = np.linalg.norm(vectors, axis=1)
        cosines = vectors @ query
        cosines /= np.maximum(norms * np.linalg.norm(query), 1e-12)
        cosines[list(without)] = -np.inf
        k = min(k, len(cosines) - len(without))
        best = np.argpartition(-cosines, min(k, len(cosines) - 1))[:k]
        best = best[np.argsort(-cosines[best], kind="stable")]
        words = list(self.vocabulary_)
        return [(words[i], float(cosines[i])) for i in best]

    def most_similar(
        self, positive: Any, negative: Any = (), k: int = 10
    ) -> list[tuple[str, float]]:
        """Return the words whose vectors have the smallest angles to that of a word.

        Parameters
        ----------
        positive : str, vector, or list of them
            Their unit vectors are added.
        negative : str, vector, or list of them, default=()
            Theirs are subtracted.
        k : int, default=10
            How many words; none of those given is among them.

        Returns
        -------
        words : list of (str, float)
            Each with the cosine of the angle, the nearest first.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            For a word that `fit` has not learned.
        """
        check_is_fitted(self)
        call, query = "most_similar", np.zeros(self._n_features_out, np.float32)
        without: set[int] = set()
        if isinstance(positive, list | tuple) and not positive:
            raise ValueError(f"{type(self).__name__}.{call}: there is no word in []")
        for sign, given in ((1, positive), (-1, negative)):
            single = isinstance(given, str | np.ndarray)
            single = single or not hasattr(given, "__iter__")
            for word in [given] if single else given:
                vector = self._vector(call, word)
                query += sign * vector / max(float(np.linalg.norm(vector)), 1e-12)
                if isinstance(word, str):
                    both = (word, word.lower())
                    without |= {self.vocabulary_.get(w, -1) for w in both} - {-1}
        return self._nearest(call, query, without, k)

    def analogy(self, a: str, b: str, c: str, k: int = 1) -> list[tuple[str, float]]:
        """Return what is to ``c`` as ``b`` is to ``a``: near ``b - a + c`` [1]_.

        Parameters
        ----------
        a, b, c : str
        k : int, default=1
            How many answers.

        Returns
        -------
        words : list of (str, float)
            As those of `most_similar`.

        References
        ----------
        .. [1] T. Mikolov, W. Yih, G. Zweig. Linguistic Regularities in Continuous Space
           Word Representations. NAACL 2013.
        """
        return self.most_similar([b, c], [a], k)

    def similarity(self, a: str, b: str) -> float:
        """Return the cosine of the angle between two words' vectors.

        Parameters
        ----------
        a, b : str

        Returns
        -------
        cosine : float
        """
        check_is_fitted(self)
        return cosine(*(self._vector("similarity", word) for word in (a, b)))

    def evaluate_word_pairs(self, pairs: Any) -> dict[str, float]:
        """Return how the cosines of pairs of words go with what people say of them.

        Parameters
        ----------
        pairs : path, or rows of (word, word, number)
            Of a file lines of two words and a number, separated by tabs or commas;
            those that begin with # and such without a number are left out.

        Returns
        -------
        figures : dict of str to float
            "spearman" and "pearson", the correlations; "n_pairs" that both words are
            known of; "unknown", the share of the others.

        Raises
        ------
        ValueError
            When fewer than two pairs are known, or for rows of another form.
        """
        check_is_fitted(self)
        return judge_pairs(self, pairs)

    def evaluate_analogies(self, questions: Any) -> dict[str, Any]:
        """Return how many analogies are completed rightly.

        Parameters
        ----------
        questions : path, or rows of (a, b, c, d)
            b is to a as d is to c. Of a file lines of four words; lines that begin with
            a colon name a section.

        Returns
        -------
        figures : dict
            "accuracy" of the questions all of whose words are known, "n_questions" of
            them, "unknown", the share of the others, and "sections", the accuracy of
            each.

        Raises
        ------
        ValueError
            When there is no question of known words, or for rows of another form.
        """
        check_is_fitted(self)
        return judge_analogies(self, questions)

    def save_word2vec_format(self, path: Any, binary: bool = False) -> None:
        """Write the words and their vectors as the word2vec tool does.

        Nothing else of the fit is in such a file; `save` writes all of it.

        Parameters
        ----------
        path : str or path-like
        binary : bool, default=False
            Whether numbers are written as their bytes, not as text.
        """
        check_is_fitted(self)
        write_vectors(self, path, binary)


__all__ = ["AsksWords"]
