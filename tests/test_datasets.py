"""Made data: what the masks, keypoints and boxes say is what the pictures show.

And what is read of files is what was written.
"""

import json

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.neighbors import KNeighborsClassifier

from sknets import SSDDetector
from sknets.datasets import (
    FIGURE_JOINTS,
    FIGURE_PAIRS,
    FIGURE_SKELETON,
    make_cluttered_digits,
    make_figures,
    make_scenes,
    read_coco,
    read_voc,
    read_yolo,
    write_coco,
    write_voc,
    write_yolo,
)

MAKERS = [make_scenes, make_figures, make_cluttered_digits]
EDGES = np.array([[FIGURE_JOINTS.index(j) for j in edge] for edge in FIGURE_SKELETON])


def arrays(made):
    """All arrays of what a generator returned, in one list."""
    images, truth = made
    truth = [list(t.values()) if isinstance(t, dict) else [t] for t in truth]
    return [*images, *(array for each in truth for array in each)]


@pytest.mark.parametrize("make", MAKERS)
def test_the_same_seed_gives_the_same_bits(make):
    first, again, other = (arrays(make(3, random_state=seed)) for seed in (0, 0, 1))
    assert all(a.dtype == b.dtype for a, b in zip(first, again))
    assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(first, again))
    assert not np.array_equal(first[0], other[0])
    stream = np.random.RandomState(0)
    streamed = arrays(make(3, random_state=stream))
    assert np.array_equal(first[0], streamed[0])
    assert not np.array_equal(first[0], make(3, random_state=stream)[0][0])


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("seed", [0, None])
def test_the_global_random_state_is_left_alone(make, seed):
    np.random.seed(0)
    before = np.random.get_state()[1].copy()
    first, second = make(1, random_state=seed)[0], make(1, random_state=seed)[0]
    assert np.array_equal(before, np.random.get_state()[1])
    assert np.array_equal(first, second) == (seed == 0)


@pytest.mark.parametrize("make", MAKERS)
def test_sizes(make):
    images, truth = make(2, size=(48, 80), random_state=0)
    assert images.shape[:3] == (2, 48, 80) and images.dtype == np.uint8
    assert len(truth) == 2
    assert make(1, size=64, random_state=0)[0].shape[1:3] == (64, 64)


@pytest.mark.parametrize("make", [make_scenes, make_cluttered_digits])
def test_unequal_sizes(make):
    images, truth = make(60, size=(48, 90), unequal=True, random_state=0)
    assert isinstance(images, list) and isinstance(truth, list)
    heights, widths = np.array([image.shape[:2] for image in images]).T
    assert heights.min() >= 32 and heights.max() <= 64 and len({*heights}) > 15
    assert widths.min() >= 60 and widths.max() <= 120 and len({*widths}) > 15
    for image, true in zip(images, truth):
        if make is make_scenes:
            assert true.shape == image.shape[:2] and true.dtype == np.uint8
        else:
            assert (true["boxes"][:, 2:] <= image.shape[::-1]).all()


WRONG = {
    "n_samples=0": "n_samples must be at least 1",
    "n_samples=2.5": "n_samples must be an integer",
    "size=10": "size must be at least",
    "size=(64, 8)": "size must be everywhere at least",
    "size=(64, 64, 64)": r"size must be one integer, or \(height, width\)",
    "size=(64,)": r"size must be one integer, or \(height, width\)",
    "random_state='0'": "random_state must be an integer",
    "random_state=-1": "random_state must be at least 0",
}
WRONG = [(make, wrong, rule) for make in MAKERS for wrong, rule in WRONG.items()] + [
    (make, f"{name}={value}", f"{name} must be {rule}")
    for make, name in zip(MAKERS, ("n_objects", "n_people", "n_digits"))
    for value, rule in {
        (3, 2): r"\(the least, the most\)",
        (1, 2, 3): r"\(the least, the most\)",
        (-1, 2): "everywhere at least 0",
        4: "a tuple of integers",
    }.items()
]
WRONG += [
    (make_scenes, "classes=()", "classes must be different ones of disc, square"),
    (make_scenes, "classes=('disc', 'disc')", "classes must be different ones of"),
    (make_scenes, "classes=('disc', 'cube')", "classes must be different ones of"),
    (make_scenes, "classes='disc'", "classes must be a tuple of strings"),
    (make_scenes, "noise=-0.1", "noise must be at least 0"),
    (make_scenes, "unequal=1", "unequal must be True or False"),
    (make_figures, "occlusion=1.5", "occlusion must be at most 1"),
    (make_figures, "three_d='yes'", "three_d must be True or False"),
    (make_cluttered_digits, "clutter=-1", "clutter must be at least 0"),
    (make_cluttered_digits, "max_overlap=2", "max_overlap must be at most 1"),
    (make_cluttered_digits, "n_digits=(99, 99)", "n_digits must be so few that each"),
]


@pytest.mark.parametrize("make, wrong, rule", WRONG)
def test_wrong_arguments_are_refused_in_a_sentence(make, wrong, rule):
    arguments = {"random_state": 0, **eval(f"dict({wrong})")}
    with pytest.raises(ValueError, match=rule) as refusal:
        make(**arguments)
    assert str(refusal.value).startswith(f"{make.__name__}({wrong}): ")
    assert "\n" not in str(refusal.value)


# Scenes.


def test_masks_hold_the_classes_that_were_asked_for():
    images, masks = make_scenes(30, random_state=0)
    assert images.shape == (30, 64, 64, 3) and masks.shape == (30, 64, 64)
    assert masks.dtype == np.uint8 and {*masks.ravel()} == {0, 1, 2, 3, 4}
    assert {*make_scenes(9, classes=("bar",), random_state=0)[1].ravel()} == {0, 1}
    assert not make_scenes(3, n_objects=(0, 0), random_state=0)[1].any()


@pytest.mark.parametrize(
    "kind, area", [("disc", 4 * np.pi), ("square", 12), ("triangle", 108**0.5)]
)
def test_shapes_are_what_they_are_called(kind, area):
    """The area, in units of the second moments, is the shape's own."""
    _, masks = make_scenes(80, classes=(kind,), n_objects=(1, 1), random_state=0)
    edge = masks[:, [0, -1]].any((1, 2)) | masks[:, :, [0, -1]].any((1, 2))
    whole = [np.argwhere(mask) for mask in masks[~edge]]
    moments = [np.linalg.det(np.cov(places.T)) ** 0.5 for places in whole]
    found = np.array([len(places) for places in whole]) / moments
    assert len(found) > 30 and np.median(found) == pytest.approx(area, rel=0.015)
    sides = [np.linalg.eigvalsh(np.cov(places.T)) for places in whole]
    assert all(long < 1.2 * short for short, long in sides)


def test_bars_are_thin():
    _, masks = make_scenes(80, classes=("bar",), n_objects=(1, 1), random_state=0)
    short, long = np.array(
        [np.linalg.eigvalsh(np.cov(np.argwhere(mask).T)) for mask in masks]
    ).T
    width = (12 * short + 1 / 2) ** 0.5
    assert width.min() > 1.5 and width.max() < 4.6 and np.median(long / short) > 20


def test_masks_are_where_the_objects_are_drawn():
    """An object's colour changes linearly within its mask, and not beyond."""
    images, masks = make_scenes(40, n_objects=(1, 1), noise=0, random_state=0)
    steps = []
    for image, mask in zip(images.astype(float), masks > 0):
        plane = np.stack([*np.indices(mask.shape), np.ones(mask.shape)], -1)
        linear = image[..., image[mask].max(0) < 255]  # where no byte was cut off
        fit, *_ = np.linalg.lstsq(plane[mask], linear[mask], rcond=None)
        away = abs(linear - plane @ fit).max(-1, initial=0)
        assert away[mask].max() < 1
        border = ndimage.binary_dilation(mask) & ~mask
        steps.append(np.median(away[border]))
    assert np.mean(np.array(steps) > 40) > 0.6


def test_noise_is_a_share_of_the_range_of_a_byte():
    clean, noisy = (
        make_scenes(1, n_objects=(0, 0), noise=noise, random_state=0)[0].astype(float)
        for noise in (0, 0.05)
    )
    inner = (clean > 60) & (clean < 195)
    assert (noisy - clean)[inner].std() == pytest.approx(0.05 * 255, rel=0.05)


def test_colours_do_not_tell_the_class():
    images, masks = make_scenes(60, random_state=0)
    (X, X_new), (y, y_new) = np.split(images, [40]), np.split(masks, [40])
    X, X_new, y = X[:, ::2, ::2].reshape(-1, 3), X_new.reshape(-1, 3), y[:, ::2, ::2]
    forest = RandomForestClassifier(5, min_samples_leaf=5, random_state=0)
    found, true = forest.fit(X, y.ravel()).predict(X_new), y_new.ravel()
    ious = [
        ((found == k) & (true == k)).sum() / ((found == k) | (true == k)).sum()
        for k in range(5)
    ]
    assert np.mean(ious) < 0.3


# Figures.


def test_the_skeleton_is_a_tree_over_all_joints():
    assert len(FIGURE_JOINTS) == len({*FIGURE_JOINTS}) == 13
    reached = {"head"}
    for _ in FIGURE_SKELETON:
        reached |= {j for edge in FIGURE_SKELETON if reached & {*edge} for j in edge}
    assert reached == {*FIGURE_JOINTS} and len(FIGURE_SKELETON) == 12
    assert len(FIGURE_PAIRS) == 6 and {j for pair in FIGURE_PAIRS for j in pair} == (
        {*FIGURE_JOINTS} - {"head"}
    )
    assert all(a.replace("left", "right") == b for a, b in FIGURE_PAIRS)


CROWD = {"n_people": (2, 3), "occlusion": 0.3, "random_state": 0}


@pytest.fixture(scope="module")
def crowd():
    """Images with two or three figures each, some of them behind blocks, in 3-D."""
    return make_figures(60, three_d=True, **CROWD)


def lengths(keypoints):
    """Of the edges of the skeleton, (people, 12)."""
    start, end = keypoints[:, EDGES[:, 0], :3], keypoints[:, EDGES[:, 1], :3]
    return np.linalg.norm(start - end, axis=-1)


def test_limbs_keep_their_proportions(crowd):
    edges = np.concatenate([lengths(record["keypoints"]) for record in crowd[1]])
    edges = edges[~np.isnan(edges).any(1)]
    shares = edges / edges.sum(1, keepdims=True)
    assert len(edges) > 100 and np.ptp(edges.sum(1)) > 50
    np.testing.assert_allclose(shares, shares[:1].repeat(len(shares), 0), rtol=1e-9)
    of = {edge: share for edge, share in zip(FIGURE_SKELETON, shares[0])}
    for start, end in FIGURE_SKELETON[2:4]:
        right = (start.replace("left", "right"), end.replace("left", "right"))
        assert of[start, end] == pytest.approx(of[right])


def test_depth_is_from_the_hips_and_the_projection_orthographic(crowd):
    images, records = crowd
    flat, flat_records = make_figures(60, **CROWD)
    assert np.array_equal(images, flat)
    hips = [FIGURE_JOINTS.index(f"{side}_hip") for side in ("left", "right")]
    for record, projected in zip(records, flat_records):
        keypoints, shadow = record["keypoints"], projected["keypoints"]
        assert keypoints.shape[1:] == (13, 4) and shadow.shape[1:] == (13, 3)
        assert np.array_equal(keypoints[..., [0, 1, 3]], shadow, equal_nan=True)
        depth = keypoints[:, hips, 2].mean(1)
        np.testing.assert_allclose(depth[~np.isnan(depth)], 0, atol=1e-9)


def test_knees_bend_backwards(crowd):
    places = np.concatenate([record["keypoints"][..., :3] for record in crowd[1]])
    at = dict(zip(FIGURE_JOINTS, places.swapaxes(0, 1)))
    for side in ("left", "right"):
        hip, knee, ankle = (at[f"{side}_{j}"] for j in ("hip", "knee", "ankle"))
        hinge = np.cross(knee - hip, ankle - knee)
        bent = (hinge * (at["left_hip"] - at["right_hip"])).sum(1)
        bent = bent[~np.isnan(bent)]
        assert len(bent) > 100 and (bent >= 0).all()


def test_only_joints_outside_the_image_have_no_place():
    _, records = make_figures(150, random_state=0)
    keypoints = np.concatenate([record["keypoints"] for record in records])
    assert keypoints.dtype == np.float64 and {*keypoints[..., 2].ravel()} == {0, 1}
    lost = np.isnan(keypoints[..., 0])
    assert np.array_equal(lost, np.isnan(keypoints[..., 1]))
    assert 0.005 < lost.mean() < 0.05
    assert np.nanmin(keypoints) >= -0.5 and np.nanmax(keypoints) <= 95.5
    # Nothing is before a lone figure.
    assert np.array_equal(keypoints[..., 2] == 0, lost)


def test_visible_joints_lie_on_their_own_figure():
    """Against distances from the limbs of those who stand before."""
    _, records = make_figures(60, n_people=(2, 3), three_d=True, random_state=1)
    trunk = [FIGURE_JOINTS.index(f"right_{part}") for part in ("shoulder", "hip")]
    drawn = np.array([*EDGES[1:], trunk, [0, 0]])
    covered = clear = 0
    for record in records:
        keypoints = record["keypoints"]
        if np.isnan(keypoints).any():
            continue
        height = lengths(keypoints)[:, 2] / 0.17
        for person, body in enumerate(keypoints):
            nearest = np.full(13, np.inf)
            for other in range(person + 1, len(keypoints)):
                p, q = keypoints[other, drawn, :2].swapaxes(0, 1)
                along = ((body[:, None, :2] - p) * (q - p)).sum(-1)
                along /= np.maximum(((q - p) ** 2).sum(-1), 1e-9)
                on = p + along.clip(0, 1)[..., None] * (q - p)
                away = np.linalg.norm(body[:, None, :2] - on, axis=-1).min(1)
                nearest = np.minimum(nearest, away / height[other])
            hidden, apart = nearest < 0.01, nearest > 0.15
            assert not body[hidden, 3].any() and body[apart, 3].all()
            covered, clear = covered + hidden.sum(), clear + apart.sum()
    assert covered > 10 and clear > 500


def test_blocks_hide_a_part_of_a_figure():
    images, records = make_figures(60, occlusion=1.0, random_state=0)
    for image, record in zip(images.astype(float), records):
        (keypoints,) = record["keypoints"]
        behind = keypoints[(keypoints[:, 2] == 0) & ~np.isnan(keypoints[:, 0])]
        assert 1 <= len(behind) <= 8
        plain = [
            image[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2].std((0, 1)).max()
            for x, y in np.rint(behind[:, :2]).astype(int)
        ]
        assert min(plain) < 13  # nothing but noise of 6 levels


def test_the_left_is_lighter():
    images, records = make_figures(60, random_state=0)
    lighter = []
    for image, record in zip(images.astype(float), records):
        (keypoints,) = record["keypoints"]
        for part in ("elbow", "knee"):
            pair = keypoints[
                [FIGURE_JOINTS.index(f"{s}_{part}") for s in ("left", "right")]
            ]
            if (pair[:, 2] == 1).all():
                x, y = np.rint(pair[:, :2]).astype(int).T
                left, right = image[y, x].mean(1)
                lighter.append(left > right)
    assert len(lighter) > 90 and np.mean(lighter) > 0.95


def test_images_without_people():
    _, records = make_figures(2, n_people=(0, 0), random_state=0)
    assert records[0]["keypoints"].shape == (0, 13, 3)
    _, records = make_figures(30, n_people=(0, 2), random_state=0)
    assert {len(record["keypoints"]) for record in records} == {0, 1, 2}


# Digits.


def test_boxes_are_tight_around_the_ink():
    for seed in range(3):
        images, targets = make_cluttered_digits(
            40, n_digits=(1, 1), clutter=0, random_state=seed
        )
        for image, target in zip(images.astype(float), targets):
            row, column = np.nonzero(image > np.median(image) + 20)
            box = [column.min(), row.min(), column.max() + 1, row.max() + 1]
            assert target["boxes"].tolist() == [box]
            assert 14 <= np.ptp(target["boxes"].reshape(2, 2), axis=0).max() <= 32


def test_labels_are_those_of_the_digits():
    X, y = load_digits(return_X_y=True)
    neighbours = KNeighborsClassifier(3).fit(X, y)
    images, targets = make_cluttered_digits(
        80, n_digits=(1, 2), max_overlap=0.0, clutter=0, random_state=0
    )
    crops, labels = [], []
    for image, target in zip(images.astype(float), targets):
        assert target["labels"].dtype == np.int64
        for (left, top, right, bottom), label in zip(
            target["boxes"].astype(int), target["labels"]
        ):
            crop = image[top:bottom, left:right] - np.median(image)
            side = max(crop.shape)
            around = np.zeros((side, side))
            start = (side - crop.shape[1]) // 2
            around[: crop.shape[0], start : start + crop.shape[1]] = crop
            at = np.linspace(0, side - 1, 8).round().astype(int)
            crops.append(around[np.ix_(at, at)].ravel() * 16 / crop.max())
            labels.append(label)
    assert neighbours.score(crops, labels) > 0.85


@pytest.mark.parametrize("most", [0.0, 0.3])
def test_boxes_overlap_no_more_than_they_may(most):
    _, targets = make_cluttered_digits(
        60, n_digits=(5, 6), max_overlap=most, random_state=0
    )
    largest = 0
    for boxes in (target["boxes"] for target in targets):
        shared = np.minimum(boxes[:, None, 2:], boxes[:, 2:])
        shared = (shared - np.maximum(boxes[:, None, :2], boxes[:, :2])).clip(0)
        shared, areas = shared.prod(-1), (boxes[:, 2:] - boxes[:, :2]).prod(1)
        iou = shared / (areas[:, None] + areas - shared)
        largest = max(largest, iou[~np.eye(len(boxes), dtype=bool)].max())
    assert largest <= most and (most == 0 or largest > 0.15)


def test_images_without_digits_and_with_clutter():
    squares = np.zeros((2, 10, 10))
    squares[0, 2:8, 2:8], squares[1, 1:9, 4:6] = 200, 100
    given = squares, np.array(["square", "bar"])
    _, targets = make_cluttered_digits(20, digits=given, clutter=0, random_state=0)
    for each in targets:
        sides = each["boxes"][:, 2:] - each["boxes"][:, :2]
        square = sides[:, 0] == sides[:, 1]
        np.testing.assert_array_equal(each["labels"] == "square", square)
    with pytest.raises(ValueError, match=r"as many labels, \(n,\), got shapes"):
        make_cluttered_digits(2, digits=(squares, [1]))
    with pytest.raises(ValueError, match="the picture 1 of digits has no ink"):
        make_cluttered_digits(2, digits=(squares * [[[1]], [[0]]], [1, 2]))
    _, targets = make_cluttered_digits(30, n_digits=(0, 2), random_state=0)
    counts = [len(target["boxes"]) for target in targets]
    assert {*counts} == {0, 1, 2}
    empty = targets[counts.index(0)]
    assert empty["boxes"].shape == (0, 4) and empty["labels"].shape == (0,)
    inked = [
        make_cluttered_digits(20, n_digits=(0, 0), clutter=n, random_state=0)[0]
        for n in (0, 8)
    ]
    bright = [np.mean(images > np.median(images) + 60) for images in inked]
    assert bright[0] == 0 and 0 < bright[1] < 8 * 25 / 96**2


# -- annotations in files

SHAPES = [(12, 20), (16, 10), (9, 9)]
TRUE = [
    {"boxes": [[0, 0, 8, 6], [4, 2, 20, 12]], "labels": ["cat", "dog"]},
    {"boxes": [[1, 3, 10, 16]], "labels": ["dog"]},
    {"boxes": [], "labels": []},
]


def written(folder, shapes=SHAPES, colors=(3, 3, 1)):
    """Images a.png, b.png, ... without loss."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = []
    for name, shape, n in zip("abc", shapes, colors):
        random = np.random.default_rng(ord(name))
        array = random.integers(0, 255, (*shape, n), dtype=np.uint8)
        Image.fromarray(array if n > 1 else array[..., 0]).save(folder / f"{name}.png")
        arrays.append(np.broadcast_to(array, (*shape, 3)))
    return arrays


def coco(folder, **changes):
    file = {
        "images": [
            {"id": 10 + i, "file_name": f"{name}.png"} for i, name in enumerate("abc")
        ],
        "categories": [{"id": 3, "name": "dog"}, {"id": 7, "name": "cat"}],
        "annotations": [
            {
                "image_id": 10 + i,
                "category_id": 3 if label == "dog" else 7,
                "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]],
            }
            for i, own in enumerate(TRUE)
            for box, label in zip(own["boxes"], own["labels"])
        ],
    }
    crowd = {"image_id": 12, "category_id": 3, "bbox": [0, 0, 9, 9], "iscrowd": 1}
    file["annotations"].insert(1, crowd)
    path = folder / "boxes.json"
    path.write_text(json.dumps(file | changes))
    return path


def voc(folder, first_pixel=1, box=None):
    (folder / "Annotations").mkdir(parents=True)
    for name, own in zip("abc", TRUE):
        items = ""
        for (x, top, right, bottom), label in zip(own["boxes"], own["labels"]):
            sides = np.array([x, top, right - 1, bottom - 1]) + first_pixel
            sides = sides if box is None else box
            ends = "".join(
                f"<{side}>{end}</{side}>"
                for side, end in zip(("xmin", "ymin", "xmax", "ymax"), sides)
            )
            hard = int(label == "cat")
            items += (
                f"<object><name>{label}</name><difficult>{hard}</difficult>"
                f"<bndbox>{ends}</bndbox></object>"
            )
        text = f"<annotation><filename>{name}.png</filename>{items}</annotation>"
        (folder / "Annotations" / f"{name}.xml").write_text(text)
    return folder


def yolo(folder, line=None):
    (folder / "labels").mkdir(parents=True)
    for name, (height, width), own in zip("ab", SHAPES, TRUE):  # c has no file
        lines = []
        for (x, top, right, bottom), label in zip(own["boxes"], own["labels"]):
            middle = (x + right) / 2 / width, (top + bottom) / 2 / height
            size = (right - x) / width, (bottom - top) / height
            numbers = " ".join(map(repr, [*middle, *size]))
            lines.append(f"{['cat', 'dog'].index(label)} {numbers}")
        text = "\n".join(lines if line is None else [*lines, line])
        (folder / "labels" / f"{name}.txt").write_text(text + "\n")
    return folder


def same_as_true(records):
    for own, true in zip(records, TRUE, strict=True):
        boxes = np.array(true["boxes"], float).reshape(-1, 4)
        np.testing.assert_allclose(own["boxes"], boxes, atol=1e-9)
        assert own["boxes"].dtype == np.float64 and own["boxes"].shape == boxes.shape
        assert own["labels"].tolist() == true["labels"]
        assert own["labels"].dtype.kind == "U"


def test_files_of_coco_give_back_what_was_written(tmp_path):
    arrays = written(tmp_path / "images")
    X, y = read_coco(coco(tmp_path), tmp_path / "images")
    same_as_true(y)
    for image, array in zip(X, arrays, strict=True):
        np.testing.assert_array_equal(image, array)  # the grey one in colour as others
    paths, y = read_coco(coco(tmp_path), tmp_path / "images", load_images=False)
    assert paths == [tmp_path / "images" / f"{name}.png" for name in "abc"]
    same_as_true(y)
    SSDDetector(max_epochs=1, width=2, depth=0).fit(X, y)


@pytest.mark.parametrize("first_pixel", [1, 0])
def test_files_of_voc_give_back_what_was_written(tmp_path, first_pixel):
    arrays = written(tmp_path / "JPEGImages", colors=(1, 1, 1))
    X, y = read_voc(voc(tmp_path, first_pixel), first_pixel=first_pixel)
    same_as_true(y)
    for image, array in zip(X, arrays, strict=True):
        np.testing.assert_array_equal(image, array[..., 0])  # all of them are grey
    _, y = read_voc(tmp_path, first_pixel=first_pixel, difficult=False)
    assert [own["labels"].tolist() for own in y] == [["dog"], ["dog"], []]
    for file in tmp_path.rglob("b.*"):
        file.rename(file.with_stem("renamed"))
    paths, _ = read_voc(tmp_path, load_images=False)
    assert [path.name for path in paths] == ["a.png", "c.png", "renamed.png"]
    with pytest.raises(ValueError, match="first_pixel is 0 or 1"):
        read_voc(tmp_path, first_pixel=2)


def test_files_of_yolo_give_back_what_was_written(tmp_path):
    arrays = written(tmp_path / "images")
    yolo(tmp_path)
    X, y = read_yolo(tmp_path, ["cat", "dog"])
    same_as_true(y)
    for image, array in zip(X, arrays, strict=True):
        np.testing.assert_array_equal(image, array)
    numbers = read_yolo(tmp_path)[1]
    assert [own["labels"].tolist() for own in numbers] == [[0, 1], [1], []]
    assert numbers[2]["labels"].dtype.kind == "i"
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    same_as_true(read_yolo(tmp_path, load_images=False)[1])
    # Both kinds of files in one folder.
    for file in (tmp_path / "labels").iterdir():
        file.rename(tmp_path / "images" / file.name)
    same_as_true(read_yolo(tmp_path / "images", tmp_path / "classes.txt")[1])


READ = {
    write_coco: lambda path: read_coco(path / "annotations.json", path / "images"),
    write_voc: read_voc,
    write_yolo: read_yolo,
}


@pytest.mark.parametrize("write", READ, ids=lambda write: write.__name__)
def test_what_is_written_is_read_again(tmp_path, write):
    random = np.random.default_rng(0)
    X = [random.integers(0, 256, (*shape, 3), dtype="uint8") for shape in SHAPES]
    boxes = [[1.25, 2.0, 7.75, 6.0], [0.0, 0.0, *SHAPES[0][::-1]]]
    y = [{"boxes": boxes, "labels": ["ä & <b>", "dog"], "scores": [0.9, 0.8]}]
    y += [{"boxes": [], "labels": []}, {"boxes": boxes[:1], "labels": ["dog"]}]
    write(tmp_path / "new", X, y)
    again, records = READ[write](tmp_path / "new")
    for image, array in zip(again, X, strict=True):
        np.testing.assert_array_equal(image, array)
    for own, true in zip(records, y, strict=True):
        expected = np.array(true["boxes"], float).reshape(-1, 4)
        np.testing.assert_allclose(own["boxes"], expected, atol=1e-9)
        assert own["labels"].tolist() == true["labels"]
    with pytest.raises(FileExistsError, match="is not empty"):
        write(tmp_path / "new", X, y)


def test_what_cannot_be_written_writes_nothing(tmp_path):
    X, y = [np.zeros((9, 9))], [{"boxes": [[0, 0, 5, 5]], "labels": [1]}]
    beyond = [{"boxes": [[0, 0, 5, 50]], "labels": [1]}]
    broken = [{"boxes": [[0, 0, 5, 5]], "labels": ["a\nb"]}]
    for sentence, *given in (
        ("not within X\\[0\\]", X, beyond),
        ("has 1 images and y 2", X, y * 2),
        ("is of one line", X, broken),
        ("floats from 0 to 1", [X[0] + 2], y),
        ("must be an image of shape", [np.zeros((9, 9, 2))], y),
    ):
        with pytest.raises(ValueError, match=sentence) as error:
            write_yolo(tmp_path / "new", *given)
        assert str(error.value).startswith("write_yolo: ")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"annotations": None}, 'boxes.json has no list "annotations"'),
        ({"annotations": [{"bbox": [1, 2, 3]}]}, r"annotations\[0\] of .*boxes.json"),
        ({"categories": []}, r"annotations\[0\] .*category_id that the file has"),
        ({"images": [{"id": 1}]}, "an image without id or file_name"),
    ],
)
def test_a_wrong_file_of_coco_is_named(tmp_path, changes, sentence):
    written(tmp_path)
    with pytest.raises(ValueError, match=sentence) as error:
        read_coco(coco(tmp_path, **changes))
    assert str(error.value).startswith("read_coco: ") and "\n" not in str(error.value)


def test_wrong_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"read_coco: .*none.json is not there"):
        read_coco(tmp_path / "none.json")
    (tmp_path / "none.json").write_text("{")
    with pytest.raises(ValueError, match=r"none.json is no JSON"):
        read_coco(tmp_path / "none.json")
    with pytest.raises(FileNotFoundError, match=r"the image .*a.png is not there"):
        read_coco(coco(tmp_path))
    written(tmp_path)
    (tmp_path / "a.png").write_text("no image")
    with pytest.raises(ValueError, match=r"read_coco: .*a.png is no image"):
        read_coco(coco(tmp_path))
    with pytest.raises(FileNotFoundError, match="has no XML file"):
        read_voc(tmp_path)
    for name, text, sentence in (
        ("x.xml", "<annotation>", "x.xml is no XML"),
        ("x.xml", "<annotation/>", "a <annotation> without <filename>"),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(ValueError, match=sentence):
            read_voc(tmp_path)
    with pytest.raises(ValueError, match=r"a.xml has the box \['a', '1', '2', '3'\]"):
        read_voc(voc(tmp_path / "voc", box=["a", 1, 2, 3]))
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="has no image"):
        read_yolo(tmp_path / "empty")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("0 0.5 0.5 12 20", "shares of the image, from 0 to 1"),
        ("0 0.5 0.5 0.1", "the number of a class and four shares"),
        ("cat 0.5 0.5 0.1 0.1", "is 'cat 0.5 0.5 0.1 0.1'"),
        ("2 0.5 0.5 0.1 0.1", "is of class 2, and there are 2 names"),
    ],
)
def test_a_wrong_line_of_yolo_is_named(tmp_path, line, sentence):
    written(tmp_path / "images")
    with pytest.raises(ValueError, match=rf"line 3 of .*a.txt .*{sentence}"):
        read_yolo(yolo(tmp_path, line), ["cat", "dog"])
