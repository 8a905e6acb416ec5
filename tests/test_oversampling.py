"""GANOverSampler: rows of rare classes, as imbalanced-learn wants them."""

import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import make_blobs
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback

from sknets import GANOverSampler

X, y = make_blobs(120, 3, centers=3, cluster_std=0.3, random_state=0)
names = np.array(["a", "b", "c"])[y]
QUICK = {"random_state": 0, "hidden_layer_sizes": (16,), "batch_size": 32}
few = np.r_[np.flatnonzero(y == 0), np.flatnonzero(y == 1)[:8], np.flatnonzero(y == 2)]


def test_rare_classes_are_seen_as_often_as_others():
    net = GANOverSampler(**QUICK, max_epochs=1)
    seen = []

    class Watch(Callback):
        def on_batch_begin(self, net, batch=None, training=False, **kwargs):
            seen.append(batch.y.sum(0))

    net.set_params(callbacks=[Watch()]).fit(X[few], names[few])
    np.testing.assert_array_equal(sum(seen), [40, 40, 40])


def test_over_sampling_without_the_extra(monkeypatch):
    for name in ("imblearn", "imblearn.utils"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r'pip install "sknets\[imbalanced\]"'):
        GANOverSampler(**QUICK, max_epochs=1).fit_resample(X[few], names[few])


def test_over_sampling_adds_rows_of_rare_classes():
    pytest.importorskip("imblearn")
    net = GANOverSampler(random_state=0, max_epochs=150, batch_size=40, lr=3e-3)
    X_new, y_new = net.fit_resample(X[few], names[few])
    np.testing.assert_array_equal(X_new[: len(few)], X[few])
    assert dict(zip(*np.unique(y_new, return_counts=True))) == dict.fromkeys("abc", 40)
    assert {k: n for k, n in net.sampling_strategy_.items() if n} == {"b": 32}
    made, own = X_new[len(few) :], X[names == "b"]
    assert np.linalg.norm(made.mean(0) - own.mean(0)) < 1


def test_frames_are_over_sampled():
    pytest.importorskip("imblearn")
    frame = pd.DataFrame(
        {
            "kind": pd.Categorical(np.tile(["x", "y"], 20), ["y", "x", "z"]),
            "n": np.arange(40, dtype=np.int8),
            "day": pd.date_range("2024-01-01", periods=40),
        }
    )
    labels = pd.Series(np.arange(40) < 30, name="old")
    net = GANOverSampler(**QUICK, max_epochs=1, sampling_strategy={False: 25})
    rows, more = net.fit_resample(frame, labels)
    assert (rows.dtypes == frame.dtypes).all() and more.name == "old"
    pd.testing.assert_frame_equal(rows[:40], frame)
    assert more.sum() == 30 and (~more).sum() == 25 and len(rows) == 55


def test_over_sampling_in_a_pipeline():
    imblearn = pytest.importorskip("imblearn.pipeline")
    steps = GANOverSampler(**QUICK, max_epochs=2), LogisticRegression()
    pipeline = imblearn.make_pipeline(*steps)
    grid = {"ganoversampler__lr": [1e-3, 1e-2]}
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise")
    search.fit(X[few], names[few])
    assert search.score(X, names) > 0.6


def imbalanced_learns_checks():
    try:
        from imblearn.utils.estimator_checks import estimator_checks_generator
    except ImportError:
        return []
    net = GANOverSampler(**QUICK, max_epochs=1)
    return [
        pytest.param(one, check, id=check.func.__name__)
        for one, check in estimator_checks_generator(net)
    ]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("estimator", "check"), imbalanced_learns_checks())
def test_imbalanced_learns_check(estimator, check):
    check(estimator)
