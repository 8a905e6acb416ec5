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
import tempfile
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
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
from sknets._sameness import VERBS, Case, assert_close, assert_same, outputs
from sknets.metrics import mean_iou

Check = Callable[[Case], None]

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
    yield from checks_of(Case(estimator, X, y)).items()


def checks_of(case: Case) -> dict[str, Callable[[], None]]:
    """The call of each check of a case, by its name."""
    return {check.__name__: partial(_run, check, case) for check in _CHECKS}


def _run(check: Check, case: Case) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check(case)


def _check(function: Check) -> Check:
    _CHECKS.append(function)
    return function


@_check
def parameters_are_stored_and_cloned(case):
    estimator = case.new()
    params = estimator.get_params(deep=False)
    twin = clone(estimator)
    assert twin.get_params(deep=False).keys() == params.keys()
    for name, value in params.items():
        assert getattr(estimator, name) is value, f"{name} is changed by __init__"
    assert set(vars(type(estimator)())) == set(params), "__init__ does more than store"
    assert repr(estimator).startswith(type(estimator).__name__)


@_check
def a_misspelt_parameter_names_the_right_one(case):
    estimator = case.new()
    for call in (type(estimator), estimator.set_params):
        try:
            call(max_epoch=3)
        except (TypeError, ValueError) as error:
            assert "max_epochs" in str(error), error
        else:
            raise AssertionError("max_epoch=3 is accepted")


@_check
def unfitted_says_so(case):
    estimator = case.new()
    for verb in VERBS:
        if hasattr(estimator, verb):
            try:
                getattr(estimator, verb)(case.X)
            except NotFittedError:
                continue
            raise AssertionError(f"{verb} works before fit")


@_check
def fit_returns_self_and_changes_no_argument(case):
    assert case.fitted is case.returned
    assert joblib.hash((case.X, case.y)) == case.data, "fit changes X or y"
    for name, value in case.fitted.get_params(deep=False).items():
        same = repr(value) == repr(case.params[name])
        assert same, f"fit changes the parameter {name}"


@_check
def the_same_seed_gives_the_same_bits(case):
    expected = case.outputs
    torch.manual_seed(2)  # the first fit had another
    np.random.seed(2)
    assert_same(case.of(case.fit(case.copy())), expected)


@_check
def global_random_state_is_left_alone(case):
    assert case.outputs
    before_fit, after_fit, before, after = case.streams
    assert before_fit == after_fit
    assert before == after


@_check
def threads_do_not_disturb_each_other(case):
    expected = case.outputs
    with ThreadPoolExecutor(2) as pool:
        fits = [pool.submit(case.fit, case.new()) for _ in range(2)]
        for fit in fits:
            assert_same(case.of(fit.result()), expected)


@_check
def predicting_changes_nothing(case):
    assert case.outputs
    assert vars(case.fitted) == case.attributes
    assert pickle.dumps(case.fitted.__getstate__()) == case.state


@_check
def order_and_company_of_samples_do_not_matter(case):
    estimator, X = case.fitted, case.X
    if isinstance(estimator, Forecaster):
        if estimator.panel_:
            whole, one = estimator.predict(y=X), estimator.predict(y=[X[3]])
            assert_close(one[0], whole[3], estimator.net_.dtype)
        return
    n = _num_samples(X)
    order = np.random.RandomState(0).permutation(n)
    for rows in (order, order[: n // 2], order[:1]):
        for verb, output in outputs(estimator, _safe_indexing(X, rows)).items():
            assert_close(output, case.outputs[verb][rows], estimator.net_.dtype)


@_check
def copies_predict_the_same(case):
    # A copy of a copy: what one way loses, those after it don't bring back.
    twin = copy.deepcopy(copy.copy(pickle.loads(pickle.dumps(case.fitted))))
    file = io.BytesIO()
    joblib.dump(twin, file)
    file.seek(0)
    assert_same(case.of(joblib.load(file)), case.outputs)


@_check
def saved_files_predict_the_same(case):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        case.fitted.save(path)
        twin = sknets.load(path)
    assert type(twin) is type(case.fitted)
    assert_same(case.of(twin), case.outputs)
    assert repr(twin.get_params()) == repr(case.fitted.get_params())


@_check
def wrong_parameters_lose_nothing(case):
    estimator = case.copy()
    for name, value in (("max_epochs", 0), ("lr", -1.0), ("device", "abacus")):
        kept = getattr(estimator, name)
        estimator.set_params(**{name: value})
        try:
            case.fit(estimator)
        except ValueError as error:
            start = f"{type(estimator).__name__}({name}={value!r}): "
            assert str(error).startswith(start), error
        else:
            raise AssertionError(f"{name}={value!r} is accepted")
        estimator.set_params(**{name: kept})
    assert_same(case.of(estimator), case.outputs)


@_check
def unequal_lengths_are_refused(case):
    if case.y is None:
        return
    estimator, n = case.new(), _num_samples(case.X)
    try:
        estimator.fit(case.X, _safe_indexing(case.y, np.arange(n - 1)))
    except ValueError as error:
        assert str(n) in str(error), error
    else:
        raise AssertionError("a shorter y is accepted")
    assert not estimator.__sklearn_is_fitted__()


@_check
def an_interrupted_fit_is_unfitted(case):
    estimator = case.copy().set_params(callbacks=[_Interrupt()])
    try:
        case.fit(estimator)
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
def an_interrupted_fit_resumes_from_its_checkpoint(case):
    with tempfile.TemporaryDirectory() as folder:
        kept = {"checkpoint": f"{folder}/fit"}
        interrupt = _Interrupt(case.estimator.max_epochs)
        with contextlib.suppress(KeyboardInterrupt):
            case.fit(case.new(callbacks=[interrupt], **kept))
            raise AssertionError("Ctrl-C is swallowed")
        for _ in ("resumed", "finished"):
            assert_same(case.of(case.fit(case.new(**kept))), case.outputs)


class _CountEpochs(Callback):
    def on_train_begin(self, net, X=None, y=None, **kwargs):
        self.epochs_ = 0

    def on_epoch_end(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        self.epochs_ += 1


@_check
def skorch_callbacks_are_cloned_and_called(case):
    callback = _CountEpochs()
    estimator = case.fit(case.new(callbacks=[callback]))
    assert not hasattr(callback, "epochs_"), "the user's own callback is changed"
    called = [c for _, c in estimator.net_.callbacks_ if isinstance(c, _CountEpochs)]
    assert [c.epochs_ for c in called] == [estimator.n_iter_]


@_check
def scikit_learn_callbacks_see_every_epoch(case):
    estimator = case.new()
    if case.y is None or not hasattr(estimator, "score"):
        return
    monitor = ScoringMonitor(scoring={"score": _own_score})
    case.fit(estimator.set_callbacks(monitor))
    scores = [row["score"] for row in monitor.get_logs().data if "score" in row]
    assert len(scores) >= estimator.n_iter_
    assert scores[-1] == estimator.score(case.X, case.y)
    assert_same(case.outputs, case.of(estimator))


def _own_score(estimator, X, y):
    return estimator.score(X, y)


@_check
def partial_fits_equal_a_fit(case):
    estimator, y = case.new(), case.y
    if not hasattr(estimator, "partial_fit") or estimator.early_stopping:
        return
    given = inspect.signature(estimator.partial_fit).parameters
    announced = "classes" in given and is_classifier(estimator) and np.ndim(y) == 1
    more = {"classes": np.unique(y)} if announced else {}
    n_epochs = case.fitted.n_iter_
    for epoch in range(n_epochs):
        if epoch == n_epochs // 2:
            estimator = pickle.loads(pickle.dumps(estimator))
        estimator.partial_fit(case.X, y, **more)
    assert estimator.n_iter_ == n_epochs
    assert_same(case.of(estimator), case.outputs)


@_check
def works_in_model_selection(case):
    estimator, X, y = case.new(), case.X, case.y
    if not hasattr(estimator, "predict"):
        return
    cv: Any = KFold(2, shuffle=True, random_state=0)
    if not isinstance(estimator, Forecaster):
        assert len(cross_val_predict(estimator, X, y, cv=cv)) == _num_samples(X)
    elif not case.fitted.panel_:
        cv = TimeSeriesSplit(2)  # a series is cut in time, a panel between series
    if not hasattr(estimator, "score"):
        return
    search = GridSearchCV(
        Pipeline([("net", estimator)]),
        {"net__lr": [1e-3]},
        cv=[next(cv.split(X))],
        refit=False,  # which is one more fit, as those before
        error_score="raise",
    )
    search.fit(X, y)
    assert np.isfinite(search.best_score_)


@_check
def learns_more_than_a_dummy(case):
    estimator, X, y = case.estimator, case.X, case.y
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
        assert case.fitted.score(X, y) > mean_iou(y, same)
        return
    elif estimator._task in (
        "object detection",
        "object localization",
        "translation",
        "captioning",
        "speech recognition",
        "image translation",
        "speech synthesis",
    ):
        losses = case.fitted.loss_curve_
        assert losses[-1] < 0.9 * losses[0]
        return
    elif estimator._task == "pose estimation":
        true = case.fitted.target_reader_.read(y)
        places = [each[each[..., -1] > 0][:, :2] for each in true]
        middle = np.concatenate(places).mean(0)
        far = [np.linalg.norm(each - middle, axis=1) for each in places]
        assert case.fitted.evaluate(X, y)["median_error"] < np.median(np.hstack(far))
        return
    else:
        return
    rows = np.zeros((_num_samples(X), 1))
    assert case.fitted.score(X, y) > dummy.fit(rows, y).score(rows, y)


@_check
def output_columns_have_names(case):
    if not hasattr(case.estimator, "transform"):
        return
    frame = case.copy().set_output(transform="pandas").transform(case.X)
    assert list(frame.columns) == list(case.fitted.get_feature_names_out())


@_check
def a_missing_device_falls_back_to_the_cpu(case):
    if torch.cuda.is_available():
        return
    estimator = case.new(device="cuda")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        case.fit(estimator)
    assert [w for w in caught if "no such device" in str(w.message)], "no warning"
    assert estimator.net_.device == "cpu"
    for verb, output in case.of(estimator).items():
        assert_close(output, case.outputs[verb], estimator.net_.dtype)


__all__ = ["check_estimator_on", "checks_on"]
