"""The library's own contract, as checks to run on any estimator and any kind of X.

scikit-learn's `check_estimator` says nothing of an estimator whose X is not a table;
these checks ask the same of all: tables, images, sequences, text, graphs, trees.
"""

from __future__ import annotations

import contextlib
import copy
import inspect
import io
import pickle
import random
import tempfile
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import torch
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.callback import ScoringMonitor
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    TimeSeriesSplit,
    cross_val_predict,
)
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _num_samples

import sknets
from sknets._engine._skorch import Callback
from sknets._forecasting import Forecaster
from sknets._sameness import VERBS, assert_close, assert_same, outputs
from sknets.metrics import mean_iou

Check = Callable[[Any, Any, Any], None]

_CHECKS: list[Check] = []


def check_estimator_on(estimator: Any, X: Any, y: Any = None) -> None:
    """Check that an estimator keeps the library's contract on this X and y.

    Parameters
    ----------
    estimator : Estimator
        Unfitted; its parameters are those tested, so give few epochs.
    X : any kind of input the estimator takes
        At least 12 samples, learnable: a classifier or regressor must beat a dummy.
    y : array-like or list, default=None

    Raises
    ------
    AssertionError
        For the first promise that is broken, naming the check.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sknets import FeedforwardClassifier
    >>> from sknets.testing import check_estimator_on
    >>> X, y = load_iris(return_X_y=True)
    >>> check_estimator_on(FeedforwardClassifier(max_epochs=5, lr=0.01), X, y)
    """
    for name, check in checks_on(estimator, X, y):
        try:
            check()
        except Exception as error:
            raise AssertionError(
                f"{type(estimator).__name__}: {name}: {error}"
            ) from error


def checks_on(
    estimator: Any, X: Any, y: Any = None
) -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield the name and the call of each check, for ``pytest.mark.parametrize``."""
    for check in _CHECKS:
        seeded = clone(estimator).set_params(random_state=0)
        yield check.__name__, _bound(check, seeded, X, y)


def _bound(check: Check, estimator: Any, X: Any, y: Any) -> Callable[[], None]:
    def call() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            check(clone(estimator), X, y)

    return call


def _check(function: Check) -> Check:
    _CHECKS.append(function)
    return function


@_check
def parameters_are_stored_and_cloned(estimator, X, y):
    params = estimator.get_params(deep=False)
    twin = clone(estimator)
    assert twin.get_params(deep=False).keys() == params.keys()
    for name, value in params.items():
        assert getattr(estimator, name) is value, f"{name} is changed by __init__"
    assert set(vars(type(estimator)())) == set(params), "__init__ does more than store"
    assert repr(estimator).startswith(type(estimator).__name__)


@_check
def a_misspelt_parameter_names_the_right_one(estimator, X, y):
    for call in (type(estimator), estimator.set_params):
        try:
            call(max_epoch=3)
        except (TypeError, ValueError) as error:
            assert "max_epochs" in str(error), error
        else:
            raise AssertionError("max_epoch=3 is accepted")


@_check
def unfitted_says_so(estimator, X, y):
    for verb in VERBS:
        if hasattr(estimator, verb):
            try:
                getattr(estimator, verb)(X)
            except NotFittedError:
                continue
            raise AssertionError(f"{verb} works before fit")


@_check
def fit_returns_self_and_changes_no_argument(estimator, X, y):
    params = copy.deepcopy(estimator.get_params(deep=False))
    before = joblib.hash((X, y))
    assert estimator.fit(X, y) is estimator
    assert joblib.hash((X, y)) == before, "fit changes X or y"
    for name, value in estimator.get_params(deep=False).items():
        assert repr(value) == repr(params[name]), f"fit changes the parameter {name}"


@_check
def the_same_seed_gives_the_same_bits(estimator, X, y):
    torch.manual_seed(1)
    np.random.seed(1)
    expected = outputs(clone(estimator).fit(X, y), X)
    torch.manual_seed(2)
    np.random.seed(2)
    assert_same(outputs(estimator.fit(X, y), X), expected)
    assert_same(outputs(estimator.fit(X, y), X), expected)


@_check
def global_random_state_is_left_alone(estimator, X, y):
    def states():
        return [
            torch.get_rng_state().numpy().tobytes(),
            pickle.dumps(np.random.get_state()),
            pickle.dumps(random.getstate()),
        ]

    before = states()
    outputs(estimator.fit(X, y), X)
    assert states() == before


@_check
def threads_do_not_disturb_each_other(estimator, X, y):
    expected = outputs(clone(estimator).fit(X, y), X)
    with ThreadPoolExecutor(8) as pool:
        fits = [pool.submit(clone(estimator).fit, X, y) for _ in range(8)]
        for fit in fits:
            assert_same(outputs(fit.result(), X), expected)


@_check
def predicting_changes_nothing(estimator, X, y):
    estimator.fit(X, y)
    before = dict(vars(estimator))
    state = pickle.dumps(estimator)
    outputs(estimator, X)
    assert vars(estimator) == before
    assert pickle.dumps(estimator) == state


@_check
def order_and_company_of_samples_do_not_matter(estimator, X, y):
    estimator.fit(X, y)
    if isinstance(estimator, Forecaster):
        if estimator.panel_:
            whole, one = estimator.predict(y=X), estimator.predict(y=[X[3]])
            assert_close(one[0], whole[3], estimator.net_.dtype)
        return
    expected = outputs(estimator, X)
    n = _num_samples(X)
    order = np.random.RandomState(0).permutation(n)
    for rows in (order, order[: n // 2], order[:1]):
        for verb, output in outputs(estimator, _safe_indexing(X, rows)).items():
            assert_close(output, expected[verb][rows], estimator.net_.dtype)


@_check
def copies_predict_the_same(estimator, X, y):
    expected = outputs(estimator.fit(X, y), X)
    file = io.BytesIO()
    joblib.dump(estimator, file)
    file.seek(0)
    for twin in (
        pickle.loads(pickle.dumps(estimator)),
        copy.deepcopy(estimator),
        copy.copy(estimator),
        joblib.load(file),
    ):
        assert_same(outputs(twin, X), expected)


@_check
def saved_files_predict_the_same(estimator, X, y):
    expected = outputs(estimator.fit(X, y), X)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        estimator.save(path)
        twin = sknets.load(path)
    assert type(twin) is type(estimator)
    assert_same(outputs(twin, X), expected)
    assert repr(twin.get_params()) == repr(estimator.get_params())


@_check
def wrong_parameters_lose_nothing(estimator, X, y):
    expected = outputs(estimator.fit(X, y), X)
    for name, value in (("max_epochs", 0), ("lr", -1.0), ("device", "abacus")):
        kept = getattr(estimator, name)
        estimator.set_params(**{name: value})
        try:
            estimator.fit(X, y)
        except ValueError as error:
            start = f"{type(estimator).__name__}({name}={value!r}): "
            assert str(error).startswith(start), error
        else:
            raise AssertionError(f"{name}={value!r} is accepted")
        estimator.set_params(**{name: kept})
        assert_same(outputs(estimator, X), expected)


@_check
def unequal_lengths_are_refused(estimator, X, y):
    if y is None:
        return
    shorter = _safe_indexing(y, np.arange(_num_samples(X) - 1))
    try:
        estimator.fit(X, shorter)
    except ValueError as error:
        assert str(_num_samples(X)) in str(error), error
    else:
        raise AssertionError("a shorter y is accepted")
    assert not estimator.__sklearn_is_fitted__()


@_check
def an_interrupted_fit_is_unfitted(estimator, X, y):
    estimator.fit(X, y).set_params(callbacks=[_Interrupt()])
    try:
        estimator.fit(X, y)
    except KeyboardInterrupt:
        assert not estimator.__sklearn_is_fitted__()
    else:
        raise AssertionError("Ctrl-C is swallowed")


class _Interrupt(Callback):
    def __init__(self, epoch=1):
        self.epoch = epoch

    def on_epoch_end(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        if len(net.history) == self.epoch:
            raise KeyboardInterrupt


@_check
def an_interrupted_fit_resumes_from_its_checkpoint(estimator, X, y):
    expected = outputs(clone(estimator).fit(X, y), X)
    with tempfile.TemporaryDirectory() as folder:
        estimator.set_params(checkpoint=f"{folder}/fit")
        first = clone(estimator).set_params(
            callbacks=[_Interrupt(estimator.max_epochs)]
        )
        with contextlib.suppress(KeyboardInterrupt):
            first.fit(X, y)
            raise AssertionError("Ctrl-C is swallowed")
        resumed = estimator.fit(X, y)
        assert_same(outputs(resumed, X), expected)
        assert_same(outputs(clone(estimator).fit(X, y), X), expected)


class _CountEpochs(Callback):
    def on_train_begin(self, net, X=None, y=None, **kwargs):
        self.epochs_ = 0

    def on_epoch_end(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        self.epochs_ += 1


@_check
def skorch_callbacks_are_cloned_and_called(estimator, X, y):
    callback = _CountEpochs()
    estimator.set_params(callbacks=[callback]).fit(X, y)
    assert not hasattr(callback, "epochs_"), "the user's own callback is changed"
    called = [c for _, c in estimator.net_.callbacks_ if isinstance(c, _CountEpochs)]
    assert [c.epochs_ for c in called] == [estimator.n_iter_]


@_check
def scikit_learn_callbacks_see_every_epoch(estimator, X, y):
    if y is None or not hasattr(estimator, "score"):
        return
    quiet = clone(estimator).fit(X, y)
    monitor = ScoringMonitor(scoring={"score": _own_score})
    estimator.set_callbacks(monitor).fit(X, y)
    scores = [row["score"] for row in monitor.get_logs().data if "score" in row]
    assert len(scores) >= estimator.n_iter_
    assert scores[-1] == estimator.score(X, y)
    assert_same(outputs(quiet, X), outputs(estimator, X))


def _own_score(estimator, X, y):
    return estimator.score(X, y)


@_check
def partial_fits_equal_a_fit(estimator, X, y):
    if not hasattr(estimator, "partial_fit") or estimator.early_stopping:
        return
    whole = clone(estimator).fit(X, y)
    given = inspect.signature(estimator.partial_fit).parameters
    announced = "classes" in given and is_classifier(estimator) and np.ndim(y) == 1
    more = {"classes": np.unique(y)} if announced else {}
    half = whole.n_iter_ // 2
    for _ in range(half):
        estimator.partial_fit(X, y, **more)
    estimator = pickle.loads(pickle.dumps(estimator))
    for _ in range(whole.n_iter_ - half):
        estimator.partial_fit(X, y, **more)
    assert estimator.n_iter_ == whole.n_iter_
    assert_same(outputs(estimator, X), outputs(whole, X))


@_check
def works_in_model_selection(estimator, X, y):
    if not hasattr(estimator, "predict"):
        return
    cv: Any = KFold(2, shuffle=True, random_state=0)
    if not isinstance(estimator, Forecaster):
        assert len(cross_val_predict(estimator, X, y, cv=cv)) == _num_samples(X)
    elif not estimator.fit(X, y).panel_:
        cv = TimeSeriesSplit(2)  # a series is cut in time, a panel between series
    if not hasattr(estimator, "score"):
        return
    search = GridSearchCV(
        Pipeline([("net", estimator)]),
        {"net__lr": [1e-3, 1e-2]},
        cv=cv,
        error_score="raise",
    )
    search.fit(X, y)
    assert np.isfinite(search.best_score_)


@_check
def learns_more_than_a_dummy(estimator, X, y):
    if y is None:
        return
    if is_classifier(estimator):
        dummy: Any = DummyClassifier()
    elif is_regressor(estimator):
        dummy = DummyRegressor()
    elif estimator._task == "segmentation":
        flat = np.concatenate([*map(np.ravel, y)])
        values, counts = np.unique(flat, return_counts=True)
        same = [np.full_like(mask, values[counts.argmax()]) for mask in y]
        assert estimator.fit(X, y).score(X, y) > mean_iou(y, same)
        return
    elif estimator._task in (
        "object detection",
        "object localization",
        "translation",
        "captioning",
    ):
        losses = estimator.fit(X, y).loss_curve_
        assert losses[-1] < 0.9 * losses[0]
        return
    elif estimator._task == "pose estimation":
        true = estimator.fit(X, y).target_reader_.read(y)
        places = [each[each[..., -1] > 0][:, :2] for each in true]
        middle = np.concatenate(places).mean(0)
        far = [np.linalg.norm(each - middle, axis=1) for each in places]
        assert estimator.evaluate(X, y)["median_error"] < np.median(np.hstack(far))
        return
    else:
        return
    rows = np.zeros((_num_samples(X), 1))
    assert estimator.fit(X, y).score(X, y) > dummy.fit(rows, y).score(rows, y)


@_check
def output_columns_have_names(estimator, X, y):
    if not hasattr(estimator, "transform"):
        return
    frame = estimator.set_output(transform="pandas").fit(X, y).transform(X)
    assert list(frame.columns) == list(estimator.get_feature_names_out())


@_check
def a_missing_device_falls_back_to_the_cpu(estimator, X, y):
    if torch.cuda.is_available():
        return
    expected = outputs(clone(estimator).fit(X, y), X)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        estimator.set_params(device="cuda").fit(X, y)
    assert [w for w in caught if "no such device" in str(w.message)], "no warning"
    assert estimator.net_.device == "cpu"
    for verb, output in outputs(estimator, X).items():
        assert_close(output, expected[verb], estimator.net_.dtype)


__all__ = ["check_estimator_on", "checks_on"]
