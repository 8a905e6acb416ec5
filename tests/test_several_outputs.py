"""Classifiers of several columns of classes: a softmax for each, side by side."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.multioutput import MultiOutputClassifier
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import check_classifier_multioutput

from sknets import (
    CNNClassifier,
    DBNClassifier,
    FeedforwardClassifier,
    PretrainedClassifier,
    RNNClassifier,
    TransformerClassifier,
    compare,
    load,
)
from sknets._losses import CrossEntropies
from sknets.backpropagation import gradient_check

torch.set_num_threads(1)

X, species = load_iris(return_X_y=True)
X = X[::2]
NAMES = np.array(["setosa", "versicolor", "virginica"])
WIDTHS = np.digitize(X[:, 1], [2.7, 3.0, 3.3])  # four classes
Y = np.stack([species[::2], WIDTHS], 1)
FRAME = pd.DataFrame({"species": NAMES[Y[:, 0]], "width": WIDTHS * 10})
QUICK = {"max_epochs": 2, "random_state": 0}
NET = FeedforwardClassifier(max_epochs=60, batch_size=10, random_state=0)


def test_two_outputs_are_learned_as_well_as_by_two_classifiers():
    train, new = np.arange(75) % 3 > 0, np.arange(75) % 3 == 0
    one = clone(NET).fit(X[train], Y[train])
    two = MultiOutputClassifier(NET).fit(X[train], Y[train])
    each = [(net.predict(X[new]) == Y[new]).mean(0) for net in (one, two)]
    assert (each[0] > each[1] - 0.05).all() and each[0][0] > 0.9
    right = (one.predict(X[new]) == Y[new]).all(1)
    assert one.score(X[new], Y[new]) == right.mean()
    weight = np.arange(25.0)
    assert one.score(X[new], Y[new], weight) == np.average(right, weights=weight)


def test_what_is_returned_has_the_form_of_scikit_learns(tmp_path):
    net = clone(NET).set_params(max_epochs=2).fit(X, FRAME)
    assert [c.tolist() for c in net.classes_] == [NAMES.tolist(), [0, 10, 20, 30]]
    found = net.predict(X)
    assert found.shape == (75, 2) and type(found[0, 0]) is str
    assert set(found[:, 1]) <= {0, 10, 20, 30}
    probabilities = net.predict_proba(X)
    assert [p.shape for p in probabilities] == [(75, 3), (75, 4)]
    for j, p in enumerate(probabilities):
        np.testing.assert_allclose(p.sum(1), 1)
        assert (net.classes_[j][p.argmax(1)] == found[:, j]).all()
        np.testing.assert_allclose(np.log(p), net.predict_log_proba(X)[j])
        logits = net.decision_function(X)[j]
        np.testing.assert_allclose(p, np.exp(logits) / np.exp(logits).sum(1)[:, None])
    assert clone(NET).set_params(max_epochs=1).fit(X, Y).predict(X).dtype == Y.dtype
    words = NAMES[Y.clip(max=2)]
    assert (
        clone(NET).set_params(max_epochs=1).fit(X, words).predict(X).dtype.kind == "U"
    )
    net.save(tmp_path / "net")
    for twin in (pickle.loads(pickle.dumps(net)), load(tmp_path / "net")):
        np.testing.assert_array_equal(twin.predict(X), found)
        assert twin.score(X, FRAME) == net.score(X, FRAME)
    with pytest.raises(ValueError, match=r"must have 2 columns"):
        net.score(X, Y[:, 0])


def test_a_matrix_of_0_and_1_stays_multilabel():
    net = clone(NET).set_params(**QUICK).fit(X, Y > 1)
    assert net.multilabel_ and net.predict_proba(X).shape == (75, 2)
    net = clone(NET).set_params(**QUICK).fit(X, Y)
    assert not net.multilabel_ and get_tags(net).target_tags.multi_output


@pytest.mark.parametrize("weighted", [False, True])
def test_gradients_are_those_of_autograd(weighted):
    generator = torch.Generator().manual_seed(0)
    loss, output = CrossEntropies([3, 1, 2]), torch.randn(6, 8, generator=generator)
    target = torch.stack([torch.arange(8) % n for n in (3, 1, 2)], 1)
    weight = torch.arange(1.0, 9) if weighted else None
    output = output.double().requires_grad_()
    weight = None if weight is None else weight.double()
    mean = loss(output.t(), target, weight)
    mean.backward()
    losses, gradient = loss.losses_and_gradient(output.detach(), target, weight)
    torch.testing.assert_close(losses.mean(), mean)
    torch.testing.assert_close(gradient, output.grad)
    parts = torch.split(output.t(), [3, 1, 2], 1)
    each = [torch.nn.CrossEntropyLoss(reduction="none") for _ in parts]
    each = [f(part, target[:, j]) for j, (f, part) in enumerate(zip(each, parts))]
    torch.testing.assert_close(loss.each(output.t(), target), sum(each))


def test_gradient_check_and_training_without_autograd(monkeypatch):
    assert gradient_check(clone(NET).set_params(**QUICK), X[:30], Y[:30]).passed
    by_hand = clone(NET).set_params(max_epochs=5).fit(X, Y)
    monkeypatch.setattr("sknets._engine.epochs.derived_by_hand", lambda *_: None)
    slow = clone(NET).set_params(max_epochs=5).fit(X, Y)
    assert by_hand.loss_curve_ == pytest.approx(slow.loss_curve_)
    for p, q in zip(by_hand.predict_proba(X), slow.predict_proba(X)):
        np.testing.assert_allclose(p, q, rtol=1e-6)


def test_model_selection_and_early_stopping():
    assert cross_val_predict(NET.set_params(max_epochs=3), X, Y, cv=2).shape == (75, 2)
    search = GridSearchCV(NET, {"alpha": [1, 5]}, cv=2).fit(X, Y)
    assert np.isfinite(search.best_score_)
    assert np.isfinite(cross_val_score(NET, X, Y, cv=2)).all()
    rare = Y.copy()
    rare[:, 1] = np.where(np.arange(75) == 0, 9, rare[:, 1])
    net = FeedforwardClassifier(early_stopping=True, max_epochs=5, random_state=0)
    net.fit(X, rare)
    assert len(net.classes_[1]) == 5 and 0 <= net.validation_scores_[0] <= 1
    net.fit(X[:60], Y[:60], X_val=X[60:], y_val=Y[60:])  # one species only
    best = int(np.argmin(net.validation_loss_curve_))
    assert net.score(X[60:], Y[60:]) == pytest.approx(net.validation_scores_[best])


def test_chunks_with_announced_classes():
    classes = [[0, 1, 2], [0, 1, 2, 3]]
    net = clone(NET).partial_fit(X[:20], Y[:20] % 2, classes=classes)
    net.partial_fit(X[20:], Y[20:])
    net.partial_fit(X[:20], Y[:20] % 2)  # zeros and ones, but classes all the same
    assert [c.tolist() for c in net.classes_] == classes
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        clone(NET).partial_fit(X, Y)
    with pytest.raises(ValueError, match=r"column 1 of y\): y has labels \[7\]"):
        net.partial_fit(X[:3], np.c_[Y[:3, 0], [7, 7, 7]])
    with pytest.raises(ValueError, match="y has 3 columns, and the first fit had 2"):
        net.partial_fit(X, np.c_[Y, Y[:, 0]])
    whole, parts = clone(NET).set_params(max_epochs=3), clone(NET)
    whole.fit(X, Y)
    for _ in range(3):
        parts.partial_fit(X, Y, classes=classes)
    for p, q in zip(whole.predict_proba(X), parts.predict_proba(X)):
        np.testing.assert_array_equal(p, q)


def test_weights_of_classes_multiply_as_in_forests():
    given = [{0: 2.0}, {3: 0.5, 0: 3.0}]
    own = np.where(Y[:, 0] == 0, 2.0, 1.0)
    own *= np.select([Y[:, 1] == 3, Y[:, 1] == 0], [0.5, 3.0], 1.0)
    one = FeedforwardClassifier(class_weight=given, **QUICK).fit(X, Y)
    other = FeedforwardClassifier(**QUICK).fit(X, Y, sample_weight=own)
    for p, q in zip(one.predict_proba(X), other.predict_proba(X)):
        np.testing.assert_allclose(p, q)
    FeedforwardClassifier(class_weight="balanced", **QUICK).fit(X, Y)
    for wrong, y in (({0: 2}, Y), (given, Y[:, 0]), (given[:1], Y)):
        with pytest.raises(ValueError, match=r"class_weight=.*y asks for a"):
            FeedforwardClassifier(class_weight=wrong, **QUICK).fit(X, y)


OTHERS = [
    (TransformerClassifier(n_layers=1, embedding_size=8), X),
    (RNNClassifier(hidden_size=4), X[:, :, None]),
    (CNNClassifier(channels=4), X),
]


@pytest.mark.parametrize(("model", "X"), OTHERS, ids=lambda each: type(each).__name__)
def test_other_chapters_take_them_too(model, X):
    model = clone(model).set_params(early_stopping=True, **QUICK).fit(X, FRAME)
    assert model.predict(X).shape == (75, 2)
    assert [p.shape for p in model.predict_proba(X)] == [(75, 3), (75, 4)]


def test_who_cannot_says_so_in_one_sentence():
    models = [PretrainedClassifier(), DBNClassifier()]
    for model in models:
        with pytest.raises(ValueError, match="learns one label a sample, and y has 2"):
            model.set_params(**QUICK).fit(X, Y)
        assert not get_tags(model).target_tags.multi_output


@pytest.mark.parametrize("y", [Y, NAMES[Y.clip(max=2)]], ids=["numbers", "strings"])
def test_compare_takes_a_column_at_a_time(y):
    with pytest.raises(ValueError, match="compare each column on its own"):
        compare(X, y, task="auto" if y.dtype.kind == "U" else "classification")


def test_scikit_learns_check():
    check_classifier_multioutput("FeedforwardClassifier", FeedforwardClassifier())
