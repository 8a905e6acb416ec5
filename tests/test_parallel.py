"""One fit by two processes is that of one."""

import multiprocessing
import traceback

import numpy as np
import pytest
import torch.distributed as dist
from sklearn.datasets import load_iris, make_regression

from sknets import (
    CNNClassifier,
    FeedforwardClassifier,
    FeedforwardRegressor,
    GANSampler,
    RBMFeatures,
    RNNClassifier,
    data_parallel,
)

X, y = load_iris(return_X_y=True)
numbers = make_regression(70, 4, random_state=0)
images = np.random.default_rng(0).integers(0, 99, (40, 8, 8), dtype=np.uint8)
bright = np.arange(40) % 2
images[bright == 1, 2:5, 2:5] += 120
waves = [np.sin(np.arange(9 + i % 5) * (1 + i % 2)) for i in range(40)]
USUAL = {"random_state": 0, "max_epochs": 3, "lr": 0.01}
# name -> estimator, X, y, how equal its losses are to those of one process
FITS = {
    "rows": (FeedforwardClassifier(**USUAL), X, y, 1e-6),
    "a last batch of fewer rows than processes": (
        FeedforwardRegressor(batch_size=23, gradient_clip=1.0, **USUAL),
        *(*numbers, 1e-5),
    ),
    "held out": (FeedforwardClassifier(early_stopping=True, **USUAL), X, y, 1e-6),
    "no seed": (
        FeedforwardClassifier(early_stopping=True, **USUAL | {"random_state": None}),
        *(X, y, None),
    ),
    "unequal lengths": (RNNClassifier(hidden_size=8, **USUAL), waves, bright, 1e-5),
    # Batch normalisation sees the parts.
    "images": (CNNClassifier(augment=None, **USUAL), images, bright, 0.5),
    "noise": (
        CNNClassifier(augment="shift", dropout=0.5, batch_size=15, **USUAL),
        *(images, bright, None),
    ),
    "machine": (RBMFeatures(n_components=4, persistent=True, **USUAL), X / 8, y, None),
    "two players": (GANSampler(**USUAL), X, y, None),
}


def work(rank, folder, queue):
    found = {}
    try:
        dist.init_process_group(
            "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2
        )
        with data_parallel() as told:
            assert told == rank
            for name, (net, X, y, _) in FITS.items():
                net.fit(X, y)
                output = net.sample(9, random_state=0) if y is None else None
                if hasattr(net, "predict"):
                    output = net.predict(X)
                order = net.net_.state()["streams"]["loop"]
                found[name] = net.loss_curve_, output, len(net.net_.history), order
            kept = FeedforwardClassifier(checkpoint=f"{folder}/fit", **USUAL)
            found["kept"] = kept.fit(X, y).loss_curve_, None, 3
            n = 90 + rank
            with pytest.raises(ValueError, match="the same X and y, got 90 rows and"):
                FeedforwardRegressor().fit(X[:n], y[:n])
        alone = FeedforwardClassifier(**USUAL).fit(
            X[: 100 + 50 * rank], y[: 100 + 50 * rank]
        )
        found["after"] = alone.loss_curve_, None, 3
    except Exception:
        found = traceback.format_exc()
    queue.put((rank, found))
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """What two processes found that shared each fit."""
    context = multiprocessing.get_context("fork")
    queue, folder = context.Queue(), tmp_path_factory.mktemp("group")
    workers = [context.Process(target=work, args=(i, folder, queue)) for i in (0, 1)]
    for worker in workers:
        worker.start()
    found = dict(queue.get(timeout=60) for _ in workers)
    for worker in workers:
        worker.join(timeout=60)
    assert not any(isinstance(each, str) for each in found.values()), found
    return found[0], found[1]


@pytest.mark.parametrize("name", list(FITS))
def test_two_processes_fit_as_one(both, name):
    net, X, y, tolerance = FITS[name]
    (losses, output, n, order), (others, twin, m, same) = (own[name] for own in both)
    assert n == m == 3
    np.testing.assert_array_equal(order, same)
    np.testing.assert_array_equal(losses, others)
    if output is not None:
        np.testing.assert_array_equal(output, twin)
    if tolerance is not None:
        alone = net.fit(X, y).loss_curve_
        np.testing.assert_allclose(losses, alone, rtol=tolerance)


def test_one_of_them_writes_and_all_go_on(both):
    assert both[0]["kept"] == both[1]["kept"]


def test_outside_of_the_block_each_fits_its_own(both):
    assert both[0]["after"][0] != both[1]["after"][0]


def test_alone_nothing_changes():
    with data_parallel() as rank:
        net = FeedforwardClassifier(**USUAL).fit(X, y)
    assert rank == 0
    assert net.loss_curve_ == FeedforwardClassifier(**USUAL).fit(X, y).loss_curve_
