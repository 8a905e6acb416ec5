"""Knowledge graphs: scores, ranks, what is predicted, and the forms of triples."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, KFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sknets
from sknets import KnowledgeGraphEmbedder, gradient_check
from sknets.graph._triples import Known

torch.set_num_threads(1)

METHODS = ("transe", "distmult", "complex", "rotate")
SMALL = {"embedding_size": 5, "max_epochs": 2, "random_state": 0}


def families(n=12):
    """Of each family: who is whose parent, child, spouse (symmetric) and sibling."""
    facts = []
    for i in range(n):
        father, mother, son, daughter = (f"{who} {i}" for who in "fmsd")
        facts += [(father, "spouse of", mother), (mother, "spouse of", father)]
        facts += [(son, "sibling of", daughter), (daughter, "sibling of", son)]
        for child in (son, daughter):
            facts += [(father, "father of", child), (child, "has father", father)]
            facts += [(mother, "mother of", child), (child, "has mother", mother)]
    return np.array(facts, dtype=object)


FACTS = families()
# A fifth of the children's lines is unknown: it follows from the others.
HELD = np.arange(len(FACTS)) % 10 == 5
TRAIN, TEST = FACTS[~HELD], FACTS[HELD]


def codes(graph, X):
    entities = {name: i for i, name in enumerate(graph.entities_)}
    relations = {name: i for i, name in enumerate(graph.relations_)}
    return np.array([(entities[h], relations[r], entities[t]) for h, r, t in X])


def all_triples(graph):
    n, m = len(graph.entities_), len(graph.relations_)
    grid = np.stack(np.meshgrid(range(n), range(m), range(n), indexing="ij"), 3)
    h, r, t = grid.reshape(-1, 3).T
    X = np.column_stack([graph.entities_[h], graph.relations_[r], graph.entities_[t]])
    return X, (n, m, n)


def randomized(method, seed=0, **params):
    """A fitted graph with large random weights in float64."""
    graph = KnowledgeGraphEmbedder(
        method=method, precision="float64", **{**SMALL, **params}
    ).fit(families(2))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in graph.net_.module_.parameters():
            p.copy_(torch.randn(p.shape, generator=generator, dtype=p.dtype))
    return graph


# -- scores ----------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["distmult", "complex", "rotate"])
def test_scores_are_those_of_pytorch_geometric(method):
    kge = pytest.importorskip("torch_geometric.nn.kge")
    graph = randomized(method)
    name = {"distmult": "DistMult", "complex": "ComplEx", "rotate": "RotatE"}[method]
    sizes = len(graph.entities_), len(graph.relations_), graph.embedding_size
    more = {"margin": 0.0} if method == "rotate" else {}
    peer = getattr(kge, name)(*sizes, **more).double()
    module = graph.net_.module_
    with torch.no_grad():
        for own, kind in ((module.entities, "node"), (module.relations, "rel")):
            parts = own.chunk(own.shape[1] // graph.embedding_size, 1)
            for part, suffix in zip(parts, ("emb", "emb_im")):
                getattr(peer, f"{kind}_{suffix}").weight.copy_(part)
        expected = peer(*torch.from_numpy(codes(graph, families(2))).T).numpy()
    found = graph.score_triples(families(2))
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def test_transe_measures_how_far_the_head_is_moved_from_the_tail():
    graph = randomized("transe")
    entities, relations = graph.entity_vectors(), graph.relation_vectors()
    np.testing.assert_allclose(np.linalg.norm(entities, axis=1), 1)
    h, r, t = codes(graph, families(2)).T
    expected = -np.abs(entities[h] + relations[r] - entities[t]).sum(1)
    np.testing.assert_allclose(graph.score_triples(families(2)), expected)


@pytest.mark.parametrize("method", METHODS)
def test_both_questions_have_the_score_of_the_triple(method):
    graph = randomized(method)
    X, shape = all_triples(graph)
    scores = graph.score_triples(X).reshape(shape)
    module = graph.net_.module_
    with torch.no_grad():
        triples = torch.from_numpy(codes(graph, X[:: shape[0]]))
        heads, tails = (part.numpy() for part in module.answers_both(triples))
    h, r, t = triples.numpy().T
    np.testing.assert_allclose(heads, scores[:, r, t].T, atol=1e-6)
    np.testing.assert_allclose(tails, scores[h, r], atol=1e-6)


def test_what_each_score_can_tell_apart():
    X = families(2)
    mirrored = X[:, ::-1]
    symmetric = randomized("distmult")
    there, back = symmetric.score_triples(X), symmetric.score_triples(mirrored)
    np.testing.assert_allclose(there, back)
    for method in ("transe", "complex", "rotate"):
        graph = randomized(method)
        there, back = graph.score_triples(X), graph.score_triples(mirrored)
        assert np.abs(there - back).min() > 1e-3


# -- the loss --------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("filtered", [False, True])
def test_loss_is_the_surprise_at_both_ends(method, filtered):
    graph = randomized(method, filter_negatives=filtered, regularization=0.0)
    module, X = graph.net_.module_, families(2)
    triples = torch.from_numpy(codes(graph, X))
    module.known = Known(triples.unique(dim=0), len(graph.relations_))
    everything, shape = all_triples(graph)
    scores = graph.score_triples(everything).reshape(shape)
    if method in ("transe", "rotate"):
        scores = scores * np.exp(module.log_scale.item())
    facts = {tuple(row) for row in codes(graph, X)}
    expected = []
    for h, r, t in codes(graph, X):
        both = 0.0
        for candidates, own in (
            ([(h, r, e) for e in range(shape[0])], (h, r, t)),
            ([(e, r, t) for e in range(shape[0])], (h, r, t)),
        ):
            kept = [c for c in candidates if c == own or not filtered or c not in facts]
            logits = np.array([scores[c] for c in kept])
            both += np.logaddexp.reduce(logits) - scores[own]
        expected.append(both / 2)
    with torch.no_grad():
        found = module.train().loss(triples).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("filtered", [False, True])
def test_drawn_negatives_stand_for_the_others(method, filtered):
    """So many that each entity is among them about as often as any other."""
    graph = randomized(method, filter_negatives=filtered, regularization=0.0)
    module, X = graph.net_.module_, families(2)
    triples = torch.from_numpy(codes(graph, X))
    module.known = Known(triples.unique(dim=0), len(graph.relations_))
    n = len(graph.entities_)
    module.generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        expected = module.train().loss(triples)
        module.n_negatives = 20_000
        found = module.loss(triples)
        # Each counts as often as it is drawn: beside the truth by log(20,000 / n).
        scale = 1.0 if module.log_scale is None else module.log_scale.exp()
        everything = torch.cat(module.answers_both(triples)[::-1]) * scale
        truth = torch.cat([triples[:, 2], triples[:, 0]])
        if filtered:
            rows, answers = module.known.both(triples)
            wrong = answers != truth[rows]
            everything[rows[wrong], answers[wrong]] = -torch.inf
        everything += np.log(20_000 / n)
        own = everything.gather(1, truth[:, None]) - np.log(20_000 / n)
        everything.scatter_(1, truth[:, None], own)
        weighted = (everything.logsumexp(1) - own[:, 0]).view(2, -1).mean(0)
    torch.testing.assert_close(found, weighted, rtol=0.02, atol=0.02)
    assert (found > expected - 1e-3).all()


def test_the_regulariser_is_the_cube_of_the_moduli():
    graph = randomized("complex", regularization=0.0)
    module, X = graph.net_.module_, families(2)
    triples = torch.from_numpy(codes(graph, X))
    with torch.no_grad():
        without = module.train().loss(triples).numpy()
        module.regularization = 0.5
        found = module.loss(triples).numpy()
    re, im = np.split(graph.transform(X).reshape(len(X), 3, 2, -1), 2, axis=2)
    cubes = (np.hypot(re, im) ** 3).sum((1, 2, 3))
    np.testing.assert_allclose(found, without + 0.5 * cubes)


@pytest.mark.parametrize("method", METHODS)
def test_gradients_are_right(method):
    graph = KnowledgeGraphEmbedder(method=method, embedding_size=3, random_state=0)
    gradient_check(graph, families(2))


# -- ranks -----------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("filtered", [False, True])
def test_ranks_are_those_of_counting(method, filtered):
    graph = randomized(method)
    known = [("f 0", "mother of", "s 1"), ("f 0", "spouse of", "nobody")]
    X = [("f 0", "father of", "d 1"), ("f 0", "mother of", "d 0"), *families(2)[:9]]
    everything, shape = all_triples(graph)
    scores = graph.score_triples(everything).reshape(shape)
    facts = {tuple(row) for row in codes(graph, [*families(2), *X, known[0]])}
    expected = []
    for h, r, t in codes(graph, X):
        row = []
        for line, own, triple in (
            (scores[:, r, t], h, lambda e: (e, r, t)),  # noqa: B023
            (scores[h, r], t, lambda e: (h, r, e)),  # noqa: B023
        ):
            rank = 1
            for e in range(shape[0]):
                counts = not filtered or triple(e) not in facts
                rank += counts and e != own and line[e] > line[own] + 1e-9
            row.append(rank)
        expected.append(row)
    found = graph.rank(np.array(X, dtype=object), filtered=filtered, known=known)
    np.testing.assert_array_equal(found, expected)
    figures = graph.evaluate(X, filtered=filtered, known=known)
    expected = np.array(expected)
    assert figures["mrr"] == pytest.approx((1 / expected).mean())
    assert figures["hits_at_3"] == pytest.approx((expected <= 3).mean())
    assert figures["mean_rank"] == pytest.approx(expected.mean())
    if filtered:
        own = graph.evaluate(X)["mrr"]
        assert graph.score(X) == own


def test_equal_scores_share_the_middle_rank():
    graph = randomized("distmult")
    with torch.no_grad():
        graph.net_.module_.relations.zero_()
    ranks = graph.rank([("f 0", "spouse of", "m 0")], filtered=False)
    np.testing.assert_array_equal(ranks, [[4.5, 4.5]])  # of 8 entities
    # Two heads besides the own one are known to be parents of "d 0".
    ranks = graph.rank([("s 1", "father of", "d 0")])
    np.testing.assert_array_equal(ranks, [[4.0, 4.5]])


def test_unknown_names_rank_in_the_middle():
    graph = randomized("complex")
    X = [("nobody", "spouse of", "m 0"), ("f 0", "knows", "m 0"), *families(2)[:3]]
    ranks = graph.rank(X)
    np.testing.assert_array_equal(ranks[:2], 4.5)
    np.testing.assert_array_equal(ranks[2:], graph.rank(families(2)[:3]))
    np.testing.assert_array_equal(graph.rank(X[:2]), 4.5)


def test_known_answers_are_those_of_a_dict():
    random = np.random.RandomState(0)
    triples = np.unique(random.randint(0, [6, 3, 6], (40, 3)), axis=0)
    known = Known(torch.from_numpy(triples), 3)
    asked = torch.from_numpy(random.randint(0, [6, 3, 6], (15, 3)))
    for tails in (False, True):
        given = asked[:, 0 if tails else 2]
        rows, answers = known.answers(given, asked[:, 1], tails)
        found = sorted(zip(rows.tolist(), answers.tolist()))
        expected = [
            (i, int(t if tails else h))
            for i, (own, relation) in enumerate(zip(given, asked[:, 1]))
            for h, r, t in triples
            if r == relation and own == (h if tails else t)
        ]
        assert found == sorted(expected) and expected


# -- learning --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "floor"),
    [("transe", 0.5), ("distmult", 0.5), ("complex", 0.8), ("rotate", 0.6)],
)
def test_facts_that_follow_from_others_are_found(method, floor):
    graph = KnowledgeGraphEmbedder(
        method=method, embedding_size=40, batch_size=32, random_state=0
    )
    assert graph.fit(TRAIN).score(TEST) > floor
    chance = clone(graph).set_params(max_epochs=1, lr=1e-9).fit(TRAIN).score(TEST)
    assert chance < 0.3


def test_drawn_negatives_learn_too():
    graph = KnowledgeGraphEmbedder(
        n_negatives=16, embedding_size=40, batch_size=32, random_state=0
    ).fit(TRAIN)
    assert graph.net_.module_.n_negatives == 16
    assert graph.score(TEST) > 0.7
    shortly = clone(graph).set_params(max_epochs=5).fit(TRAIN)
    filtered = clone(shortly).set_params(filter_negatives=True).fit(TRAIN)
    assert not np.array_equal(filtered.entity_vectors(), shortly.entity_vectors())
    again = clone(filtered).fit(TRAIN)
    np.testing.assert_array_equal(again.transform(TRAIN), filtered.transform(TRAIN))


def test_auto_draws_where_there_are_many_entities():
    chain = [(i, "next", i + 1) for i in range(2500)]
    graph = KnowledgeGraphEmbedder(**SMALL).fit(chain)
    assert graph.net_.module_.n_negatives == 500
    graph = KnowledgeGraphEmbedder(n_negatives="all", **SMALL).fit(chain[:9])
    assert graph.net_.module_.n_negatives is None


def test_early_stopping_holds_triples_out():
    graph = KnowledgeGraphEmbedder(
        early_stopping=True, n_iter_no_change=2, filter_negatives=True, random_state=0
    ).fit(FACTS)
    assert graph.n_iter_ < graph.max_epochs_
    assert len(graph.validation_loss_curve_) == graph.n_iter_


def test_later_triples_are_learned_and_known():
    graph = KnowledgeGraphEmbedder(**SMALL).fit(TRAIN)
    n = len(graph.triples_)
    assert n == len(TRAIN)
    graph.partial_fit(np.concatenate([TEST, TRAIN[:3]]))
    assert len(graph.triples_) == n + len(TEST) and graph.n_iter_ == 3
    before = graph.transform(TRAIN)
    with pytest.raises(ValueError, match="first fit had no entity 'f 99'"):
        graph.partial_fit([("f 99", "spouse of", "m 0")])
    np.testing.assert_array_equal(graph.transform(TRAIN), before)
    assert len(graph.triples_) == n + len(TEST)


def test_searches_and_pipelines_take_it():
    search = GridSearchCV(
        KnowledgeGraphEmbedder(**SMALL), {"method": ["complex", "transe"]}, cv=3
    ).fit(FACTS)
    assert search.best_params_["method"] in METHODS
    scores = cross_validate(
        KnowledgeGraphEmbedder(**SMALL),
        FACTS,
        cv=KFold(3, shuffle=True, random_state=0),
        scoring=lambda graph, X, y=None: graph.evaluate(X),
        error_score="raise",
    )
    assert {"test_mrr", "test_hits_at_10", "test_mean_rank"} <= scores.keys()
    features = make_pipeline(KnowledgeGraphEmbedder(**SMALL), StandardScaler())
    assert features.fit_transform(FACTS).shape == (len(FACTS), 30)


# -- predictions -----------------------------------------------------------------------


def test_predicted_tails_are_the_best_and_new():
    graph = randomized("complex")
    answers = graph.predict_tail("f 0", "father of", k=3)
    assert list(answers.columns) == ["head", "relation", "tail", "score"]
    assert set(answers["head"]) == {"f 0"} and len(answers) == 3
    everything = [("f 0", "father of", e) for e in graph.entities_]
    scores = pd.Series(graph.score_triples(everything), graph.entities_)
    new = scores.drop(["s 0", "d 0"]).nlargest(3)
    assert answers["tail"].tolist() == new.index.tolist()
    np.testing.assert_allclose(answers["score"], new)
    every = graph.predict_tail("f 0", "father of", k=99, exclude_known=False)
    assert every["tail"].tolist() == scores.nlargest(8).index.tolist()
    assert len(graph.predict_tail("f 0", "father of", k=99)) == 6


def test_lists_ask_several_questions():
    graph = randomized("rotate")
    answers = graph.predict_head("father of", ["s 0", "s 1"], k=2)
    assert answers["tail"].tolist() == ["s 0", "s 0", "s 1", "s 1"]
    for tail in ("s 0", "s 1"):
        one = graph.predict_head("father of", tail, k=2)
        several = answers[answers["tail"] == tail].reset_index(drop=True)
        pd.testing.assert_frame_equal(one, several)
    pairs = graph.predict_head(["father of", "mother of"], ["s 0", "s 1"], k=1)
    assert pairs["relation"].tolist() == ["father of", "mother of"]


@pytest.mark.parametrize("method", METHODS)
def test_transform_puts_the_vectors_side_by_side(method):
    graph = KnowledgeGraphEmbedder(method=method, **SMALL).fit(FACTS)
    width = 5 * (1 + (method in ("complex", "rotate")))
    h, r, t = codes(graph, FACTS).T
    entities, relations = graph.entity_vectors(), graph.relation_vectors()
    expected = np.hstack([entities[h], relations[r], entities[t]])
    assert expected.shape == (len(FACTS), 3 * width)
    np.testing.assert_array_equal(graph.transform(FACTS), expected)
    found = graph.entity_vectors(["s 0", "f 1"])
    np.testing.assert_array_equal(
        found[1], entities[list(graph.entities_).index("f 1")]
    )
    assert graph.relation_vectors(["has father"]).shape == (1, width)


# -- forms of X ------------------------------------------------------------------------


def as_numbers(X):
    names, found = pd.factorize(np.concatenate([X[:, 0], X[:, 2]]), sort=True)[0], None
    found = pd.factorize(X[:, 1], sort=True)[0]
    return np.column_stack([names[: len(X)], found, names[len(X) :]])


def test_all_forms_of_names_learn_the_same():
    expected = KnowledgeGraphEmbedder(**SMALL).fit(FACTS).transform(FACTS)
    numbers = as_numbers(FACTS)
    frame = pd.DataFrame(FACTS, columns=["from", "how", "to"])
    nested = [((h[0], h[2:]), r, (t[0], t[2:])) for h, r, t in FACTS]
    forms = [
        [tuple(row) for row in FACTS.tolist()],
        FACTS.astype(str),
        frame,
        frame.astype("category"),
        numbers,
        numbers.astype(float),
        pd.DataFrame(numbers),
        nested,
    ]
    polars = pytest.importorskip("polars")
    forms.append(polars.DataFrame(FACTS.tolist(), schema=["a", "b", "c"], orient="row"))
    for X in forms:
        found = KnowledgeGraphEmbedder(**SMALL).fit(X).transform(X)
        np.testing.assert_array_equal(found, expected)


def test_names_of_several_kinds_may_be_mixed():
    X = [("ann", "born in", 1970), ("bob", "born in", 1980), (1970, "before", 1980)]
    graph = KnowledgeGraphEmbedder(**SMALL).fit(X)
    assert set(graph.entities_.tolist()) == {"ann", "bob", 1970, 1980}
    answers = graph.predict_tail("ann", "born in", k=9)
    assert 1970 not in answers["tail"].tolist() and 1980 in answers["tail"].tolist()
    assert graph.predict_tail(1970, "before", k=1, exclude_known=False).size == 4


@pytest.mark.parametrize("form", ["strings", "numbers"])
def test_saved_names_are_as_they_were(form, tmp_path):
    X = FACTS if form == "strings" else as_numbers(FACTS)
    graph = KnowledgeGraphEmbedder(**SMALL).fit(X)
    graph.save(tmp_path / "graph")
    for twin in (sknets.load(tmp_path / "graph"), pickle.loads(pickle.dumps(graph))):
        assert twin.entities_.dtype == graph.entities_.dtype
        assert twin.entities_.tolist() == graph.entities_.tolist()
        assert [type(e) for e in twin.relations_.tolist()] == [
            type(e) for e in graph.relations_.tolist()
        ]
        head, relation = X[0, 0], X[0, 1]
        pd.testing.assert_frame_equal(
            twin.predict_tail(head, relation), graph.predict_tail(head, relation)
        )
        np.testing.assert_array_equal(twin.rank(X), graph.rank(X))


# -- wrong input -----------------------------------------------------------------------

TRIPLE = ("f 0", "spouse of", "m 0")


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (FACTS[:, :2], ValueError, r"three columns, got shape \(144, 2\)"),
        (FACTS[:, 0], ValueError, r"takes triples, not text of shape \(144,\)"),
        (FACTS[:0], ValueError, "Found array with 0 sample"),
        ([], ValueError, "takes triples, got an empty list"),
        ([TRIPLE, ("f 0", None, "m 0")], ValueError, "row 1 of X has no relation"),
        ([TRIPLE, ("f 0", "a", float("nan"))], ValueError, "row 1 of X has no tail"),
        ([TRIPLE, ({"f": 0}, "a", "b")], TypeError, "key of a dict.*got a head {'f'"),
        ([TRIPLE, ("f 0", "a")], ValueError, "three columns"),
    ],
)
def test_wrong_triples_are_refused(X, error, message):
    with pytest.raises(error, match=message):
        KnowledgeGraphEmbedder(**SMALL).fit(X)


def test_unknown_names_are_named():
    graph = KnowledgeGraphEmbedder(**SMALL).fit(FACTS)
    near = r"\.predict_tail: the first fit had no relation 'spouse'; did you mean 'spo"
    with pytest.raises(ValueError, match=near):
        graph.predict_tail("f 0", "spouse")
    far = r"predict_head: the first fit had no entity 'zebra': it had 48, such as 'd 0"
    with pytest.raises(ValueError, match=far):
        graph.predict_head("spouse of", "zebra")
    with pytest.raises(ValueError, match="had no entity 7: it had 48"):
        graph.entity_vectors([7])
    with pytest.raises(ValueError, match="the first fit had no entity 'f 99'"):
        graph.score_triples([("f 99", "spouse of", "m 0")])
    with pytest.raises(ValueError, match="the first fit had no relation 'knows'"):
        graph.transform([("f 0", "knows", "m 0")])


def test_wrong_questions_are_refused():
    graph = KnowledgeGraphEmbedder(**SMALL)
    with pytest.raises(NotFittedError):
        graph.predict_tail("f 0", "spouse of")
    graph.fit(FACTS)
    for k in (0, 1.5, True):
        with pytest.raises(ValueError, match=rf"predict_tail\(k={k}\): k must be at"):
            graph.predict_tail("f 0", "spouse of", k=k)
    with pytest.raises(ValueError, match="equal length, one or more, got 2 and 3"):
        graph.predict_tail(["f 0", "f 1"], ["spouse of"] * 3)
    with pytest.raises(ValueError, match="one or more, got 0 and 1"):
        graph.predict_head("spouse of", [])
    with pytest.raises(ValueError, match=r"n_negatives must be .*at least 1"):
        KnowledgeGraphEmbedder(n_negatives=0).fit(FACTS)
    with pytest.raises(ValueError, match="did you mean 'transe'"):
        KnowledgeGraphEmbedder(method="transE").fit(FACTS)
