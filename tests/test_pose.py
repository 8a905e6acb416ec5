"""Poses: maps, losses, decoding, changes of images, scores, lifting."""

import warnings

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from sklearn.linear_model import Ridge
from sklearn.model_selection import cross_val_score

from sknets import PoseDisplay, PoseEstimator, PoseLifter, compare
from sknets._comparison.classical import POSE_FINDERS
from sknets._comparison.poses import DummyPose
from sknets._inputs import ImageList
from sknets._inputs.layout import Layout
from sknets.datasets import FIGURE_JOINTS, FIGURE_PAIRS, FIGURE_SKELETON, make_figures
from sknets.metrics import (
    keypoint_average_precision,
    mean_joint_error,
    object_keypoint_similarity,
    pck,
)
from sknets.pose._augment import PoseAugment
from sknets.pose._decode import Decoder
from sknets.pose._loss import PoseLoss
from sknets.pose._net import Maps
from sknets.pose._skeleton import spanning_tree

torch.set_num_threads(1)
STRIDE, RADIUS = 4, 8.0
EDGES = np.array([(0, 1), (1, 2), (1, 3)])
BOTH = np.concatenate([EDGES, EDGES[:, ::-1]])


def maps(n_joints=4, edges=BOTH, depth=None):
    return Maps(n_joints, edges, np.linspace(5, 9, len(edges)), RADIUS, depth)


def painted(people, size, of):
    """The output (1, C, h, w) of a perfect network, cell by cell."""
    h, w = size[0] // STRIDE, size[1] // STRIDE
    n = of.n_joints
    heat, offsets = np.full((n, h, w), -9.0), np.zeros((n, 2, h, w))
    steps, depth = np.zeros((len(of.edges), 2, h, w)), np.zeros((n, h, w))
    for j, row, column in np.ndindex(n, h, w):
        cell = np.array([column, row]) * STRIDE + 1.5
        far = np.linalg.norm(people[:, j, :2] - cell, axis=1)
        owner = people[far.argmin()]
        if far.min() > RADIUS:
            continue
        heat[j, row, column] = 9 - far.min() / 100
        offsets[j, :, row, column] = (owner[j, :2] - cell) / RADIUS
        if of.depth:
            depth[j, row, column] = (owner[j, 2] - of.depth[0]) / of.depth[1]
        for e, (start, end) in enumerate(of.edges):
            if start == j:
                step = owner[end, :2] - cell
                steps[e, :, row, column] = step / of.lengths[e]
    parts = [heat, offsets.reshape(-1, h, w), steps.reshape(-1, h, w)]
    parts += [depth] if of.depth else []
    return torch.tensor(np.concatenate(parts)[None])


def scene(random, n_people, least=6.0, size=(80, 96)):
    """People whose joints of a kind are so far apart, at least."""
    while True:
        people = random.uniform(0, (size[1] - 1, size[0] - 1), (n_people, 4, 2))
        apart = np.linalg.norm(people[:, None] - people[None], axis=-1)
        if n_people < 2 or apart[~np.eye(n_people, dtype=bool)].min() > least:
            return people


# -- decoding --------------------------------------------------------------------------


@pytest.mark.parametrize("n_people", [1, 2, 3, 5])
def test_people_are_read_exactly(n_people):
    random = np.random.default_rng(n_people)
    decoder = Decoder(maps(), True, 0.3, RADIUS)
    for _ in range(8):
        people = scene(random, n_people)
        (found,) = decoder(painted(people, (80, 96), decoder.maps))
        assert found["keypoints"].shape == (n_people, 4, 3)
        assert (found["keypoints"][..., 2] > 0.99).all()
        assert (np.diff(found["scores"]) <= 0).all()
        places = found["keypoints"][..., :2]
        order = np.lexsort(places[:, 0].T), np.lexsort(people[:, 0].T)
        np.testing.assert_allclose(places[order[0]], people[order[1]], atol=1e-6)


def test_people_nearer_than_the_radius_stay_two():
    people = np.array([[[20, 20], [30, 40], [20, 60], [44, 60]]] * 2, float)
    people[1] += (6, 1)  # within the radius of one another, all but the last joint
    people[1, 3] += 20
    (found,) = Decoder(maps(), True)(painted(people, (96, 96), maps()))
    places = found["keypoints"][..., :2]
    np.testing.assert_allclose(places[places[:, 0, 0].argsort()], people, atol=1e-6)
    # What they share counts once.
    assert found["scores"].max() > 0.99 and found["scores"].min() < 0.5


def test_depths_are_read_at_their_joints():
    random = np.random.default_rng(0)
    people = scene(random, 2, least=9)
    people = np.insert(people, 2, random.normal(0, 50, people.shape[:2]), axis=2)
    for several, shown in ((True, people), (False, people[:1])):
        edges = BOTH if several else BOTH[:0]
        decoder = Decoder(maps(4, edges, (3.0, 20.0)), several)
        (found,) = decoder(painted(shown, (80, 96), decoder.maps))
        found = found["keypoints"][..., :3]
        found = found[np.argsort(found[:, 0, 0])]
        shown = shown[np.argsort(shown[:, 0, 0])]
        np.testing.assert_allclose(found, shown, atol=1e-5)


def test_one_person_is_where_each_joint_is_most_probable():
    random = np.random.default_rng(0)
    decoder = Decoder(maps(4, BOTH[:0]))
    people = scene(random, 2, least=9)
    output = painted(people, (80, 96), decoder.maps)
    row, column = np.rint((people[1, :, ::-1] - 1.5) / 4).astype(int).T
    output[0, range(4), row.clip(0, 19), column.clip(0, 23)] = 12.0
    (found,) = decoder(output)
    np.testing.assert_allclose(found["keypoints"][0, :, :2], people[1], atol=1e-6)


def test_cells_around_a_joint_agree_on_its_place():
    people = scene(np.random.default_rng(0), 2, least=12)
    for several, edges in ((True, BOTH), (False, BOTH[:0])):
        shown = people if several else people[:1]
        decoder = Decoder(maps(4, edges), several)
        output = painted(shown, (80, 96), decoder.maps)
        noise = np.random.default_rng(1).normal(0, 0.15, (8, 20, 24))
        output[0, 4:12] += torch.tensor(noise)  # 1.2 pixels a cell
        (found,) = decoder(output)
        places = found["keypoints"][:, :, :2]
        order = places[:, 0, 0].argsort(), shown[:, 0, 0].argsort()
        apart = places[order[0]] - shown[order[1]]
        assert np.sqrt((apart**2).mean()) < 0.8  # of one cell 1.2


def test_what_is_beyond_the_image_is_nobodys():
    people = np.array([[[20, 20], [30, 40], [20, 60], [44, 60]]], float)
    both = np.concatenate([people, np.add(people, (100, 0))])
    decoder = Decoder(maps(), True)
    output = painted(both, (96, 192), decoder.maps)
    assert len(decoder(output)[0]["scores"]) == 2
    (found,) = decoder(output, (96, 90))
    np.testing.assert_allclose(found["keypoints"][..., :2], people, atol=1e-6)
    assert len(Decoder(maps(), True, max_people=1)(output)[0]["scores"]) == 1
    nobody = decoder(torch.full_like(output, -9))[0]
    assert nobody["keypoints"].shape == (0, 4, 3) and len(nobody["scores"]) == 0


def test_joints_that_no_edge_leads_to_are_nan():
    decoder = Decoder(maps(4, BOTH[[0, 3]]), True)
    people = np.array([[[20, 20], [30, 40], [20, 60], [44, 60]]], float)
    output = painted(people, (96, 96), decoder.maps)
    output[:, 2:4] = -9
    (found,) = decoder(output)
    assert np.isnan(found["keypoints"][0, 2:, :2]).all()
    assert (found["keypoints"][0, 2:, 2] == 0).all()


# -- losses ----------------------------------------------------------------------------


def smooth_l1(x, beta=0.1):
    x = np.abs(x)
    return np.where(x < beta, x**2 / (2 * beta), x - beta / 2)


def test_losses_cell_by_cell():
    random = np.random.default_rng(0)
    of = maps(depth=(1.0, 2.0))
    y = np.full((2, 2, 4, 4), np.nan)  # x, y, z, visible
    y[..., -1] = 0
    y[0, 0], y[0, 1] = (
        np.insert(random.uniform(0, 39, (4, 3)), 3, 1, axis=1) for _ in range(2)
    )
    y[1, 0] = np.insert(random.uniform(0, 39, (4, 3)), 3, 1, axis=1)
    y[0, 1, 2, 3] = 0  # hidden, but known where
    y[1, 0, 1] = np.nan, np.nan, np.nan, 0
    output = random.normal(size=(2, sum(of.sizes), 10, 10))
    heat, offsets, steps, depth = (
        each.numpy() for each in of.split(torch.tensor(output))
    )
    expected = {name: np.zeros(2) for name in ("heat", "offsets", "displacements")}
    expected["depths"] = np.zeros(2)
    unit = 4 * np.pi * RADIUS**2 / STRIDE**2
    for b, j, row, column in np.ndindex(2, 4, 10, 10):
        cell = np.array([column, row]) * 4 + 1.5
        far = np.linalg.norm(y[b, :, j, :2] - cell, axis=1)
        seen = np.where(y[b, :, j, 3] > 0, far, np.inf)
        near = seen.min() <= RADIUS
        logit = heat[b, j, row, column]
        if near or not (np.nan_to_num(far, nan=99) <= RADIUS).any():
            expected["heat"][b] += np.log1p(np.exp(-logit if near else logit)) / unit
        far = np.nan_to_num(far, nan=np.inf)
        if not near and far.min() > RADIUS:
            continue  # but around what is hidden, and known, the rest is learned
        person = y[b, (seen if near else far).argmin()]
        error = offsets[b, j, :, row, column] - (person[j, :2] - cell) / RADIUS
        expected["offsets"][b] += smooth_l1(error).sum() / unit
        error = depth[b, j, row, column] - (person[j, 2] - 1) / 2
        expected["depths"][b] += smooth_l1(error) / unit
        for e, (start, end) in enumerate(BOTH):
            if start == j and not np.isnan(person[end, 0]):
                step = (person[end, :2] - cell) / of.lengths[e]
                error = smooth_l1(steps[b, e, :, row, column] - step).sum()
                expected["displacements"][b] += error * 4 / len(BOTH) / unit
    loss = PoseLoss(of)
    parts = loss.parts(torch.tensor(output), torch.tensor(y))
    for name, values in expected.items():
        np.testing.assert_allclose(parts[name].numpy(), values, rtol=1e-9)
    weight = torch.tensor([0.5, 1.5])
    total = sum(expected.values())
    found = loss(torch.tensor(output), torch.tensor(y), weight)
    assert float(found) == pytest.approx((total * [0.5, 1.5]).mean())


def test_missing_joints_teach_no_place():
    of = maps(3, np.array([(0, 1), (1, 2), (1, 0), (2, 1)]))
    y = torch.tensor([[[[20.0, 20, 1], [np.nan, np.nan, 0], [9, 30, 0]]]])
    # There is no edge between the two whose places are known.
    output = torch.zeros(1, sum(of.sizes), 10, 10, requires_grad=True)
    loss = PoseLoss(of)
    loss(output, y).backward()
    heat, offsets, steps, _ = of.split(output.grad)
    assert offsets[:, 0].any() and not offsets[:, 1].any() and not steps.any()
    assert (heat[0, 1] > 0).all()  # nowhere to be seen
    cell = np.arange(10) * 4 + 1.5
    hidden = np.hypot(cell - 9, cell[:, None] - 30) <= RADIUS
    np.testing.assert_array_equal(heat[0, 2].numpy() == 0, hidden)
    np.testing.assert_array_equal(offsets[0, 2].any(0), hidden)
    nobody = torch.full_like(y, torch.nan)
    nobody[..., -1] = 0
    assert torch.isfinite(loss(output, nobody))


# -- changes of images -----------------------------------------------------------------


def pictures(places, size=(40, 48), side=1):
    """Images whose joint k is a spot of 50 (k + 1)."""
    row, column = np.mgrid[: size[0], : size[1]]
    images = np.zeros((len(places), 1, *size), np.float32)
    for image, own in zip(images, places):
        for k, (x, y) in enumerate(own):
            image[0, (abs(column - x) <= side) & (abs(row - y) <= side)] = 50 * (k + 1)
    return ImageList(torch.tensor(images), Layout(2, 0))


def changed(kinds, n=60, size=(40, 48), side=1):
    random = np.random.default_rng(0)
    places = random.integers(8, 32, (n, 1, 3, 2)).astype(float)
    places[:, 0, :, 0] = [10, 22, 34]  # no spot covers another
    y = torch.tensor(np.insert(places, 2, 1, axis=3))
    y[:3, 0, 1] = torch.tensor([torch.nan, torch.nan, 0])
    augment = PoseAugment(size, kinds, [0, 2, 1], np.ones(1))
    augment.generator = torch.Generator().manual_seed(0)
    x, moved = augment(pictures(places[:, 0], side=side), y)
    return places[:, 0], x, moved[:, 0]


def test_flips_swap_sides():
    places, x, moved = changed(["flip"])
    flipped = moved[:, 0, 0] != 10
    assert 15 < flipped.sum() < 45
    for i in range(3, 60):
        column, row = moved[i, :, :2].round().long().T
        values = x[i, 0, row, column].tolist()
        # The left of a mirror image was the right.
        assert values == ([50, 150, 100] if flipped[i] else [50, 100, 150])
        own = places[i][[0, 2, 1]] * (-1, 1) + (47, 0) if flipped[i] else places[i]
        np.testing.assert_allclose(moved[i, :, :2], own, atol=1e-9)
    assert moved[:3, :, -1].sum(1).tolist() == [2, 2, 2]


def test_joints_move_with_their_images():
    _, x, moved = changed(["rotate", "scale", "shift"], side=2)
    assert (
        moved[3:, :, -1] == 1
    ).float().mean() > 0.9  # kept whole, where there is room
    seen = set()
    for i in range(3, 60):
        for k, (column, row, visible) in enumerate(moved[i].tolist()):
            if visible:
                value = float(x[i, 0, round(row), round(column)])
                assert value == pytest.approx(50 * (k + 1), rel=0.1)
                seen.add(round(column))
    assert len(seen) > 20
    _, x, moved = changed(["rotate"], size=(32, 32), side=2)
    out = moved[..., -1] == 0
    assert out[3:].any() and torch.isnan(moved[out][:, :2]).all()


def test_changes_begin_with_the_image_itself():
    places, x, moved = changed(["brightness"])
    np.testing.assert_array_equal(moved[3:, :, :2], places[3:])
    assert x.std() > 1
    places, x, moved = changed([lambda image, keypoints: (image + 1, keypoints + 1)])
    assert x.min() == 1
    np.testing.assert_array_equal(moved[3:, :, :2], places[3:] + 1)
    with pytest.raises(ValueError, match="must return an image and keypoints"):
        changed([lambda image, keypoints: image])


# -- the estimator ---------------------------------------------------------------------

random = np.random.default_rng(0)
ends = random.uniform(4, 28, (48, 2, 2))
X = np.zeros((48, 32, 32), np.uint8)
for image, own in zip(X, ends):
    row, column = np.mgrid[:32, :32]
    for size, (x, down) in zip((9, 4), own):
        image[(column - x) ** 2 + (row - down) ** 2 < size] = 22 * size
SMALL = {
    "width": 8,
    "depth": 1,
    "batch_size": 8,
    "random_state": 0,
    "lr": 0.01,
    "augment": None,
    "radius": 6,
}


def records(y):
    y = np.asarray(y)
    return [{"keypoints": np.insert(each[None], 2, 1, axis=2)} for each in y]


@pytest.fixture(scope="module")
def fitted():
    return PoseEstimator(**SMALL, max_epochs=30).fit(X[:40], ends[:40])


def test_learns_where_spots_are(fitted):
    assert fitted.mode_ == "single" and fitted.joints_ == ["0", "1"]
    figures = fitted.evaluate(X[40:], ends[40:])
    assert figures["median_error"] < 3
    assert figures["pck"] == fitted.score(X[40:], ends[40:])
    found = fitted.predict(X[40:])
    assert found.shape == (8, 2, 3)
    assert ((found[..., 2] > 0) & (found[..., 2] < 1)).all()
    errors = np.linalg.norm(found[..., :2] - ends[40:], axis=2)
    assert figures["by_joint"]["1"]["error_90"] == pytest.approx(errors[:, 1].max())


def test_y_may_be_an_array_or_records(fitted):
    visible = np.insert(ends, 2, 1, axis=2)[:40]
    listed = PoseEstimator(**SMALL, max_epochs=2).fit(X[:40], records(ends[:40]))
    for y in (ends[:40], visible, [*visible]):
        net = PoseEstimator(**SMALL, max_epochs=2).fit(X[:40], y)
        assert net.loss_curve_ == listed.loss_curve_
    found = listed.predict(X[:2])
    assert found.dtype == object
    np.testing.assert_array_equal(found[0]["keypoints"][0], net.predict(X[:2])[0])
    assert found[0]["scores"] == found[0]["keypoints"][..., 2].mean()


def test_missing_joints_are_nan_or_not_visible():
    gone = np.insert(ends, 2, 1, axis=2)
    gone[::2, 1, 2] = 0
    gone[::2, 1, :2] = np.nan
    nan = np.where(gone[..., 2:] == 0, np.nan, ends)
    net = PoseEstimator(**SMALL, max_epochs=3).fit(X, nan)
    assert np.isfinite(net.loss_curve_).all()
    assert (
        net.loss_curve_ == PoseEstimator(**SMALL, max_epochs=3).fit(X, gone).loss_curve_
    )
    assert np.isfinite(net.score(X, nan))


def test_any_number_of_people():
    pairs = np.concatenate([X[:24], X[24:]], 2)
    people = np.stack([ends[:24], np.add(ends[24:], (32, 0))], 1)
    y = [{"keypoints": np.insert(each, 2, 1, axis=2)} for each in people]
    y += [{"keypoints": np.empty((0, 2, 3))}, {"keypoints": []}]
    pairs = np.concatenate([pairs, np.zeros((2, 32, 64), np.uint8)])
    net = PoseEstimator(**SMALL, max_epochs=60).fit(pairs, y)
    assert net.mode_ == "multi" and net.skeleton_.tolist() == [[0, 1]]
    found = net.predict(pairs)
    assert found.dtype == object and len(found[-1]["scores"]) == 0
    assert np.mean([len(each["scores"]) == 2 for each in found[:24]]) > 0.5
    assert net.score(pairs, y) > 0.3
    valid = PoseEstimator(**SMALL, max_epochs=2, early_stopping=True).fit(pairs, y)
    assert len(valid.validation_scores_) == 2
    with pytest.raises(ValueError, match=r"y\[0\] has 2 people, and one an image"):
        PoseEstimator(**SMALL, mode="single").fit(pairs, y)


def test_images_of_other_sizes(fitted):
    wide = np.zeros((40, 70), np.uint8)
    wide[4:36, 30:62] = X[41]
    own = fitted.predict(X[41:42])[0, :, :2]
    np.testing.assert_allclose(
        fitted.predict([wide, X[0]])[0, :, :2], np.add(own, (30, 4)), atol=2
    )
    images = [image[: 26 + i % 7] for i, image in enumerate(X)]
    apart = np.stack([fitted.predict([image])[0] for image in images[:9]])
    np.testing.assert_allclose(fitted.predict(images[:9]), apart, atol=1e-4)
    low = ends.copy()
    low[..., 1] = low[..., 1].clip(0, 25)
    few = {**SMALL, "max_epochs": 2, "augment": ("rotate", "shift")}
    assert np.isfinite(PoseEstimator(**few).fit(images, low).score(images, low))
    assert len(cross_val_score(PoseEstimator(**few), images, low, cv=2)) == 2


def test_weights_of_images(fitted):
    weight = np.arange(48) % 3
    rows = np.repeat(np.arange(48), weight)
    score = fitted.score(X, ends, sample_weight=weight)
    assert score == pytest.approx(fitted.score(X[rows], ends[rows]))
    kept = weight > 0
    few = {**SMALL, "max_epochs": 2, "shuffle": False}
    strange = np.where(kept[:, None, None], ends, 30)
    none = PoseEstimator(**few).fit(X, strange, sample_weight=kept * 1.0)
    gone = PoseEstimator(**few).fit(X[kept], ends[kept])
    np.testing.assert_allclose(none.predict(X), gone.predict(X), atol=1e-4)


def test_depths_are_learned():
    depth = np.where(ends[..., :1] > 16, 40.0, -20.0)
    y = np.concatenate([ends, depth, np.ones((48, 2, 1))], 2)
    net = PoseEstimator(**SMALL, max_epochs=30).fit(X, y)
    found = net.predict(X)
    assert found.shape == (48, 2, 4)
    assert ((found[..., 2] > 10) == (depth[..., 0] > 10)).mean() > 0.8
    assert net.evaluate(X, y)["mean_joint_error"] < 20


def test_names_skeleton_and_pairs():
    images, y = make_figures(6, size=32, random_state=0)
    net = PoseEstimator(width=4, depth=1, max_epochs=1)
    net.set_params(joints=FIGURE_JOINTS).fit(images, y)
    pairs = {(FIGURE_JOINTS[a], FIGURE_JOINTS[b]) for a, b in net.pairs_}
    assert pairs == set(FIGURE_PAIRS)
    assert len(net.skeleton_) == 12
    net.set_params(skeleton=FIGURE_SKELETON).fit(images, y)
    assert net.skeleton_.tolist() == [
        [FIGURE_JOINTS.index(a), FIGURE_JOINTS.index(b)] for a, b in FIGURE_SKELETON
    ]


def test_the_skeleton_is_the_shortest_tree():
    people = np.zeros((2, 4, 3))
    people[..., 0], people[..., 2] = [0, 5, 6, 20], 1
    assert spanning_tree(people).tolist() == [[0, 1], [1, 2], [2, 3]]
    people[0, 1] = np.nan
    people[0, 1, 2] = 0
    assert spanning_tree(people).tolist() == [[0, 1], [1, 2], [2, 3]]


def refused(sentence, y, images=X, **params):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match=sentence) as caught:
            PoseEstimator(**params).fit(images, y)
    assert str(caught.value).startswith("PoseEstimator")


def test_bad_input_is_refused():
    refused(r"visible joint at x, y = \[40.0, 5.0\], outside X\[1\]", _but(1, (40, 5)))
    refused("inconsistent numbers of samples: X has 48, y has 47", ends[:47])
    refused("requires y to be passed", None)
    refused(r'y\[0\] has no "keypoints", got', [{"points": []}] * 48)
    refused(r"y\[2\] must be .*, got shape \(2, 3\)", _record(2, np.ones((2, 3))))
    refused(r"y\[2\] must be .*, got 'here'", _record(2, "here"))
    refused(
        r"y\[2\] has 3 joints in 2 dimensions, and y\[0\]", _record(2, [[[1] * 3] * 3])
    )
    refused("y has no visible joint", np.full_like(ends, np.nan))
    refused("an array \\(joints, 2 to 4\\)", np.arange(48))
    refused("y has 2 joints, give as many different names", ends, joints=["a"])
    refused("skeleton names 'tail', and the joints are", ends, skeleton=[("tail", 0)])
    refused("skeleton has 5, which is no pair", ends, skeleton=[5])
    refused("pairs pairs '0' with itself", ends, pairs=[("0", "0")])
    refused("pairs names 7", ends, pairs=[(0, 7)])
    refused("'sepia' is not one of", ends, augment="sepia")
    refused("must have 2 axes, or 3 with channels", ends, np.zeros((48, 5, 5, 5, 1)))


def _but(i, place):
    y = ends.copy()
    y[i, 0] = place
    return y


def _record(i, keypoints):
    y = records(ends)
    y[i] = {"keypoints": keypoints}
    return y


def test_other_joints_are_refused_at_score(fitted):
    with pytest.raises(ValueError, match="has 3 joints in 2 dimensions, and the y of"):
        fitted.score(X, np.zeros((48, 3, 2)))
    with pytest.raises(ValueError, match=r"outside X\[0\]"):
        fitted.score(X, ends + 30)


# -- scores ----------------------------------------------------------------------------

SQUARE = np.array([[0.0, 0, 1], [10, 0, 1], [10, 20, 1], [np.nan, np.nan, 0]])


def test_similarity_is_that_of_coco():
    found = SQUARE[None, :, :2] + (3, 4)
    sigmas = np.array([0.1, 0.2, 0.3, 0.4])
    expected = np.exp(-25 / (2 * 200 * (2 * sigmas[:3]) ** 2)).mean()
    own = object_keypoint_similarity(SQUARE[None], found, sigmas=sigmas)
    assert own == pytest.approx(expected)
    half = object_keypoint_similarity(SQUARE[None], found, areas=[50], sigmas=0.1)
    assert half == pytest.approx(np.exp(-25 / (2 * 50 * 0.04)))
    assert object_keypoint_similarity(SQUARE[None], SQUARE[None])[0, 0] == 1
    nowhere = np.full((1, 4, 2), np.nan)
    assert object_keypoint_similarity(SQUARE[None], nowhere)[0, 0] == 0


def test_average_precision_by_hand():
    def found(*poses):
        shifts, scores = zip(*poses)
        return {
            "keypoints": np.stack([SQUARE[:, :2] + (s, 0) for s in shifts]),
            "scores": scores,
        }

    true = [{"keypoints": np.stack([SQUARE, np.add(SQUARE, (100, 0, 0))])}]
    right = found((0, 0.9), (100, 0.8))
    assert keypoint_average_precision(true, [right]) == 1
    # Right, wrong, right: precision 1 up to a recall of 1/2 (51 of 101), then 2/3.
    mixed = found((0, 0.9), (50, 0.8), (100, 0.7))
    expected = (51 + 50 * 2 / 3) / 101
    assert keypoint_average_precision(true, [mixed]) == pytest.approx(expected)
    # A second pose of the same person is wrong.
    double = found((0, 0.9), (0.1, 0.8), (100, 0.7))
    assert keypoint_average_precision(true, [double]) == pytest.approx(expected)
    half = found((0, 0.9))
    assert keypoint_average_precision(true, [half]) == pytest.approx(51 / 101)
    empty = {"keypoints": np.empty((0, 4, 3)), "scores": []}
    assert keypoint_average_precision(true, [empty]) == 0
    assert np.isnan(keypoint_average_precision([{"keypoints": []}], [half]))
    # Within 0.7 but not 0.75 of one: five thresholds of ten.
    sigma = np.sqrt(-1 / (2 * 200 * 4 * np.log(0.72)))
    near = found((1, 0.9), (101, 0.8))
    assert keypoint_average_precision(true, [near], sigmas=sigma) == pytest.approx(0.5)
    two = [true[0], {"keypoints": SQUARE[None]}]
    weighted = keypoint_average_precision(two, [right, empty], sample_weight=[1.0, 2.0])
    assert weighted == pytest.approx(51 / 101)


def test_average_precision_is_that_of_pycocotools():
    coco, evaluation = COCO(), "keypoints"
    for seed in range(3):
        random = np.random.default_rng(seed)
        true, found, images, people, poses = [], [], [], [], []
        for i in range(1, 31):
            joints = random.uniform(0, 100, (random.integers(0, 4), 5, 3))
            joints[..., 2] = random.random(joints.shape[:2]) < 0.7
            joints[:, 0, 2] = 1
            area = random.uniform(500, 4000, len(joints))
            near = joints[random.random(len(joints)) < 0.8]
            near = near + random.normal(0, 2, near.shape)
            near = np.concatenate([near, random.uniform(0, 100, (1, 5, 3))])
            scores = random.random(len(near))
            true.append({"keypoints": joints, "area": area})
            found.append({"keypoints": near, "scores": scores})
            own = {"image_id": i, "category_id": 1}
            images.append({"id": i})
            for each, size in zip(joints, area):
                person = {**own, "id": len(people) + 1, "iscrowd": 0, "area": size}
                person["num_keypoints"] = int(each[:, 2].sum())
                flat = each.ravel().tolist()
                people.append({**person, "keypoints": flat, "bbox": [0, 0, 1, 1]})
            for each, score in zip(near, scores):
                poses.append(
                    {**own, "keypoints": each.ravel().tolist(), "score": score}
                )
        coco.dataset = {"images": images, "annotations": people}
        coco.dataset["categories"] = [{"id": 1}]
        coco.createIndex()
        theirs = COCOeval(coco, coco.loadRes(poses), evaluation)
        sigmas = theirs.params.kpt_oks_sigmas = np.array([0.05, 0.08, 0.1, 0.06, 0.12])
        theirs.params.areaRng = [[0, 1e9]]
        theirs.evaluate()
        theirs.accumulate()
        ours = keypoint_average_precision(true, found, sigmas=sigmas)
        assert 0.2 < ours < 0.8
        assert ours == pytest.approx(theirs.eval["precision"].mean())


def test_shares_of_joints_found():
    true = [{"keypoints": SQUARE[None]}] * 2
    moved = SQUARE[None].copy()
    moved[0, 0, 0], moved[0, 1, 0] = 1.9, 12.1  # a tenth of 20 pixels are 2
    found = [{"keypoints": moved, "scores": [1.0]}] * 2
    assert pck(true, found) == pytest.approx(2 / 3)
    assert pck(true, found, alpha=0.11) == 1
    none = {"keypoints": np.empty((0, 4, 3)), "scores": []}
    assert pck(true, [found[0], none]) == pytest.approx(1 / 3)
    assert pck(true, [found[0], none], sample_weight=[3, 1]) == pytest.approx(0.5)
    with pytest.raises(ValueError, match="y_true has 2 images and y_pred has 1"):
        pck(true, found[:1])


def test_mean_joint_error():
    true = np.zeros((2, 2, 3))
    true[1, 1] = np.nan
    found = np.zeros((2, 2, 3))
    found[0, 0], found[1, 1] = (1, 2, 2), 99
    assert mean_joint_error(true, found) == 1
    assert mean_joint_error(true, found, sample_weight=[1, 4]) == pytest.approx(0.5)
    with pytest.raises(ValueError, match="both must be"):
        mean_joint_error(true, found[0])


# -- lifting ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bent():
    """Rods of fixed lengths: depth follows from how short they seem."""
    random = np.random.default_rng(0)
    angle = random.uniform(0, np.pi / 2, (600, 2, 1))
    turn = random.uniform(-np.pi, np.pi, (600, 2, 1))
    rods = np.concatenate(
        [np.sin(angle) * np.cos(turn), np.sin(angle) * np.sin(turn), np.cos(angle)], 2
    )
    return rods.cumsum(1)


def test_lifts_more_than_a_line(bent):
    flat = bent[..., :2].reshape(600, -1)
    net = PoseLifter(width=64, max_epochs=40, lr=3e-3, random_state=0).fit(
        flat[:500], bent[:500]
    )
    found = net.predict(flat[500:])
    assert found.shape == (100, 2, 3)
    table = bent.reshape(600, -1)
    line = Ridge().fit(flat[:500], table[:500]).predict(flat[500:]).reshape(-1, 2, 3)
    own, other = (mean_joint_error(bent[500:], each) for each in (found, line))
    assert own < 0.5 * other
    assert net.score(flat[500:], bent[500:]) > 0.9
    few = PoseLifter(width=8, max_epochs=1, random_state=0)
    shaped = few.fit(flat, bent).predict(flat)
    assert shaped.shape == bent.shape
    plain = few.fit(flat, table).predict(flat)
    np.testing.assert_array_equal(plain, shaped.reshape(600, -1))


def test_lifts_poses_with_joints_that_are_not_seen(bent):
    flat = bent[..., :2].reshape(600, -1).copy()
    flat[::3, 2:] = np.nan
    net = PoseLifter(width=64, max_epochs=15, lr=3e-3, random_state=0).fit(flat, bent)
    assert net.missing_columns_.tolist() == [2, 3]
    found = net.predict(flat)
    assert mean_joint_error(bent[1::3, :1], found[1::3, :1]) < 0.3


# -- pictures --------------------------------------------------------------------------


def test_pictures_of_poses(fitted):
    pytest.importorskip("matplotlib")
    display = PoseDisplay.from_estimator(fitted, X[:3], ends[:3])
    assert len(display.axes_) == 3
    lines = display.axes_[0].lines
    found = fitted.predict(X[:1])[0]
    drawn = [line.get_xydata() for line in lines]
    np.testing.assert_allclose(drawn[0], found[:, :2], rtol=1e-5)  # the edge
    np.testing.assert_allclose(drawn[-1], ends[0])  # the truth
    sided = PoseDisplay.from_predictions(
        X[:1], found[None], skeleton=[(0, 1)], pairs=[(0, 1)]
    )
    colors = [line.get_color() for line in sided.axes_[0].lines]
    assert len({*colors}) == 3  # left, right, and what joins them
    with pytest.raises(ValueError, match="X has 3 images, poses has 1"):
        PoseDisplay.from_predictions(X[:3], found[None], skeleton=[(0, 1)])


def test_compare_of_poses():
    X, y = make_figures(16, size=48, random_state=0)
    net = PoseEstimator(width=8, depth=1, max_epochs=1)
    rows = ["DummyPose", "PixelRidge", net]
    found = compare(X, y, models=rows, cv=2, random_state=0, verbose=0)
    assert found.task == "pose estimation" and found.main_score == "average_precision"
    table = found.table
    assert table.loc["DummyPose", "family"] == "baseline"
    assert table["note"].eq("").all() and table["pck"].between(0, 1).all()
    own = DummyPose().fit(X[:8], y[:8])
    mean = np.nanmean([each["keypoints"][0, :, :2] for each in y[:8]], axis=0)
    visible = all((each["keypoints"][..., 2] > 0).all() for each in y[:8])
    shown = own.predict(X[:1])[0]["keypoints"][0, :, :2]
    assert not visible or np.allclose(shown, mean)
    places = np.stack([each["keypoints"][0, :, :2] for each in y])
    again = compare(X, places, models=["DummyPose"], cv=2, verbose=0)
    assert again.task == "pose estimation"
    several = [*y[:-1], {"keypoints": np.ones((2, 13, 3))}]
    table = compare(X, several, models=rows[:2], cv=2, verbose=0).table
    assert "finds one person" in table.loc["PixelRidge", "note"]
    _, ridge = POSE_FINDERS  # not run there unless it is named
    assert "finds one person" in ridge.left_out(X, several, {})
    assert ridge.left_out(X, y, {}) == ""
    with pytest.raises(ValueError, match=r'compare: y\[15\] has no "keypoints"'):
        compare(X, [*y[:-1], {}], verbose=0)


def test_metrics_of_poses_lose_no_image():
    person = np.array([[[0, 0, 1], [9, 9, 1.0]]])
    true = [{"keypoints": person}] * 2
    found = [{"keypoints": person, "scores": np.ones(1)}] * 2
    places = np.ones((2, 3, 3))
    for weight in ([1.0], [1.0, 1.0, 1.0], [1.0, -1.0]):
        for score in (keypoint_average_precision, pck):
            with pytest.raises(ValueError, match="sample_weight"):
                score(true, found, sample_weight=weight)
        with pytest.raises(ValueError, match="sample_weight"):
            mean_joint_error(places, places, sample_weight=weight)


def test_a_single_joint_is_found_and_scored():
    random = np.random.default_rng(0)
    X = random.integers(0, 60, (24, 32, 32), dtype=np.uint8)
    y = random.uniform(6, 26, (24, 1, 2))
    for image, (x, down) in zip(X, y[:, 0].astype(int)):
        image[down - 2 : down + 3, x - 2 : x + 3] = 250
    net = PoseEstimator(width=8, depth=1, max_epochs=30, lr=0.01, random_state=0)
    figures = net.fit(X, y).evaluate(X, y)
    assert net.person_size_ == 8 and figures["median_error"] < 2
    # Alone a joint counts as 32 pixels high: 3.2 of them are near enough.
    assert figures["pck"] == net.score(X, y) > 0.9


def test_who_has_one_visible_joint_is_as_high_as_the_others():
    whole = [[10.0, 10, 1], [10, 50, 1]]
    hidden = [[30.0, 10, 1], [0, 0, 0]]
    true = [{"keypoints": [whole]}, {"keypoints": [hidden]}]
    for off, share in ((3.9, 1.0), (4.1, 2 / 3)):  # a tenth of 40 pixels
        moved = np.add(hidden, [[off, 0, 0]])
        found = [{"keypoints": each, "scores": [1.0]} for each in ([whole], [moved])]
        assert pck(true, found) == pytest.approx(share)
    # 40 pixels high, half as wide.
    near = object_keypoint_similarity([hidden], [moved], areas=[800])[0, 0]
    hit = (near >= np.linspace(0.5, 0.95, 10)).mean()
    assert 0 < hit < 1
    assert keypoint_average_precision(true, found) == pytest.approx(
        hit + (1 - hit) * 51 / 101
    )
