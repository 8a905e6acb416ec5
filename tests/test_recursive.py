"""What is true of recursive networks alone."""

import copy
import pickle
import re

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.model_selection import GridSearchCV, cross_val_score
from torch.autograd import gradcheck

from sknets import RecursiveClassifier, RecursiveRegressor, TreeDisplay
from sknets._inputs.trees import read_trees
from sknets.recursive._cells import CELLS, Compose
from sknets.recursive._nets import RecursiveNet

torch.set_num_threads(1)

WORDS = ["not", "very", "good", "bad", "film"]


def random_tree(random, depth, widest):
    if not depth or random.random() < 0.2:
        return WORDS[random.integers(len(WORDS))]
    children = random.integers(1, widest + 1)
    return tuple(random_tree(random, depth - 1, widest) for _ in range(children))


def grow(n, seed=0, depth=5, widest=4):
    random = np.random.default_rng(seed)
    return [random_tree(random, depth, widest) for _ in range(n)]


def leaves(tree):
    return [tree] if isinstance(tree, str) else [w for t in tree for w in leaves(t)]


# As elements of X strings would be read as brackets: a tree of one word is (word,).
TREES = [(tree,) if isinstance(tree, str) else tree for tree in grow(40)]
GOOD = np.array([leaves(tree).count("good") for tree in TREES])
y = np.where(np.median(GOOD) < GOOD, "good", "bad")

# Negation turns a sentence around; every node has its label.
SENTENCES = [
    "(pos (neu very) (pos good))",
    "(neg (neu not) (pos (neu very) (pos good)))",
    "(pos (neu not) (neg bad))",
    "(neg (neu very) (neg bad))",
    "(neu film)",
] * 8

X_INT = ["(1 (0 not) (1 bad))", "(0 (0 not) (0 good))"] * 6


def taught(**params):
    """Enough steps for so few sentences."""
    return quick(
        **{
            "hidden_size": 16,
            "max_epochs": 40,
            "lr": 0.03,
            "weight_decay": 0.0,
            **params,
        }
    )


def quick(cls=RecursiveClassifier, **params):
    given = {"max_epochs": 3, "hidden_size": 6, "min_frequency": 1, "random_state": 0}
    return cls(**{**given, **params})


# -- the cells -----------------------------------------------------------------------


def state_by_hand(net, cell, tree, vocabulary):
    """The state of a root, node by node as in the papers."""
    if isinstance(tree, tuple) and len(tree) == 1 and isinstance(tree[0], str):
        tree = tree[0]
    if isinstance(tree, str):
        x = net.words.weight[vocabulary[tree]]
        if net.leaf is None:
            return (x,)
        o, i, u = (net.leaf.weight @ x + net.leaf.bias).chunk(3)
        c = torch.sigmoid(i) * torch.tanh(u)
        return torch.sigmoid(o) * torch.tanh(c), c
    children = [state_by_hand(net, cell, child, vocabulary) for child in tree]
    W, v, *more = net.weights
    if cell == "child_sum":
        U, b = more
        o, i, u = (W @ sum(h for h, _ in children) + v).chunk(3)
        c = torch.sigmoid(i) * torch.tanh(u)
        for h, below in children:
            c = c + torch.sigmoid(U @ h + b) * below
        return torch.sigmoid(o) * torch.tanh(c), c

    def of_two(left, right):
        both = torch.cat([left[0], right[0]])
        z = W @ both + v
        if cell == "tree_lstm":
            o, i, f, g, u = z.chunk(5)
            c = torch.sigmoid(i) * torch.tanh(u)
            c = c + torch.sigmoid(f) * left[1] + torch.sigmoid(g) * right[1]
            return torch.sigmoid(o) * torch.tanh(c), c
        if cell == "rntn":
            slices = more[0].view(-1, len(both), len(both))
            z = z + torch.stack([both @ V @ both for V in slices])
        return (torch.tanh(z),)

    nothing = tuple(torch.zeros_like(part) for part in children[0])
    state = of_two(children[0], children[1] if len(children) > 1 else nothing)
    for child in children[2:]:
        state = of_two(state, child)
    return state


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)]
)
@pytest.mark.parametrize("cell", list(CELLS))
def test_values_and_gradients_are_those_of_node_by_node(cell, dtype, tolerance):
    forest = read_trees("", TREES, binary=cell != "child_sum", lowercase=False)
    vocabulary = {word: i + 1 for i, word in enumerate(forest.texts)}
    forest.encode(vocabulary)
    torch.manual_seed(0)
    net = RecursiveNet(len(vocabulary) + 1, 2, cell, 6, 0.0, None).to(dtype)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    rows = torch.randperm(len(TREES))[:20]
    found = net.features(forest.batch(rows))
    expected = torch.stack(
        [state_by_hand(net, cell, TREES[i], vocabulary)[0] for i in rows]
    )
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)
    direction = torch.randn_like(found)
    used = [p for name, p in net.named_parameters() if "head" not in name]
    gradients = [
        torch.autograd.grad((states * direction).sum() / len(rows), used)
        for states in (found, expected)
    ]
    for one, other in zip(*gradients):
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("cell", list(CELLS))
def test_gradients_are_finite_differences(cell):
    forest = read_trees("", grow(4, 1, 2), binary=cell != "child_sum", lowercase=False)
    forest.encode({})
    net = RecursiveNet(1, 2, cell, 3, 0.0, None).double()
    grove = forest.batch(torch.arange(4))
    leaf = torch.randn(grove.sizes[0], 3, dtype=torch.float64, requires_grad=True)
    given = [leaf] * net.cell.n_states + [w + 0.1 for w in net.weights]
    assert gradcheck(
        lambda *x: Compose.apply(net.cell, grove, *x), given, fast_mode=True
    )


def test_the_plain_net_begins_as_the_mean_of_the_children():
    net = RecursiveNet(3, 2, "rnn", 4, 0.0, None)
    weight, bias = net.weights
    half = torch.eye(4) / 2
    assert torch.equal(weight, torch.cat([half, half], 1)) and not bias.any()


@pytest.mark.parametrize("cell", ["tree_lstm", "child_sum"])
def test_lstms_begin_with_open_forget_gates(cell):
    weights = RecursiveNet(3, 2, cell, 4, 0.0, None).weights
    biases = weights[1][8:16] if cell == "tree_lstm" else weights[3]
    assert (biases == 1).all()


def test_child_sums_know_no_order():
    net = quick(cell="child_sum").fit(TREES, y)
    a, b = net.transform([("good", "bad", "film"), ("film", "good", "bad")])
    np.testing.assert_allclose(a, b, atol=1e-6)
    a, b = quick().fit(TREES, y).transform([("good", "bad"), ("bad", "good")])
    assert abs(a - b).max() > 1e-4


# -- batches -------------------------------------------------------------------------


@pytest.mark.parametrize("cell", list(CELLS))
def test_company_never_changes_a_prediction(cell):
    net = quick(cell=cell, precision="float64").fit(TREES, y)
    together = net.predict_proba(TREES)
    alone = np.vstack([net.predict_proba([tree]) for tree in TREES])
    np.testing.assert_allclose(together, alone, rtol=1e-12)
    np.testing.assert_allclose(net.predict_proba(TREES[::-1])[::-1], together, 1e-12)


@pytest.mark.parametrize("cell", list(CELLS))
def test_thousands_of_levels(cell):
    deep = "(x " * 2_000 + "good" + " bad)" * 2_000
    nested = "good"
    for _ in range(2_000):
        nested = [nested, "bad"]
    X = [deep, "(x good bad)", "(x bad (x bad good))", nested]
    net = quick(cell=cell, max_epochs=1, hidden_size=4).fit(X, [0, 1, 1, 0])
    net = copy.deepcopy(pickle.loads(pickle.dumps(net)))
    probabilities = net.predict_nodes_proba(X)
    assert [len(each) for each in probabilities] == [4_001, 3, 5, 4_001]
    np.testing.assert_allclose(probabilities[0], probabilities[3], atol=1e-6)


def test_the_number_of_steps_is_that_of_heights(monkeypatch):
    """Never a call a node: as many matrix products as there are heights."""
    calls = []
    real = torch.addmm
    monkeypatch.setattr(
        torch, "addmm", lambda *a, **k: calls.append(1) or real(*a, **k)
    )
    net = quick(max_epochs=1, batch_size=40)
    forest = read_trees("", TREES, binary=True, lowercase=True)
    net.fit(TREES, y)
    assert len(calls) == int(forest.heights.max())


# -- what trees may look like --------------------------------------------------------


def test_the_forms_of_a_tree_are_one():
    nltk = pytest.importorskip("nltk")
    net = quick().fit(TREES, y)
    text = "(3 (2 not) (4 (2 very) (4 good)))"
    tree = nltk.Tree.fromstring(text)
    forms = [text, tree, ("not", ("very", "good")), ["not", ["very", ["good"]]]]
    states = net.transform(forms)
    for state in states[1:]:
        np.testing.assert_allclose(state, states[0], rtol=1e-5, atol=1e-7)
    found = read_trees("", [text, tree], True, True)
    assert found.labels.tolist() == ["3", "2", "4", "2", "4"] * 2


def test_containers_of_trees():
    net = quick().fit(TREES, y)
    expected = net.predict_proba(TREES)
    objects = np.empty(len(TREES), object)
    objects[:] = TREES
    for X in (tuple(TREES), objects, pd.Series(TREES)):
        np.testing.assert_array_equal(net.predict_proba(X), expected)
        np.testing.assert_array_equal(quick().fit(X, y).predict_proba(X), expected)


def test_single_words_and_only_children():
    net = quick().fit(TREES, y)
    word, bracketed, unary = net.transform(["good", "(4 good)", "(3 (4 good))"])
    np.testing.assert_array_equal(word, bracketed)
    assert abs(unary - word).max() > 1e-4
    only_words = quick().fit(["good", "bad"] * 8, [1, 0] * 8)
    assert only_words.predict(["good"]).shape == (1,)


def test_a_no_break_space_holds_a_word_together():
    assert read_trees("", ["(2 (2 8\xa01/2) (2 a))"], True, True).texts[0] == "8\xa01/2"


def test_rare_and_new_words_are_the_unknown_one():
    X = [("a", "b"), ("b", "a"), ("c", "A")] * 2 + [("a", "rare")]
    net = quick(min_frequency=2).fit(X, [0, 1, 0, 0, 1, 1, 0])
    assert net.vocabulary_ == {"a": 1, "b": 2, "c": 3}
    one, other = net.transform([("rare", "a"), ("new", "A")])
    np.testing.assert_array_equal(one, other)
    cased = quick(lowercase=False).fit(X, [0, 1, 0, 0, 1, 1, 0])
    assert set(cased.vocabulary_) == {"a", "b", "c", "A", "rare"}


def test_words_of_absent_trees_are_unknown():
    weight = np.r_[np.ones(12), 0]
    X = [("good", "film"), ("bad", "film")] * 6 + [("secret", "word")]
    net = quick().fit(X, [0, 1] * 6 + [0], sample_weight=weight)
    assert set(net.vocabulary_) == {"good", "bad", "film"}


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("(3 (2 a) (2 b)", "X[1] has a '(' that is never closed, at column 1"),
        ("(3 (2 a)) (2 b)", "X[1] goes on after its end, at column 11: '(2 b)'"),
        ("(3 (2 a)))", "X[1] goes on after its end, at column 10"),
        (") (2 a)", "X[1] has a ')' without its '(', at column 1"),
        ("a b", "X[1] goes on after its end, at column 3: 'b'"),
        ("()", "X[1] has brackets without words, at column 2"),
        ("(3 (2 a) (3))", "X[1] has brackets without words, at column 12"),
        ("", "X[1] is an empty string"),
        ((), "X[1] has a node without words"),
        (("a", ()), "X[1] has a node without words"),
        (("a", 3), "X[1] has the leaf 3; leaves must be words"),
        (("a", None), "X[1] has the leaf None"),
        (3.5, "X[1] must be a tree"),
        (np.zeros(3), "X[1] must be a tree"),
    ],
)
def test_a_malformed_tree_is_named(bad, message):
    start = re.escape(f"RecursiveClassifier: {message}")
    with pytest.raises(ValueError, match=f"^{start}"):
        quick().fit(["(1 a)", bad], [0, 1])
    with pytest.raises(ValueError, match=f"^{start}"):
        quick().fit(TREES, y).predict([("a", "b"), bad])


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([], "X holds no trees"),
        ("(1 (0 a) (1 b))", "got one tree; make it a list"),
        (np.zeros((4, 3)), r"takes trees, not a table of shape \(4, 3\)"),
        (
            pd.DataFrame({"a": ["x", "y"], "b": "z"}),
            r"not a table with text of shape \(2, 2\)",
        ),
        ({"a": 1}, "got a dict"),
        (7, "got 7"),
    ],
)
def test_what_is_no_list_of_trees_is_refused(X, message):
    with pytest.raises(ValueError, match=f"^RecursiveRegressor:? .*{message}"):
        RecursiveRegressor().fit(X, [0, 1])


# -- labels at the nodes -------------------------------------------------------------


def test_labels_at_all_nodes_teach_what_roots_alone_cannot():
    X = ["(0 (1 good) (0 not))", "(0 (0 bad) (0 very))"] * 10
    y = [0] * 20
    with pytest.raises(ValueError, match="at least 2 classes"):
        quick(node_labels=False).fit(X, y)
    net = taught().fit(X, y)
    np.testing.assert_array_equal(net.classes_, [0, 1])
    np.testing.assert_array_equal(net.predict(["good", "not", "bad"]), [1, 0, 0])


def test_y_is_in_the_trees_if_it_is_not_given():
    net = taught().fit(SENTENCES)
    assert net.classes_.tolist() == ["neg", "neu", "pos"]
    truth = [sentence[1:4] for sentence in SENTENCES]
    assert net.score(SENTENCES) == net.score(SENTENCES, truth) == 1.0
    twin = taught().fit(SENTENCES, truth)
    np.testing.assert_array_equal(
        twin.predict_proba(SENTENCES), net.predict_proba(SENTENCES)
    )
    assert quick().fit(X_INT).classes_.tolist() == [0, 1]


def test_labels_in_the_trees_count_only_where_they_are_ys():
    X = ["(S (NP the film) (VP is good))", "(S (NP the film) (VP is bad))"] * 8
    y = [1, 0] * 8
    net = taught().fit(X, y)
    assert net.classes_.tolist() == [0, 1] and net.score(X, y) == 1
    refusal = re.escape("RecursiveClassifier(node_labels=True): some labels in X are")
    with pytest.raises(ValueError, match=refusal):
        quick(node_labels=True).fit(X, y)
    refusal = re.escape(
        "RecursiveClassifier(node_labels=True): the root of X[1] has the label '0', "
    )
    with pytest.raises(ValueError, match=refusal):
        quick(node_labels=True).fit(X_INT, [1] * 12)
    unlabelled = [*X_INT[:3], ("not", "bad")]
    with pytest.raises(
        ValueError, match=r"y is None, and the root of X\[3\] has no la"
    ):
        quick().fit(unlabelled)
    with pytest.raises(ValueError, match=r"the root of X\[3\] has no label"):
        quick(node_labels=True).fit(unlabelled, [1, 0, 1, 1])


def test_a_node_without_a_label_is_passed_over():
    """The loss is that of the labelled nodes, the root's and one more here."""
    X = ["(1 (0 not) bad)", "(0 not good)"] * 6
    net = quick(max_epochs=1, batch_size=12, shuffle=False).fit(X)
    samples = net._read(X, None, None, reset=False)
    batch = samples[:12]
    counts = batch.weight.join() > 0
    assert sorted(batch.y.join()[counts, 0].tolist()) == [0] * 12 + [1] * 6
    assert (samples.x.heights[counts] > 0).sum() == 12
    assert batch.weight.join().mean() == pytest.approx(1)


def test_the_loss_is_the_mean_over_all_nodes():
    net = quick(precision="float64", max_epochs=1, batch_size=99, shuffle=False)
    fresh = copy.deepcopy(net).set_params(lr=1e-12, weight_decay=0.0).fit(SENTENCES)
    nodes = np.concatenate(list(fresh.predict_nodes_proba(SENTENCES)))
    labels = [re.findall("pos|neu|neg", sentence) for sentence in SENTENCES]
    codes = np.searchsorted(fresh.classes_, np.concatenate(labels))
    expected = -np.log(nodes[np.arange(len(codes)), codes]).mean()
    assert fresh.loss_curve_[0] == pytest.approx(expected, rel=1e-8)


def test_weights_count_trees_with_all_their_nodes():
    doubled = SENTENCES + SENTENCES[:5]
    weight = np.r_[np.full(5, 2), np.ones(35)]
    same = {"precision": "float64", "batch_size": 99, "shuffle": False}
    by_weight = quick(**same).fit(SENTENCES, sample_weight=weight)
    by_rows = quick(**same).fit(doubled)
    np.testing.assert_allclose(
        by_weight.predict_proba(SENTENCES), by_rows.predict_proba(SENTENCES), rtol=1e-6
    )


def test_class_weights_count_nodes():
    net = quick(precision="float64", max_epochs=1, lr=1e-12, batch_size=99)
    net.set_params(class_weight="balanced", weight_decay=0.0).fit(SENTENCES)
    nodes = np.concatenate(list(net.predict_nodes_proba(SENTENCES)))
    labels = [re.findall("pos|neu|neg", sentence) for sentence in SENTENCES]
    codes = np.searchsorted(net.classes_, np.concatenate(labels))
    losses = -np.log(nodes[np.arange(len(codes)), codes])
    expected = np.mean([losses[codes == k].mean() for k in range(3)])
    assert net.loss_curve_[0] == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("cell", list(CELLS))
def test_predict_nodes_is_predict_of_each_subtree(cell):
    """Also where nodes of three and four children were made binary."""
    tree = (("not", "good"), "film", ("very", "bad", "film", ("good", "bad")))
    parts = [
        tree,
        tree[0],
        ("not",),
        ("good",),
        ("film",),
        tree[2],
        *[(word,) for word in tree[2][:3]],
        tree[2][3],
        ("good",),
        ("bad",),
    ]
    net = quick(cell=cell).fit(TREES, y)
    found = net.predict_nodes_proba([("good", "bad"), tree])
    assert found.shape == (2,) and found.dtype == object
    np.testing.assert_allclose(found[1], net.predict_proba(parts), rtol=1e-5)
    np.testing.assert_array_equal(net.predict_nodes([tree])[0], net.predict(parts))
    regressor = quick(RecursiveRegressor, cell=cell).fit(TREES, GOOD)
    (values,) = regressor.predict_nodes([tree])
    np.testing.assert_allclose(values, regressor.predict(parts), rtol=1e-5)
    assert values.dtype == np.float64


def test_numbers_at_all_nodes():
    def brackets(tree):
        if isinstance(tree, str):
            return f"({int(tree == 'good')} {tree})"
        inside = " ".join(brackets(child) for child in tree)
        return f"({leaves(tree).count('good')} {inside})"

    X = [brackets(tree) for tree in grow(150, 2, 4, 2)]
    net = quick(RecursiveRegressor, hidden_size=16, max_epochs=30, lr=0.02)
    net.set_params(weight_decay=0.0).fit(X)
    (values,) = net.predict_nodes([("good", ("film", "good"))])
    np.testing.assert_allclose(values, [2, 1, 1, 0, 1], atol=0.3)
    assert net.score(X) > 0.95


def test_several_numbers_and_several_labels():
    both = np.c_[GOOD, [leaves(tree).count("bad") for tree in TREES]]
    regressor = quick(RecursiveRegressor).fit(TREES, both)
    assert regressor.predict(TREES).shape == (40, 2)
    assert regressor.predict_nodes([("good", "bad")])[0].shape == (3, 2)
    classifier = quick().fit(TREES, both > 1)
    assert classifier.predict(TREES).shape == (40, 2)
    assert classifier.predict_nodes([("good", "bad")])[0].shape == (3, 2)


# -- learning ------------------------------------------------------------------------


def test_early_stopping_watches_the_roots():
    net = taught(early_stopping=True, validation_fraction=0.3).fit(SENTENCES)
    assert len(net.validation_scores_) == net.n_iter_
    assert max(net.validation_scores_) == 1.0


def test_in_cross_validation_and_search():
    truth = [sentence[1:4] for sentence in SENTENCES]
    net = taught()
    assert cross_val_score(net, SENTENCES, truth, cv=2).min() > 0.9
    assert cross_val_score(net, SENTENCES, cv=2, error_score="raise").min() > 0.5
    grid = {"cell": list(CELLS)}
    net.set_params(max_epochs=20)
    search = GridSearchCV(net, grid, cv=2, error_score="raise").fit(SENTENCES, truth)
    assert search.best_score_ > 0.9


def test_partial_fit_meets_a_label_it_does_not_know():
    net = quick().partial_fit(X_INT, [1, 0] * 6, classes=[0, 1])
    strange = [text.replace("(0 not)", "(7 not)") for text in X_INT]
    with pytest.raises(
        ValueError, match=r"labels \[7\] that are not among the classes"
    ):
        net.partial_fit(strange, [1, 0] * 6)


def test_bfloat16_is_close():
    exact = quick().fit(SENTENCES)
    rough = quick(precision="bfloat16").fit(SENTENCES)
    np.testing.assert_allclose(
        rough.predict_proba(SENTENCES), exact.predict_proba(SENTENCES), atol=0.02
    )


# -- pictures ------------------------------------------------------------------------


def test_a_picture_has_a_circle_a_node():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    net = taught().fit(SENTENCES)
    display = TreeDisplay.from_estimator(net, "(neg (neu not) (pos (neg good)))")
    circles = [len(group.get_offsets()) for group in display.ax_.collections]
    assert 4 in circles
    expected = net.predict_nodes(["(neg (neu not) (pos (neg good)))"])[0]
    assert display.predictions.tolist() == expected.tolist()
    assert display.wrong.tolist() == (expected != ["neg", "neu", "pos", "neg"]).tolist()
    texts = {text.get_text() for text in display.ax_.texts}
    assert {"not", "good"} <= texts
    legend = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert legend == ["neg", "neu", "pos"]
    regressor = quick(RecursiveRegressor).fit(TREES, GOOD)
    _, ax = matplotlib.pyplot.subplots()
    shown = TreeDisplay.from_estimator(regressor, ("good", "bad", "film"), ax=ax)
    assert shown.ax_ is ax and len(shown.predictions) == 4
    matplotlib.pyplot.close("all")
    with pytest.raises(TypeError, match="must have predict_nodes"):
        TreeDisplay.from_estimator(object(), "a")
