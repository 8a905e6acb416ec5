"""Fits that survive: killed by SIGKILL, by Ctrl-C, by a full disk, and run again.

Run as a script this file is the process in which fits are killed: it forks a child a
fit, so that the libraries are imported once.
"""

import contextlib
import glob
import os
import pickle
import shutil
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from sklearn.callback import ScoringMonitor
from sklearn.datasets import load_diabetes, load_iris
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score

import sknets
from sknets import (
    DBNClassifier,
    DBNFeatures,
    FeedforwardClassifier,
    FeedforwardRegressor,
    PretrainedClassifier,
    _state,
)
from sknets._engine._skorch import Callback
from sknets._engine.checkpoint import FORMAT
from sknets._engine.digest import digest
from sknets._engine.net import Net

X, y = load_iris(return_X_y=True)
X_many, y_many = (part[:120] for part in load_diabetes(return_X_y=True))
WEIGHTS = np.random.RandomState(0).randint(0, 4, len(X)).astype(float)


class At(Callback):
    """Do something when an epoch begins: the state of the one before is on the disk."""

    def __init__(self, epoch, action, hook="on_epoch_begin"):
        self.epoch, self.action, self.hook = epoch, action, hook

    def _maybe(self, net, hook):
        if hook == self.hook and len(net.history) == self.epoch:
            self.action()

    def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        self._maybe(net, "on_epoch_begin")

    def on_epoch_end(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        self._maybe(net, "on_epoch_end")


class InPhase(Callback):
    """Do something in an epoch of a phase that the history does not count."""

    def __init__(self, phase, epoch, action):
        self.phase, self.epoch, self.action = phase, epoch, action

    def on_uncounted_epoch(self, net, phase):
        if (phase.name, len(net.losses_of(phase.name))) == (self.phase, self.epoch):
            self.action()


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def ctrl_c():
    raise KeyboardInterrupt


def classifier(**params):
    given = {"max_epochs": 8, "random_state": 0, "batch_size": 32, **params}
    return FeedforwardClassifier(**given)


def regressor(**params):
    given = {"max_epochs": 8, "random_state": 0, "batch_size": 32, **params}
    return FeedforwardRegressor(**given)


STOPPING = {"early_stopping": True, "n_iter_no_change": 4, "max_epochs": 40, "lr": 0.05}

FEW_LABELS = np.where(np.arange(len(y)) % 10, -1, y)


def pretrained(**params):
    given = {"pretraining_epochs": 4, "hidden_layer_sizes": (6, 3), "batch_size": 32}
    return PretrainedClassifier(random_state=0, max_epochs=5, **given, **params)


def belief_net(**params):
    given = {"pretraining_epochs": 4, "hidden_layer_sizes": (6, 5), "batch_size": 32}
    return DBNClassifier(random_state=0, max_epochs=5, **given, **params)


# name -> estimator, X, y, sample_weight, the epoch in which the fit is killed: its
# number, or the phase and how many of its epochs are done
FITS = {
    "adam": (lambda: classifier(dropout=0.3), X, y, None, 5),
    "no_seed": (lambda: classifier(random_state=None, dropout=0.3), X, y, None, 5),
    "no_seed_early_stopping": (
        lambda: classifier(random_state=None, early_stopping=True),
        *(X, y, None, 5),
    ),
    "first_epoch": (lambda: classifier(random_state=None), X, y, None, 1),
    "random_state": (
        lambda: classifier(random_state=np.random.RandomState(3), early_stopping=True),
        *(X, y, None, 3),
    ),
    "one_cycle_sgd_float32": (
        lambda: classifier(optimizer="sgd", lr_schedule="one_cycle", lr=0.1),
        *(X.astype(np.float32), y, WEIGHTS, 4),
    ),
    "cosine_batch_norm": (
        lambda: classifier(
            lr_schedule="cosine", normalization="batch", gradient_clip=0.1
        ),
        *(X, np.array(["a", "b", "c"])[y], WEIGHTS, 7),
    ),
    "sparse_step": (
        lambda: classifier(lr_schedule="step", optimizer="adamw"),
        *(sp.csr_matrix(X), y, None, 4),
    ),
    "plateau_early_stopping": (
        lambda: classifier(lr_schedule="plateau", dropout=0.2, **STOPPING),
        *(X, y, WEIGHTS, None),
    ),
    "regressor": (lambda: regressor(lr_schedule="plateau"), X_many, y_many, None, 6),
    "two_outputs_early_stopping": (
        lambda: regressor(dropout=0.1, **STOPPING),
        *(X_many, np.c_[y_many, X_many[:, 0]], None, None),
    ),
    "pretraining": (pretrained, X, FEW_LABELS, None, ("pretraining", 3)),
    "fine_tuning": (pretrained, X, FEW_LABELS, None, 3),
    "first_layer": (belief_net, X, y, None, ("pretraining of layer 1", 3)),
    "second_layer": (belief_net, X, y, None, ("pretraining of layer 2", 1)),
    "second_layer_early_stopping": (
        lambda: belief_net(early_stopping=True),
        *(X, y, None, ("pretraining of layer 2", 2)),
    ),
    "layers": (
        lambda: DBNFeatures(hidden_layer_sizes=(6, 5, 3), max_epochs=9, random_state=0),
        *(X, None, None, 5),
    ),
}


def result(net, X, y, weight):
    """Everything about a fit that must be equal to the bit."""
    names = ("loss_curve_", "validation_loss_curve_", "validation_scores_", "n_iter_")
    state = net.net_.state()
    del state["history"]  # which knows how long each epoch took
    found = {"state": state, **{k: getattr(net, k) for k in names if hasattr(net, k)}}
    verbs = ("predict_proba", "predict", "transform")
    verb = next(verb for verb in verbs if hasattr(net, verb))
    found["output"] = getattr(net, verb)(X)
    if isinstance(net.random_state, np.random.RandomState):
        found["next draw"] = net.random_state.randint(10**9)
    net.set_params(checkpoint=None, early_stopping=False, callbacks=None)
    more = {} if weight is None else {"sample_weight": weight}
    with contextlib.suppress(AttributeError, ValueError):  # some have no such verb
        found["one more epoch"] = getattr(net.partial_fit(X, y, **more), verb)(X)
    return found


def fit(name, path=None, seed=5, callbacks=None):
    make, X, y, weight, _ = FITS[name]
    np.random.seed(seed)
    net = make().set_params(checkpoint=path, callbacks=callbacks)
    net.fit(X, y, **({} if weight is None else {"sample_weight": weight}))
    return result(net, X, y, weight)


def same(found, expected):
    assert found.keys() == expected.keys()
    for key in expected:
        assert digest(found[key]) == digest(expected[key]), key


# -- the script: every fit in a process of its own -----------------------------------


def in_child(function, file):
    """Fork; write what the function returns to a file; return how the child ended."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                value = function()
            messages = [str(w.message) for w in caught]
            Path(file).write_bytes(pickle.dumps((value, messages)))
            code = 0
        finally:
            os._exit(code)
    return os.waitpid(pid, 0)[1]


def kill_and_resume(name, folder):
    path = f"{folder}/{name}"
    assert in_child(lambda: fit(name), f"{path}.whole") == 0
    whole, _ = pickle.loads(Path(f"{path}.whole").read_bytes())
    # By default between the best epoch and the one that stops early.
    epoch = FITS[name][-1] or whole["n_iter_"] - 1
    in_phase = isinstance(epoch, tuple)
    kill = [InPhase(*epoch, die) if in_phase else At(epoch + 1, die)]
    status = in_child(lambda: fit(name, path, callbacks=kill), f"{path}.killed")
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    assert not Path(f"{path}.killed").exists()
    _, state = _state.read(path, FORMAT)
    assert state["done"] == (0 if in_phase else epoch) and not state["finished"]
    if in_phase:  # the epoch in which it was killed was not written yet
        done = epoch[1]
        assert state["net"]["phase"][1] == done - 1 or done == 1
    for again in ("resumed", "finished"):
        assert in_child(lambda: fit(name, path, seed=9), f"{path}.{again}") == 0


def run_out_of_disk(path):
    """The files of the process may not grow past 1 kB in the epochs 3 to 5."""
    import resource

    def limit(size):
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    done = []

    def look():
        done.append(_state.read(path, FORMAT)[1]["done"])
        done.append(sorted(file.name for file in Path(path).parent.iterdir()))

    steps = [
        At(3, lambda: limit(1000)),
        At(6, look),
        At(6, lambda: limit(resource.RLIM_INFINITY)),
        At(7, look),
        At(8, lambda: limit(1000)),
    ]
    net = classifier(checkpoint=path, callbacks=steps).fit(X, y)
    look()
    try:
        net.set_params(callbacks=None).save(path)
    except OSError as error:
        done.append(str(error))
    look()
    limit(resource.RLIM_INFINITY)
    return net.predict_proba(X), done


def main(folder):
    torch.set_num_threads(1)
    # What they import lazily (SGD: torch's compiler) is imported once.
    classifier(max_epochs=1, dropout=0.1, optimizer="sgd").fit(X, y)
    for name in [*FITS, "full_disk"]:
        if name == "full_disk":
            assert (
                in_child(
                    lambda: run_out_of_disk(f"{folder}/disk/fit"), f"{folder}/full"
                )
                == 0
            )
        else:
            kill_and_resume(name, folder)


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """The folder with what the script's processes left."""
    if not hasattr(os, "fork"):
        pytest.skip("needs fork, to kill many fits")
    folder = tmp_path_factory.mktemp("killed")
    (folder / "disk").mkdir()
    command = [sys.executable, __file__, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("name", FITS)
def test_a_killed_fit_run_again_ends_with_the_same_bits(killed, name):
    expected, _ = pickle.loads((killed / f"{name}.whole").read_bytes())
    for again in ("resumed", "finished"):
        found, warned = pickle.loads((killed / f"{name}.{again}").read_bytes())
        same(found, expected)
        assert warned == []
    assert glob.glob(f"{killed}/*.tmp") == []


def test_a_full_disk_costs_nothing_but_the_checkpoint(killed):
    (found, seen), warned = pickle.loads((killed / "full").read_bytes())
    np.testing.assert_array_equal(found, classifier().fit(X, y).predict_proba(X))
    files = ["fit", "fit.previous"]
    saving = f"[Errno 27] File too large: {str(killed / 'disk' / 'fit')!r}"
    assert seen == [2, files, 6, files, 7, files, saving, 7, files]
    assert len(warned) == 1
    path = killed / "disk" / "fit"
    assert warned[0].startswith(
        f"FeedforwardClassifier(checkpoint={str(path)!r}): the state after epoch 3 "
        f"could not be written to {path} (File too large); "
    )
    assert "the state after epoch 2 is kept, training goes on" in warned[0]


# -- in this process: Ctrl-C ---------------------------------------------------------


@pytest.fixture
def path(tmp_path):
    return tmp_path / "fit.checkpoint"


@pytest.fixture
def epochs(monkeypatch):
    """How many epochs are trained."""
    run, count = Net.run_single_epoch, []

    def counted(self, iterator, training, *args, **kwargs):
        count.extend([1] if training else [])
        return run(self, iterator, training, *args, **kwargs)

    monkeypatch.setattr(Net, "run_single_epoch", counted)
    return count


def interrupt(net, epoch, X=X, y=y):
    """Fit and press Ctrl-C after so many epochs."""
    net = fresh(net).set_params(callbacks=[At(epoch + 1, ctrl_c)])
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, y)
    assert not net.__sklearn_is_fitted__()


def fresh(net):
    return type(net)(**net.get_params())


def names(folder):
    return sorted(file.name for file in folder.iterdir())


def test_only_the_epochs_that_are_left_are_trained(path, epochs):
    net = classifier(checkpoint=path)
    interrupt(net, 5)
    epochs.clear()
    net.fit(X, y)
    assert len(epochs) == 3
    expected = classifier().fit(X, y)
    np.testing.assert_array_equal(net.predict_proba(X), expected.predict_proba(X))
    assert (
        net.net_.history[:, "train_loss_best"]
        == (expected.net_.history[:, "train_loss_best"])
    )
    epochs.clear()
    again = classifier(checkpoint=str(path)).fit(X, y)
    assert epochs == [] and again.loss_curve_ == expected.loss_curve_
    assert names(path.parent) == [path.name, f"{path.name}.previous"]


def test_ctrl_c_within_an_epoch(path):
    net = classifier(checkpoint=path, dropout=0.2)
    late = [At(4, ctrl_c, "on_epoch_end")]
    with pytest.raises(KeyboardInterrupt):
        fresh(net).set_params(callbacks=late).fit(X, y)
    assert _state.read(path, FORMAT)[1]["done"] == 3
    same(result(net.fit(X, y), X, y, None), fit_of(classifier(dropout=0.2)))


def fit_of(net):
    return result(net.fit(X, y), X, y, None)


@pytest.mark.parametrize("damage", ["empty", "half", "header", "number", "history"])
def test_a_damaged_file_falls_back_to_the_one_before(path, damage, epochs):
    net = classifier(checkpoint=path)
    interrupt(net, 5)
    data = bytearray(path.read_bytes())
    if damage in ("empty", "half"):
        data = data[: 0 if damage == "empty" else len(data) // 2]
    else:
        at = {"header": 20, "number": len(data) - 9, "history": data.find(b"adam")}
        data[at.get(damage)] ^= 1
    path.write_bytes(data)
    epochs.clear()
    with pytest.warns(RuntimeWarning, match="resumes from the file before") as caught:
        net.fit(X, y)
    assert len(caught) == 1 and len(epochs) == 4
    np.testing.assert_array_equal(
        net.predict_proba(X), classifier().fit(X, y).predict_proba(X)
    )
    assert Path(f"{path}.damaged").read_bytes() == data


def test_two_damaged_files_start_anew(path, epochs):
    net = classifier(checkpoint=path)
    interrupt(net, 5)
    for file in (path, Path(f"{path}.previous")):
        file.write_bytes(b"garbage")
    epochs.clear()
    with pytest.warns(RuntimeWarning, match="training starts anew") as caught:
        net.fit(X, y)
    assert len(caught) == 1 and len(epochs) == 8
    epochs.clear()
    net.fit(X, y)
    assert epochs == []


def test_a_deleted_file_starts_anew(path, epochs):
    net = classifier(checkpoint=path)
    interrupt(net, 5)
    path.unlink()
    epochs.clear()
    net.set_params(lr=0.01).fit(X, y)
    assert len(epochs) == 8


OTHERS = [
    (classifier(lr=0.01), X, y, r"with lr=0\.001 instead of 0\.01;"),
    (classifier(max_epochs=9), X, y, "with max_epochs=8 instead of 9;"),
    (classifier(hidden_layer_sizes=5), X, y, r"sizes=\[100\] instead of 5;"),
    (classifier(random_state=None), X, y, "with random_state=0 instead of None;"),
    (classifier(), X + 1e-9, y, r"with other data \(X\);"),
    (classifier(), X.astype("f4"), y, r"with other data \(X\);"),
    (classifier(), X, np.roll(y, 1), r"with other data \(y\);"),
    (classifier(), X, y + 1, r"with other data \(classes_\);"),
    (regressor(), X, y, "of FeedforwardClassifier instead of FeedforwardRegressor;"),
]


@pytest.mark.parametrize("other", OTHERS, ids=lambda case: case[-1])
def test_the_file_of_another_fit_is_refused(path, other):
    interrupt(classifier(checkpoint=path), 3)
    before = {file: file.read_bytes() for file in path.parent.iterdir()}
    net, X, y, match = other
    with pytest.raises(ValueError, match=match) as caught:
        net.set_params(checkpoint=path).fit(X, y)
    sentence = str(caught.value)
    assert sentence.startswith(f"{type(net).__name__}(checkpoint={path!r}): {path} is")
    assert "delete it, give another path, or give a folder" in sentence
    assert before == {file: file.read_bytes() for file in path.parent.iterdir()}


def test_other_weights_are_another_fit(path):
    net = classifier(checkpoint=path).fit(X, y, sample_weight=WEIGHTS)
    for other in (WEIGHTS * 2, WEIGHTS[::-1], None):
        with pytest.raises(ValueError, match=r"other data \(sample_weight\)"):
            net.fit(X, y, sample_weight=other)


def test_a_saved_model_is_no_checkpoint(path):
    classifier(max_epochs=1).fit(X, y).save(path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="is no checkpoint of this version"):
        classifier(checkpoint=path).fit(X, y)
    assert path.read_bytes() == before


def test_two_fits_that_begin_with_one_file_at_a_time(path):
    def fit_another():
        path.unlink()
        classifier(checkpoint=path, lr=0.01).fit(X, y)

    net = classifier(checkpoint=path, callbacks=[At(3, fit_another)])
    with pytest.raises(ValueError, match=r"with lr=0\.01 instead of 0\.001"):
        net.fit(X, y)
    classifier(checkpoint=path, lr=0.01).fit(X, y)


def test_what_does_not_change_the_result_may_differ(path, capsys):
    interrupt(classifier(checkpoint=path), 3)
    kept = _state.read(path, FORMAT)[1]["identity"]
    classifier(checkpoint=path, verbose=1).fit(np.asfortranarray(X), y.tolist())
    assert _state.read(path, FORMAT)[1]["identity"] == kept
    # The bar begins where the fit was.
    assert "3/8" in capsys.readouterr().err


def test_errors_before_any_work(tmp_path, epochs):
    class NotRead:
        def __array__(self, *args, **kwargs):
            raise AssertionError("X was read")

    (tmp_path / "file").touch()
    for checkpoint, error, match in [
        (tmp_path / "no" / "fit", FileNotFoundError, "there is no folder .*no; make"),
        (f"{tmp_path}/no/where/", FileNotFoundError, "there is no folder"),
        (tmp_path / "file" / "fit", FileNotFoundError, "there is no folder"),
        (tmp_path / ("long" * 99), OSError, r"no file can be written there \(File n"),
        (os.devnull, ValueError, "neither a file that can be read nor a"),
        (3, ValueError, "checkpoint must be a string or a path or None"),
    ]:
        with pytest.raises(error, match=match) as caught:
            classifier(checkpoint=checkpoint).fit(NotRead(), y)
        assert str(caught.value).startswith("FeedforwardClassifier(checkpoint=")
    assert names(tmp_path) == ["file"]


def test_a_folder_that_cannot_be_written_to(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.NamedTemporaryFile", refuse)  # root may write all
    with pytest.raises(PermissionError, match=r"written there \(Permission denied\)"):
        classifier(checkpoint=tmp_path).fit(X, y)


def test_left_over_files_of_a_killed_writer_are_removed(path):
    left = path.with_name(f"{path.name}.abc.tmp")
    left.mkdir()
    (left / "state").write_bytes(b"half")
    other = path.with_name("other.checkpoint.abc.tmp")
    other.mkdir()
    classifier(checkpoint=path, max_epochs=1).fit(X, y)
    assert names(path.parent) == [path.name, f"{path.name}.previous", other.name]


def test_cross_validation_in_a_folder(tmp_path, epochs):
    folder = f"{tmp_path}/folds/"
    expected = cross_val_score(classifier(), X, y)
    epochs.clear()
    found = cross_val_score(classifier(checkpoint=folder), X, y)
    np.testing.assert_array_equal(found, expected)
    assert len(epochs) == 40
    files = [name for name in names(Path(folder)) if name.endswith(".safetensors")]
    assert len(files) == 5 and all(
        f.startswith("FeedforwardClassifier-") for f in files
    )
    epochs.clear()
    cross_val_score(classifier(checkpoint=folder), X, y)
    assert epochs == []


def search(net, **params):
    grid = {"lr": [0.001, 0.01]}
    cv = KFold(2, shuffle=True, random_state=0)
    return GridSearchCV(net, grid, cv=cv, error_score="raise", **params)


class InThirdFit(Callback):
    def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        if net.lr == 0.01 and len(net.history) == 5:
            raise KeyboardInterrupt


def test_a_search_that_was_killed_goes_on(tmp_path, epochs):
    expected = search(classifier()).fit(X, y)
    net = classifier(checkpoint=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        search(classifier(checkpoint=tmp_path, callbacks=[InThirdFit()])).fit(X, y)
    assert len(glob.glob(f"{tmp_path}/*.safetensors")) == 3
    epochs.clear()
    found = search(net).fit(X, y)
    assert len(epochs) == 4 + 8 + 8  # the rest of the third, the fourth, the best
    key = "split0_test_score"
    np.testing.assert_array_equal(found.cv_results_[key], expected.cv_results_[key])
    np.testing.assert_array_equal(found.predict_proba(X), expected.predict_proba(X))
    assert found.best_params_ == expected.best_params_


def test_a_search_in_two_processes(tmp_path, epochs):
    expected = search(classifier()).fit(X, y)
    with pytest.raises(KeyboardInterrupt):
        search(classifier(checkpoint=tmp_path, callbacks=[InThirdFit()])).fit(X, y)
    found = search(classifier(checkpoint=tmp_path), n_jobs=2).fit(X, y)
    key = "mean_test_score"
    np.testing.assert_array_equal(found.cv_results_[key], expected.cv_results_[key])
    assert len(glob.glob(f"{tmp_path}/*.safetensors")) == 5
    epochs.clear()
    search(classifier(checkpoint=tmp_path)).fit(X, y)
    assert epochs == []


def test_each_warm_started_round_is_a_fit(tmp_path, epochs):
    def rounds(**params):
        net = classifier(warm_start=True, lr_schedule="plateau", **params)
        return net.fit(X, y).set_params(max_epochs=4).fit(X, y)

    expected = rounds()
    net = classifier(warm_start=True, lr_schedule="plateau", checkpoint=tmp_path)
    net.fit(X, y).set_params(max_epochs=4, callbacks=[At(8 + 3, ctrl_c)])
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, y)
    assert net.n_iter_ == 8
    epochs.clear()
    found = rounds(checkpoint=tmp_path)
    assert len(epochs) == 2 and found.n_iter_ == 12
    same(result(found, X, y, None), result(expected, X, y, None))


def test_a_warm_start_from_elsewhere_is_another_fit(path):
    def second_round(epochs):
        net = classifier(warm_start=True, max_epochs=epochs).fit(X, y)
        return net.set_params(checkpoint=path, max_epochs=4).fit(X, y)

    second_round(2)
    assert second_round(2).n_iter_ == 6
    with pytest.raises(ValueError, match=r"which starts from another net \(warm_start"):
        second_round(3)


def test_partial_fit_refuses(path):
    with pytest.raises(
        AttributeError, match="partial_fit keeps no state in files"
    ) as caught:
        classifier(checkpoint=path).partial_fit(X, y, classes=[0, 1, 2])
    assert str(caught.value).startswith("FeedforwardClassifier(checkpoint=")
    assert not path.exists()


class Count(Callback):
    def on_train_begin(self, net, X=None, y=None, **kwargs):
        self.epochs_ = 0

    def on_epoch_end(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        self.epochs_ += 1


def test_skorch_callbacks_begin_anew_and_that_is_said(path):
    interrupt(classifier(checkpoint=path), 5)
    net = classifier(checkpoint=path, callbacks=[Count(), Count()])
    with pytest.warns(RuntimeWarning, match="they begin anew") as caught:
        net.fit(X, y)
    assert len(caught) == 1
    counts = [c.epochs_ for _, c in net.net_.callbacks_ if isinstance(c, Count)]
    assert counts == [3, 3]
    net.fit(X, y)  # finished: nothing resumes, nothing to be said


def test_scikit_learn_callbacks_see_the_epochs_that_are_left(path):
    interrupt(classifier(checkpoint=path), 5)
    for epochs in (3, 0):
        monitor = ScoringMonitor(scoring="accuracy")
        net = classifier(checkpoint=path)
        net.set_callbacks(monitor).fit(X, y)
        assert net.n_iter_ == 8
        logged = [
            row for row in monitor.get_logs().data if row.get("task_name") == "epoch"
        ]
        if logged:
            assert len(logged) == epochs


def test_a_diverging_fit_keeps_the_last_good_state(path):
    net = regressor(lr=1e200, checkpoint=path)
    for _ in range(2):
        with pytest.raises(FloatingPointError, match=r"^\w+: The training loss became"):
            net.fit(X_many, y_many)
    state = _state.read(path, FORMAT)[1]
    assert not state["finished"]
    assert all(np.isfinite(w).all() for w in state["net"]["weights"].values())


def test_a_folder_that_vanishes(tmp_path):
    folder = tmp_path / "fits"
    folder.mkdir()
    path = folder / "fit"
    net = classifier(checkpoint=path)
    net.set_params(callbacks=[At(3, lambda: shutil.rmtree(folder))])
    with pytest.warns(RuntimeWarning, match="none is kept yet, training") as caught:
        net.fit(X, y)
    assert len(caught) == 1 and net.n_iter_ == 8


def test_what_is_learnt_before_training_need_not_be_written(path, epochs):
    class Odd(FeedforwardClassifier):
        def _encode_target(self, *args, **kwargs):
            encoded = super()._encode_target(*args, **kwargs)
            self.odd_ = len  # before training: made again in the next fit
            return encoded

    Odd(max_epochs=2, checkpoint=path).fit(X, y)
    Odd(max_epochs=2, checkpoint=path).fit(X, y)
    assert len(epochs) == 2


def test_fitted_attributes_that_training_sets_are_kept(path):
    class Learns(FeedforwardClassifier):
        def _callbacks(self, *args):
            class Learn(Callback):
                def on_epoch_end(_, net, **kwargs):
                    past = getattr(self, "total_", np.zeros(1))
                    self.total_ = past + net.history[-1, "train_loss"]

            return [("learn", Learn()), *super()._callbacks(*args)]

    expected = Learns(max_epochs=8, random_state=0).fit(X, y)
    net = Learns(max_epochs=8, random_state=0, checkpoint=path)
    interrupt(net, 5)
    np.testing.assert_array_equal(net.fit(X, y).total_, expected.total_)


def test_save_and_load_with_a_path(path, tmp_path):
    net = classifier(checkpoint=path).fit(X, y)
    net.save(tmp_path / "model")
    twin = sknets.load(tmp_path / "model")
    assert twin.checkpoint == str(path)
    same(result(twin, X, y, None), result(net, X, y, None))
    with pytest.raises(_state.ModelFileError, match="sknets-checkpoint-1"):
        sknets.load(path)


def test_the_digest_sees_values_not_containers(tmp_path):
    rows = np.random.RandomState(0).rand(300_000, 4)
    np.save(tmp_path / "X.npy", rows)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    assert digest(mapped) == digest(rows) == digest(np.asfortranarray(rows))
    changed = rows.copy()
    changed[-1, -1] += 1e-12
    assert digest(changed) != digest(rows)
    unequal = [None, 0, False, "0", [], [[]], {}, np.zeros(0), np.zeros((0, 1)), {0: 1}]
    assert len({digest(value) for value in unequal}) == len(unequal)


if __name__ == "__main__":
    main(*sys.argv[1:])
