"""Saved files: safe to load from anywhere, refused in one sentence when not ours."""

import json
import pickle
import struct

import numpy as np
import pytest
from safetensors.numpy import save_file
from sklearn.datasets import load_iris

import sknets
from sknets import FeedforwardClassifier
from sknets.persistence import ModelFileError

X, y = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[y]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "net.safetensors"
    net = FeedforwardClassifier(max_epochs=3, random_state=0).fit(X, NAMES)
    net.save(path)
    return path


def edit(path, change):
    """Rewrite the header's JSON after `change(header)`."""
    from safetensors import safe_open

    with safe_open(path, "numpy") as opened:
        header = json.loads(opened.metadata()["sknets"])
        arrays = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    change(header, arrays)
    save_file(arrays, path, metadata={"sknets": json.dumps(header)})


def refuse(path, match):
    with pytest.raises(ModelFileError, match=match) as caught:
        sknets.load(path)
    assert str(path) in str(caught.value)


def test_training_goes_on_after_loading(file):
    twin = sknets.load(file).partial_fit(X, NAMES)
    net = FeedforwardClassifier(max_epochs=4, random_state=0).fit(X, NAMES)
    np.testing.assert_array_equal(twin.predict_proba(X), net.predict_proba(X))
    assert twin.loss_curve_ == net.loss_curve_


def test_loading_leaves_the_global_random_state_alone(file):
    import torch

    before = torch.get_rng_state()
    sknets.load(file)
    assert torch.equal(before, torch.get_rng_state())


def test_damaged_and_foreign_files(file, tmp_path):
    data = file.read_bytes()
    for size in (0, 5, 100, len(data) // 2, len(data) - 1):
        file.write_bytes(data[:size])
        refuse(file, "not a model that sknets saved, or damaged")
    file.write_bytes(struct.pack("<Q", 2**60) + data)
    refuse(file, "damaged")
    save_file({"w": np.ones(3)}, file)
    refuse(file, "damaged")
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        sknets.load(tmp_path / "nothing")


def test_a_pickle_is_not_run(tmp_path):
    class Bomb:
        def __reduce__(self):
            return exec, (f"open({str(tmp_path / 'boom')!r}, 'w')",)

    path = tmp_path / "bomb"
    path.write_bytes(pickle.dumps(Bomb()))
    refuse(path, "damaged")
    assert not (tmp_path / "boom").exists()


@pytest.mark.parametrize("name", ["os.system", "compare", "__version__", "Nothing", 3])
def test_only_the_librarys_own_classes_are_built(file, name):
    edit(file, lambda header, arrays: header.update({"class": name}))
    refuse(file, "is not an estimator of sknets")


@pytest.mark.parametrize(
    "key", ["__class__", "_inputs", "predict", "_secret", "fit", "__dict__", "score"]
)
def test_only_parameters_and_fitted_attributes_are_set(file, key):
    edit(file, lambda header, arrays: header["state"].update({key: 1}))
    refuse(file, "neither a parameter nor a fitted attribute")


def test_a_huge_declared_layer_takes_no_memory(file):
    edit(
        file, lambda header, arrays: header["state"].update(hidden_layer_sizes=[10**12])
    )
    refuse(file, "has shape")


def test_wrong_weights_and_states(file):
    good = file.read_bytes()

    def change_weights(header, arrays):
        name = next(
            n for n in arrays if n.startswith("net_state_") and arrays[n].ndim > 1
        )
        arrays[name] = arrays[name][:, :-1]

    def change_lr(header, arrays):
        header["state"]["lr"] = "fast"

    def change_format(header, arrays):
        header["format"] = "sknets-99"

    def drop_state(header, arrays):
        del header["state"]["net_state_"]

    def odd_tag(header, arrays):
        header["state"]["lr"] = {"eval": ["1"]}

    for change, match in [
        (change_weights, "shape"),
        (change_lr, "lr must be a number"),
        (change_format, "the file has format 'sknets-99', this version reads"),
        (drop_state, "does not describe a working FeedforwardClassifier"),
        (odd_tag, "damaged"),
    ]:
        file.write_bytes(good)
        edit(file, change)
        refuse(file, match)


def test_what_only_python_can_hold_is_refused_and_nothing_lost(file):
    before = file.read_bytes()
    net = FeedforwardClassifier(max_epochs=1, callbacks=[]).fit(X, y)
    net.set_params(callbacks=[print])
    with pytest.raises(ValueError, match="which only Python can hold"):
        net.save(file)
    assert file.read_bytes() == before
    assert [p.name for p in file.parent.iterdir()] == [file.name]


def test_saving_into_no_folder(file, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*nowhere$"):
        sknets.load(file).save(tmp_path / "nowhere" / "net")


def test_pickles_hold_numpy_only(file):
    data = pickle.dumps(sknets.load(file))
    assert b"torch" not in data
    assert len(data) < 40_000
