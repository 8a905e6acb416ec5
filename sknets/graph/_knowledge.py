"""Knowledge graphs: vectors of entities and relations, and the facts they suggest."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from sknets._engine.collect import stacked
from sknets._engine.device import as_tensor
from sknets._engine.optim import Budget
from sknets._inputs import Triples
from sknets._inputs.reader import Learned
from sknets._inputs.triples import TripleData, add_facts, codes_with_gaps, positions
from sknets._params import param
from sknets._unsupervised import Encoder
from sknets.graph._triples import Known, TripleNet


class KnowledgeGraphEmbedder(Encoder):
    """Vectors of the entities and relations of a knowledge graph.

    X has facts as rows of (head, relation, tail), such as ``("ann", "mother of",
    "bob")``. From the vectors learned follows how plausible any other triple of these
    entities and relations is: `predict_tail` and `predict_head` complete the graph,
    `entity_vectors` are features for any other model.

    Parameters
    ----------
    method : {"transe", "distmult", "complex", "rotate"}, default="complex"
        How a triple is scored. "transe" [1]_: the relation moves the head to the tail;
        "distmult" [2]_: the product of the three vectors, blind to the direction of a
        relation; "complex" [3]_: the same of complex vectors, with the tail's
        conjugate; "rotate" [4]_: the relation turns each complex coordinate of the
        head.
    embedding_size : int, default=100
        Dimensions, complex ones for "complex" and "rotate".
    n_negatives : int, "auto" or "all", default="auto"
        Entities that each batch's heads and tails are told from, drawn alike for the
        whole batch. "all" takes every entity, which learns most from a triple; "auto"
        is "all" where there are at most 2000 entities, else 500.
    filter_negatives : bool, default=False
        Whether entities that make another known triple are left out of the negatives.
        Left in they keep the scores of known triples from growing without bound, and
        unknown ones were ranked better.
    regularization : float, default=0.01
        Weight of the sum of the cubed moduli of a triple's vectors, the N3 norm [5]_.
        Not of the vectors of "transe", which have unit norm, nor of the angles of
        "rotate". ``weight_decay`` is the L2 norm of all.
    max_epochs : int or "auto", default="auto"
        How often training goes through the triples. "auto" are 50 epochs, or as many as
        make 250 steps.
    batch_size : int, default=128
        Triples a step.
    lr : float, default=0.03
        The learning rate, at the start of ``lr_schedule``.
    lr_schedule : {"step", "cosine", "one_cycle", "plateau"}, default="cosine"
        See `sknets._estimator.Estimator`.

    Attributes
    ----------
    entities_, relations_ : ndarray
        Their names in ascending order; positions are those of the vectors.
    triples_ : ndarray of int of shape (n_triples, 3)
        The known facts, each once: positions of head, relation and tail.

    Notes
    -----
    Names may be anything hashable, such as strings, integers and tuples (`save` holds
    strings and numbers). Entities and relations are those of the first `fit`; triples
    that `partial_fit` adds must be of these.

    Departures from the papers, chosen by the filtered mean reciprocal rank on the
    validation triples of UMLS and Kinships: every method is trained as [5]_ trains
    ComplEx, by the cross-entropy of the tail among all entities, and of the head, not
    by a margin or by sampled pairs; of distances it takes a scale that is learned.
    There are no reciprocal relations. "transe" has the L1 norm, and entities on the
    unit sphere throughout; "rotate" has the L2 norm of all coordinates instead of the
    sum of moduli, which can be had by one matrix product. Adam, with a rate that falls
    along half a cosine.

    `transform` takes triples, as `fit` does. For features of entities alone, use
    `entity_vectors`.

    With ``early_stopping`` a share of the triples is held out, to be told from all
    entities. Training is computed in float32; its other parameters and attributes are
    those of `sknets._estimator.Estimator`.

    References
    ----------
    .. [1] A. Bordes, N. Usunier, A. Garcia-Duran, J. Weston, O. Yakhnenko.
       Translating Embeddings for Modeling Multi-relational Data. NIPS 2013.
    .. [2] B. Yang, W. Yih, X. He, J. Gao, L. Deng. Embedding Entities and Relations
       for Learning and Inference in Knowledge Bases. ICLR 2015.
    .. [3] T. Trouillon, J. Welbl, S. Riedel, E. Gaussier, G. Bouchard. Complex
       Embeddings for Simple Link Prediction. ICML 2016.
    .. [4] Z. Sun, Z. Deng, J. Nie, J. Tang. RotatE: Knowledge Graph Embedding by
       Relational Rotation in Complex Space. ICLR 2019.
    .. [5] T. Lacroix, N. Usunier, G. Obozinski. Canonical Tensor Decomposition for
       Knowledge Base Completion. ICML 2018.

    Examples
    --------
    >>> from sknets import KnowledgeGraphEmbedder
    >>> cities = ["Oslo", "Rome", "Lima", "Cairo"]
    >>> countries = ["Norway", "Italy", "Peru", "Egypt"]
    >>> facts = [(a, "capital of", b) for a, b in zip(cities, countries)]
    >>> facts += [(b, "has capital", a) for a, b in zip(cities, countries)]
    >>> graph = KnowledgeGraphEmbedder(random_state=0).fit(facts[:-1])
    >>> graph.predict_tail("Egypt", "has capital", k=1)["tail"].item()
    'Cairo'
    >>> graph.entity_vectors(["Oslo", "Rome"]).shape
    (2, 200)
    """

    _inputs: ClassVar[tuple[Any, ...]] = (Triples,)
    entities_ = Learned()
    relations_ = Learned()
    triples_ = Learned()

    method: Literal["transe", "distmult", "complex", "rotate"] = param(
        default="complex"
    )
    embedding_size: int = param(default=100, at_least=1)
    n_negatives: int | Literal["auto", "all"] = param(default="auto", at_least=1)
    filter_negatives: bool = param(default=False)
    regularization: float = param(default=0.01, at_least=0)
    _budget = Budget(epochs=50, steps=250)
    batch_size: int = param(default=128, at_least=1)
    lr: float = param(default=0.03, above=0)
    lr_schedule: Literal["step", "cosine", "one_cycle", "plateau"] | None = param(
        default="cosine"
    )

    def transform(self, X: Any) -> np.ndarray:
        """Return the vectors of each triple's head, relation and tail, side by side.

        Parameters
        ----------
        X : rows of (head, relation, tail)

        Returns
        -------
        features : ndarray of shape (n_samples, 3 * width)
            The width is ``embedding_size``, twice that where numbers are complex: real
            parts, then imaginary ones. The relations of "rotate" are the cosines, then
            the sines of their angles.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            For entities or relations that `fit` did not have.
        """
        return self._outputs(X, features=True)

    def score_triples(self, X: Any) -> np.ndarray:
        """Return how plausible triples are; the higher, the more so.

        Parameters
        ----------
        X : rows of (head, relation, tail)

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            The formula of the method's paper. Distances are negated. Comparable within
            a fit, above all among the answers to one question; not probabilities.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            For entities or relations that `fit` did not have.
        """
        return self._outputs(X)

    def predict_tail(
        self, head: Any, relation: Any, k: int = 10, exclude_known: bool = True
    ) -> pd.DataFrame:
        """Return the most plausible tails of a head and a relation.

        Parameters
        ----------
        head, relation : name, or list of names
            A list asks several questions; what is no list counts for all of them.
        k : int, default=10
            How many answers a question; fewer where fewer are left.
        exclude_known : bool, default=True
            Whether triples that `fit` had are left out.

        Returns
        -------
        answers : DataFrame
            Columns "head", "relation", "tail" and "score" (as in `score_triples`), the
            best of each question first.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            For names that `fit` did not have, lists of unequal length, or k below 1.
        """
        return self._complete(head, relation, k, exclude_known, tails=True)

    def predict_head(
        self, relation: Any, tail: Any, k: int = 10, exclude_known: bool = True
    ) -> pd.DataFrame:
        """Return the most plausible heads of a relation and a tail.

        Parameters
        ----------
        relation, tail : name, or list of names
        k, exclude_known
            As in `predict_tail`.

        Returns
        -------
        answers : DataFrame
            As that of `predict_tail`.
        """
        return self._complete(tail, relation, k, exclude_known, tails=False)

    def entity_vectors(self, entities: Any = None) -> np.ndarray:
        """Return the vectors of entities: features for any other model.

        Parameters
        ----------
        entities : list of names, default=None
            None: all of them, in the order of ``entities_``.

        Returns
        -------
        vectors : ndarray of shape (n_entities, width)
            See `transform`.
        """
        return self._vectors("entities", entities, "entity_vectors")

    def relation_vectors(self, relations: Any = None) -> np.ndarray:
        """Return the vectors of relations.

        Parameters
        ----------
        relations : list of names, default=None
            None: all of them, in the order of ``relations_``.

        Returns
        -------
        vectors : ndarray of shape (n_relations, width)
            See `transform`.
        """
        return self._vectors("relations", relations, "relation_vectors")

    def rank(self, X: Any, filtered: bool = True, known: Any = None) -> np.ndarray:
        """Return where the head and the tail of each triple come among all entities.

        Parameters
        ----------
        X : rows of (head, relation, tail)
            Facts, such as those of a test set.
        filtered : bool, default=True
            Whether entities that make another known triple are not counted [1]_. Known
            are those of `fit`, of X and of ``known``.
        known : rows of (head, relation, tail), default=None
            More facts, such as those of a validation set.

        Returns
        -------
        ranks : float64 ndarray of shape (n_samples, 2)
            Of the head and of the tail, from 1. Of equal scores the mean of the best
            and the worst rank. A triple with an entity or a relation that `fit` did not
            have is as good as any other: the middle rank.

        References
        ----------
        .. [1] A. Bordes et al. Translating Embeddings for Modeling Multi-relational
           Data. NIPS 2013.
        """
        check_is_fitted(self)
        codes = codes_with_gaps(self.reader_, X)
        facts = [self.triples_, codes]
        if known is not None:
            facts.append(codes_with_gaps(self.reader_, known))
        usable = (codes >= 0).all(1)
        ranks = np.full((len(codes), 2), (len(self.entities_) + 1) / 2)
        if not usable.any():
            return ranks
        net = self.net_
        others = None
        if filtered:
            others = self._known(np.concatenate(facts), torch.device(net.device))

        def run(triples: Tensor) -> Tensor:
            columns = []
            for tails, scores in enumerate(net.module_.answers_both(triples)):
                truth = triples[:, 2 * tails]
                own = scores.gather(1, truth[:, None])
                scores.scatter_(1, truth[:, None], -torch.inf)
                if others is not None:
                    given = triples[:, 2 - 2 * tails]
                    scores[
                        others.answers(given, triples[:, 1], bool(tails))
                    ] = -torch.inf
                above, equal = (scores > own).sum(1), (scores == own).sum(1)
                columns.append(1 + above + equal.double() / 2)
            return torch.stack(columns, 1)

        ranks[usable] = self._in_batches(codes[usable], run)
        return ranks

    def evaluate(
        self, X: Any, filtered: bool = True, known: Any = None
    ) -> dict[str, float]:
        """Return how well the heads and tails of facts are found.

        Parameters
        ----------
        X, filtered, known
            As in `rank`.

        Returns
        -------
        figures : dict of str to float
            "mrr", the mean reciprocal rank; "hits_at_1", "hits_at_3" and "hits_at_10",
            the share of ranks of at most that; "mean_rank"; each over heads and tails.
            As ``scoring=lambda graph, X, y=None: graph.evaluate(X)`` scikit-learn's
            `cross_validate` gives all of them.
        """
        ranks = self.rank(X, filtered, known)
        figures = {"mrr": float((1 / ranks).mean())}
        for k in (1, 3, 10):
            figures[f"hits_at_{k}"] = float((ranks <= k).mean())
        return {**figures, "mean_rank": float(ranks.mean())}

    def score(self, X: Any, y: Any = None) -> float:
        """Return the filtered mean reciprocal rank, so that a search can tune it.

        Parameters
        ----------
        X : rows of (head, relation, tail)
            Facts that `fit` did not have.
        y : None
            Ignored.

        Returns
        -------
        score : float
            "mrr" of `evaluate`, 1 at best.
        """
        return self.evaluate(X)["mrr"]

    # -- for the engine --------------------------------------------------------------

    def _read(self, X, y, sample_weight, *, reset, classes=None):
        samples = super()._read(X, y, sample_weight, reset=reset, classes=classes)
        add_facts(self.reader_, samples.x.values.numpy())
        return samples

    def _prepare(self, net, *sets):
        """Negatives are filtered by all that is known but what is held out."""
        if self.filter_negatives:
            samples, codes = sets[0], self.triples_
            if samples.rows is not None:
                codes = samples.x.values[samples.rows].numpy()
            net.module_.known = self._known(codes, samples.x.device)

    def _build(self) -> nn.Module:
        n = len(self.entities_)
        drawn = self.n_negatives
        if drawn == "auto":
            drawn = "all" if n <= _FEW_ENTITIES else _NEGATIVES
        return TripleNet(
            self.method,
            n,
            len(self.relations_),
            self.embedding_size,
            None if drawn == "all" else int(drawn),
            self.filter_negatives,
            0.0 if self.method == "transe" else self.regularization,
        )

    # -- for the verbs ---------------------------------------------------------------

    def _known(self, codes: np.ndarray, device: torch.device) -> Known:
        """Facts to look up, without those that have an unknown part."""
        codes = np.unique(codes[(codes >= 0).all(1)], axis=0)
        return Known(as_tensor(codes).to(device), len(self.relations_))

    def _in_batches(self, codes: np.ndarray, run: Any) -> np.ndarray:
        """What ``run`` gives for triples, so many at a time that scores fit."""
        x, size = TripleData(as_tensor(codes)), max(1, _SCORES // len(self.entities_))
        return stacked(self.net_.batches(x, run, size), len(x)).numpy()

    def _vectors(self, what: str, names: Any, call: str) -> np.ndarray:
        check_is_fitted(self)
        with torch.inference_mode():
            module = self.net_.module_
            found = getattr(module, call)().cpu().numpy()
        if names is None:
            return found
        return found[positions(self.reader_, what, _listed(names), f".{call}")]

    def _complete(self, given, relation, k, exclude_known, tails: bool):
        check_is_fitted(self)
        verb = "predict_tail" if tails else "predict_head"
        owner = f"{type(self).__name__}.{verb}"
        if not isinstance(k, Integral) or isinstance(k, bool) or k < 1:
            raise ValueError(f"{owner}(k={k!r}): k must be at least 1")
        questions = [_listed(given), _listed(relation)]
        n = max(map(len, questions))
        if any(len(names) not in (1, n) for names in questions) or not n:
            lengths = " and ".join(str(len(names)) for names in questions)
            raise ValueError(
                f"{owner}: lists of entities and relations must be of equal length, "
                f"one or more, got {lengths}"
            )
        names = [parts * n if len(parts) == 1 else parts for parts in questions]
        kinds = ("entities", "relations")
        codes = np.column_stack(
            [
                positions(self.reader_, what, part, f".{verb}")
                for what, part in zip(kinds, names)
            ]
        )
        net, count = self.net_, min(int(k), len(self.entities_))
        known = None
        if exclude_known:
            known = self._known(self.triples_, torch.device(net.device))

        def run(asked: Tensor) -> Tensor:
            scores = net.module_.answers(asked[:, 0], asked[:, 1], tails)
            if known is not None:
                scores[known.answers(asked[:, 0], asked[:, 1], tails)] = -torch.inf
            best = scores.topk(count, 1)
            return torch.stack([best.values.double(), best.indices.double()], 2)

        best = self._in_batches(codes, run)
        kept = np.isfinite(best[:, :, 0])
        which = np.nonzero(kept)[0]
        values, answers = best[kept].T
        asked = [
            getattr(self, f"{kind}_")[codes[which, j]] for j, kind in enumerate(kinds)
        ]
        found = self.entities_[answers.astype(np.int64)]
        one, other = ("head", "tail") if tails else ("tail", "head")
        table = {one: asked[0], "relation": asked[1], other: found, "score": values}
        return pd.DataFrame(table)[["head", "relation", "tail", "score"]]

    @property
    def _n_features_out(self) -> int:
        return 3 * self.net_.module_.entities.shape[1]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.transformer_tags.preserves_dtype = []
        return tags


def _listed(names: Any) -> list[Any]:
    """A list of names; what is no list, array or Series is one name."""
    several = isinstance(names, list | np.ndarray | pd.Series | pd.Index)
    return list(names) if several else [names]


# Where the scores of all entities cost less than what is lost by drawing some.
_FEW_ENTITIES, _NEGATIVES = 2000, 500
_SCORES = 2**22  # numbers at a time

__all__ = ["KnowledgeGraphEmbedder"]
