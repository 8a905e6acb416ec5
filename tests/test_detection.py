"""Detection: boxes as y, their changes and scores, YOLO's grids and trees."""

import itertools
import math
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torchvision import ops
from torchvision.transforms import v2

import sknets
from sknets import DetectionDisplay, YOLODetector, compare
from sknets._comparison.blobs import BlobForest, otsu
from sknets._inputs import ImageList
from sknets._inputs.layout import Layout
from sknets.datasets import make_cluttered_digits
from sknets.detection import _boxes as boxes_of
from sknets.detection._anchors import anchors_of, shape_iou
from sknets.detection._augment import DetectionAugment
from sknets.detection._boxes import Found
from sknets.detection._canvas import fitted, on_canvas
from sknets.detection._edges import _PLACES, Edges
from sknets.detection._words import WordTree, words_of
from sknets.detection._yolo_nets import misplaced
from sknets.metrics import (
    average_precision_by_class,
    box_iou,
    mean_average_precision,
)

RANDOM = np.random.default_rng(0)


def some_boxes(n, side=60, random=RANDOM):
    low = random.uniform(0, side - 20, (n, 2))
    return np.concatenate([low, low + random.uniform(4, 20, (n, 2))], 1)


def sheets(n, size=64, seed=0):
    """A bright sheet or a dim bar, or both, an image."""
    random = np.random.default_rng(seed)
    X = random.integers(0, 40, (n, size, size), dtype=np.uint8)
    y = []
    for i, image in enumerate(X):
        own = []
        for kind in [0, 1] if i % 3 == 2 else [i % 3]:
            width, height = ((20, 16), (28, 8))[kind]
            left = int(random.integers(0, size - width))
            top = int(random.integers(0, size // 2 - height)) + kind * size // 2
            image[top : top + height, left : left + width] = (220, 130)[kind]
            own.append((left, top, left + width, top + height, kind))
        rows = np.array(own, float)
        names = np.array(["sheet", "bar"])[rows[:, 4].astype(int)]
        y.append({"boxes": rows[:, :4], "labels": names})
    return X, y


X, Y = sheets(60)


@pytest.fixture(scope="module")
def fitted_net():
    given = {"width": 8, "depth": 0, "random_state": 0}
    net = YOLODetector(version=2, max_epochs=12, **given)
    return net.fit(X[:45], Y[:45])


# -- boxes -----------------------------------------------------------------------------


def test_iou_is_that_of_counted_pixels():
    random = np.random.default_rng(1)
    boxes = random.integers(0, 12, (8, 2, 2)) + np.array([[0, 0], [1, 1]])
    boxes = np.sort(boxes, 1).reshape(8, 4)
    boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1)
    masks = np.zeros((8, 16, 16), bool)
    for mask, (left, top, right, bottom) in zip(masks, boxes):
        mask[top:bottom, left:right] = True
    both = (masks[:, None] & masks[None]).sum((2, 3))
    either = (masks[:, None] | masks[None]).sum((2, 3))
    np.testing.assert_allclose(box_iou(boxes, boxes), both / either)
    tensor = torch.tensor(boxes, dtype=torch.float64)
    one, other = tensor.repeat_interleave(8, 0), tensor.repeat(8, 1)
    iou = boxes_of.paired_iou(one, other).view(8, 8)
    np.testing.assert_allclose(iou, both / either)
    giou = boxes_of.paired_giou(one, other).view(8, 8)
    np.testing.assert_allclose(giou, ops.generalized_box_iou(tensor, tensor))


def test_boxes_are_decoded_as_they_were_encoded():
    boxes, anchors = (torch.tensor(some_boxes(50)) for _ in range(2))
    again = boxes_of.decoded(boxes_of.encoded(boxes, anchors), anchors)
    torch.testing.assert_close(again, boxes)
    torch.testing.assert_close(boxes_of.cornered(boxes_of.centered(boxes)), boxes)


def by_hand(boxes, scores, classes, threshold):
    """The greedy rule, read off the paper."""
    order, kept = sorted(range(len(scores)), key=lambda k: -scores[k]), []
    for k in order:
        rivals = [j for j in kept if classes[j] == classes[k]]
        if all(box_iou(boxes[j], boxes[k])[0, 0] <= threshold for j in rivals):
            kept.append(k)
    return kept


def test_doubles_are_suppressed_as_by_hand():
    for seed in range(5):
        random = np.random.default_rng(seed)
        boxes, scores = some_boxes(40, 30, random), random.random(40)
        classes = random.integers(0, 2, 40)
        given = Found(*map(torch.tensor, (boxes, scores, classes)))
        kept = boxes_of.suppressed(given, "class", 0.4, 0.0, 100)
        expected = by_hand(boxes, scores, classes, 0.4)
        np.testing.assert_array_equal(kept.boxes, boxes[expected])
        np.testing.assert_array_equal(kept.scores, scores[expected])
        few = boxes_of.suppressed(given, "class", 0.4, 0.5, 3)
        assert len(few.scores) == 3 and (few.scores >= 0.5).all()


def test_soft_suppression_lowers_scores():
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 8], [40, 40, 50, 50]])
    found = Found(boxes, torch.tensor([0.9, 0.8, 0.7]), torch.zeros(3).long())
    soft = boxes_of.suppressed(found, "soft", 0.5, 0.01, 10)
    np.testing.assert_allclose(
        soft.scores, [0.9, 0.7, 0.8 * np.exp(-(0.8**2) / 0.5)], rtol=1e-6
    )
    other = Found(boxes, found.scores, torch.tensor([0, 1, 0]))
    assert boxes_of.suppressed(other, "soft", 0.5, 0.01, 10).scores[1] == 0.8


def test_doubles_tell_where_the_best_box_is():
    # Of four boxes of one class two share 0.8 with the best one, one only 0.4.
    boxes = [[0.0, 0, 10, 10], [0, 0, 10, 8], [2, 0, 10, 10], [0, 0, 10, 4]]
    boxes = torch.tensor([*boxes, [1, 1, 10, 10], [30, 30, 30, 30]])
    found = Found(
        boxes,
        torch.tensor([0.9, 0.6, 0.3, 0.8, 0.7, 0.2]),
        torch.tensor([0, 0, 0, 0, 1, 1]),
    )
    kept = boxes_of.suppressed(found, "vote", 0.6, 0.1, 10)
    plain = boxes_of.suppressed(found, "class", 0.6, 0.1, 10)
    assert kept.scores.tolist() == plain.scores.tolist()
    assert kept.classes.tolist() == [0, 0, 1, 1]
    near = np.exp(-(0.2**2) / 0.1)
    total = 0.9 + 0.9 * near
    left, bottom = 0.3 * near * 2 / total, 10 - 0.6 * near * 2 / total
    np.testing.assert_allclose(kept.boxes[0], [left, 0, 10, bottom], rtol=1e-6)
    # Boxes of other classes, and those that share less, stay where they are.
    np.testing.assert_allclose(kept.boxes[1:], plain.boxes[1:], rtol=1e-6)


# -- scores ----------------------------------------------------------------------------


def test_average_precision_is_that_of_pycocotools():
    for seed in range(4):
        random = np.random.default_rng(seed)
        true, found, images, objects, results = [], [], [], [], []
        for i in range(1, 26):
            boxes = some_boxes(random.integers(0, 6), 60, random)
            labels = random.integers(1, 4, len(boxes))
            near = boxes + random.normal(0, 1, boxes.shape)
            near = np.concatenate([near[random.random(len(near)) < 0.9]] * 2)
            near = np.concatenate([near, some_boxes(2, 60, random)])
            names = random.integers(1, 4, len(near))
            n = min(len(labels), len(names))
            names[:n] = np.where(random.random(n) < 0.7, labels[:n], names[:n])
            scores = random.random(len(near))
            true.append({"boxes": boxes, "labels": labels})
            found.append({"boxes": near, "labels": names, "scores": scores})
            images.append({"id": i})

            def row(box, label, i=i):
                sides = [*box[:2], *(box[2:] - box[:2])]
                return {"image_id": i, "category_id": int(label), "bbox": sides}

            for box, label in zip(boxes, labels):
                area = float((box[2:] - box[:2]).prod())
                own = {"id": len(objects) + 1, "iscrowd": 0, "area": area}
                objects.append({**row(box, label), **own})
            for box, label, score in zip(near, names, scores):
                results.append({**row(box, label), "score": float(score)})
        coco = COCO()
        coco.dataset = {"images": images, "annotations": objects}
        coco.dataset["categories"] = [{"id": k} for k in (1, 2, 3)]
        coco.createIndex()
        theirs = COCOeval(coco, coco.loadRes(results), "bbox")
        theirs.params.areaRng, theirs.params.areaRngLbl = [[0, 1e9]], ["all"]
        theirs.params.maxDets = [100]
        theirs.evaluate()
        theirs.accumulate()
        precision = theirs.eval["precision"]
        ours = mean_average_precision(true, found)
        assert 0.1 < ours < 0.9
        assert ours == pytest.approx(precision.mean(), abs=1e-12)
        each = average_precision_by_class(true, found)
        np.testing.assert_allclose(
            np.array([*each.values()]), precision[..., 0, 0].mean(1).T
        )


def test_weights_are_repetitions():
    true = [{"boxes": [[0, 0, 8, 8]], "labels": [1]}, {"boxes": [], "labels": []}]
    wrong = {"boxes": [[0, 0, 8, 8]], "labels": [1], "scores": [0.9]}
    found = [{**wrong, "scores": [0.5]}, wrong]
    assert mean_average_precision(true, found) == pytest.approx(0.5)
    repeated = [true[0]] * 3 + [true[1]], [found[0]] * 3 + [found[1]]
    assert mean_average_precision(
        true, found, sample_weight=[3, 1]
    ) == mean_average_precision(*repeated)
    assert np.isnan(mean_average_precision(true[1:], found[1:]))


# -- anchors ---------------------------------------------------------------------------


def test_anchors_of_a_known_mixture_are_found():
    random = np.random.default_rng(0)
    true = np.array([[8.0, 8], [12, 30], [40, 20], [60, 60]])
    classes = random.choice(4, 600, p=[0.7, 0.2, 0.07, 0.03])
    sizes = true[classes] * random.uniform(0.9, 1.1, (600, 2))
    found = anchors_of(sizes, classes, 4, np.random.RandomState(0))
    np.testing.assert_allclose(found, true, rtol=0.05)
    assert shape_iou(sizes, found).max(1).min() > 0.8
    one = anchors_of(np.full((3, 2), 7.0), np.zeros(3), 2, np.random.RandomState(0))
    np.testing.assert_allclose(one, [[7, 7], [7, 7]])


# -- images and their changes ----------------------------------------------------------


def spots(n=40, size=(48, 64)):
    """Images with a bright box each, whose class is its brightness."""
    random = np.random.default_rng(0)
    images, y = np.full((n, 1, *size), 0.1, np.float32), np.full((n, 2, 5), np.nan)
    y[..., 4] = -1
    for image, own in zip(images, y):
        left, top = random.integers(4, 30, 2)
        image[0, top : top + 10, left : left + 16] = 0.9
        own[0] = left, top, left + 16, top + 10, 1
    return ImageList(torch.tensor(images), Layout(2, 0)), torch.tensor(y)


@pytest.mark.parametrize(
    "kinds",
    [
        ["flip"],
        ["scale"],
        ["shift"],
        ["flip", "scale", "shift"],
        ["mosaic"],
        ["crop"],
        [v2.RandomHorizontalFlip()],
    ],
    ids=lambda kinds: str(kinds[0])[:8],
)
def test_boxes_move_with_their_images(kinds):
    x, y = spots()
    augment = DetectionAugment((48, 64), kinds, np.array([0.1]), np.ones(1), True)
    augment.generator = torch.Generator().manual_seed(0)
    seen = changed = 0
    for _ in range(1 if callable(kinds[0]) or "crop" in kinds else 3):
        images, boxes = augment(x, y)
        assert images.shape == (40, 1, 48, 64)
        for image, rows in zip(images, boxes):
            rows = rows[rows[:, 4] >= 0]
            bright = image[0] > 0.5
            told = torch.zeros_like(bright)
            for left, top, right, bottom in rows[:, :4].round().int().tolist():
                told[top:bottom, left:right] = True
            # A rounded edge a side is not a mistake.
            assert (told & ~bright).sum() <= 8 + 0.25 * told.sum()
            if kinds != ["mosaic"] and len(rows):  # what is hardly seen has no box
                assert (bright & ~told).sum() <= 8 + 0.25 * bright.sum()
            seen += len(rows)
        changed += int((boxes[:, 0, 0] != y[:, 0, 0]).sum())
    assert seen > 25 and changed > 15


def test_images_are_made_to_fit():
    large = [np.zeros((60, 80), np.uint8), np.full((30, 40), 200, np.uint8)]
    x = ImageList([torch.tensor(image) for image in large], Layout(2, None), 255.0)
    smaller, scales = fitted(x, (32, 64))
    assert smaller.sizes == [(32, 43), (30, 40)]
    np.testing.assert_allclose(scales, [32 / 60, 1])
    canvas = on_canvas(smaller, (32, 64), torch.tensor([0.5]))
    assert canvas.shape == (2, 1, 32, 64)
    assert (canvas[1, 0, :30, :40] == 200 / 255).all()
    assert (canvas[1, 0, 30:] == 0.5).all() and (canvas[1, 0, :, 40:] == 0.5).all()


def test_boxes_of_large_images_are_in_their_own_pixels(fitted_net):
    doubled = X[45:48].repeat(2, 1).repeat(2, 2)
    found, of = fitted_net.predict(doubled), fitted_net.predict(X[45:48])
    for one, other in zip(found, of):
        sure, own = one["scores"] > 0.25, other["scores"] > 0.25
        assert sure.sum() == own.sum() > 0
        np.testing.assert_allclose(one["boxes"][sure], 2 * other["boxes"][own], atol=4)


# -- YOLO ------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [1, 2, 3, "9000"])
def test_every_version_learns(version):
    net = YOLODetector(
        version=version,
        width=8,
        depth=0,
        n_units=128,
        dropout=0.1,
        max_epochs=20 if version == 1 else 8,
        lr=0.005,
        random_state=0,
        augment=("flip", "shift"),
    )
    # Dense layers that see all of the image take more images to learn from.
    part = slice(0, 45) if version == 1 else slice(45, None)
    figures = net.fit(X[:45], Y[:45]).evaluate(X[part], Y[part])
    assert figures["ap50"] > (0.3 if version == 1 else 0.8)
    assert figures["ap50"] >= figures["ap75"]
    assert {*figures["by_class"]} == {"sheet", "bar"}
    assert {"train_box", "train_object", "train_class"} <= {*net.net_.history[-1]}


def test_losses_do_not_depend_on_the_order_of_boxes(fitted_net):
    net = fitted_net.net_.module_.eval()
    y = torch.full((2, 4, 5), torch.nan)
    y[..., 4] = -1
    y[0, :3] = torch.tensor(
        [[2.0, 2, 20, 20, 0], [5, 5, 20, 30, 1], [30, 30, 60, 50, 0]]
    )
    images = torch.rand(2, 1, 64, 64)
    one, turned = net.loss(images, y), net.loss(images, y[:, [3, 2, 1, 0]])
    for name, part in one.items():
        torch.testing.assert_close(part, turned[name])
        assert torch.isfinite(part).all() and part.shape == (2,)
    assert one["box"][1] == one["class"][1] == 0 < one["object"][1]


def test_a_perfect_output_has_no_loss():
    """What the network should say of a box is what is read of it again."""
    net = YOLODetector(version=2, width=8, max_epochs=1, random_state=0)
    module = net.fit(X[:8], Y[:8]).net_.module_.eval()
    stride, anchors = module.strides[0], module.anchors[0]
    box = torch.tensor([17.0, 22.0, 41.0, 37.0])
    places = torch.tensor(_PLACES)
    raw = torch.full((1, len(anchors), 8, 8, 1 + 2 + Edges.n), -40.0)
    middle = (box[:2] + box[2:]) / 2 / stride
    column, row = middle.floor().long().tolist()
    for shift in ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)):
        cell = torch.tensor([column + shift[0], row + shift[1]])
        spot = (cell + 0.5) * stride
        # As likely at the places on both sides of an edge as it is near to them.
        away = torch.cat([spot - box[:2], box[2:] - spot]) / anchors.repeat(1, 2)
        after = torch.searchsorted(places, away)
        share = (away - places[after - 1]) / (places[after] - places[after - 1])
        near = F.one_hot(after - 1, len(places)) * (1 - share)[..., None]
        near = near + F.one_hot(after, len(places)) * share[..., None]
        edges = near.clamp(min=1e-12).log().flatten(1)
        told = torch.tensor([12.0, 12, -12]).expand(len(anchors), 3)
        raw[0, :, cell[1], cell[0]] = torch.cat([told, edges], 1)
    y = torch.cat([box, torch.zeros(1)])[None, None]
    losses = module.losses([raw], y)
    for name in ("object", "class"):
        assert float(losses[name]) < 1e-3, name
    # What is left of the places is how uncertain an edge between two of them is.
    raw[..., 3:] *= 1.1
    assert losses["box"] < module.losses([raw], y)["box"]
    raw[..., 3:] /= 1.1
    boxes = module.boxes([raw])[0]
    torch.testing.assert_close(boxes[0, 0, row, column], box, atol=1e-2, rtol=0)


def test_edges_are_where_they_are_on_average():
    edges, n = Edges(), len(_PLACES)
    middles, anchors = torch.tensor([[50.0, 40.0]]), torch.tensor([[16.0, 8.0]])
    raw = torch.full((1, 4, n), -50.0)
    place = _PLACES.index(0.5)
    raw[0, :, place] = raw[0, :, place + 1] = 0  # half of both: 0.5625 of the anchor
    expected = torch.tensor([[50 - 9, 40 - 4.5, 50 + 9, 40 + 4.5]])
    boxes = edges.boxes(raw.flatten(1), middles, anchors)
    torch.testing.assert_close(boxes, expected)
    losses = edges.losses(raw.flatten(1), middles, anchors, expected)
    torch.testing.assert_close(losses, torch.full((1,), math.log(2)))
    # Its minimum is where the true box is, wherever that is.
    raw = torch.zeros(1, 4 * n, requires_grad=True)
    true = torch.tensor([[30.0, 33.0, 61.5, 47.25]])
    optimizer = torch.optim.Adam([raw], 0.5)
    for _ in range(150):
        optimizer.zero_grad()
        edges.losses(raw, middles, anchors, true).sum().backward()
        optimizer.step()
    found = edges.boxes(raw.detach(), middles, anchors)
    torch.testing.assert_close(found, true, atol=0.1, rtol=0)


def test_late_changes_move_whole_pixels():
    """Each pixel of a box comes to where the box does, mirrored or not."""
    image = np.full((32, 40), 40, np.uint8)
    image[9:17, 12:25] = 200
    y = [{"boxes": [[12, 9, 25, 17]], "labels": ["sheet"]}]
    net = YOLODetector(version=2, width=4, max_epochs=1, image_size=64, random_state=0)
    net.fit([image] * 8, y * 8)
    samples = net._read([image] * 8, y * 8, None, reset=False)
    augment = net._augmentation()
    augment.brightens = False
    images, rows = augment.late(samples.x.batch(slice(8)), samples.y.values)
    values = (images * 255).round()
    assert {*values.unique().tolist()} <= {40.0, 200.0, *_near(net.x_mean_[0] * 255)}
    seen = set()
    for each, own in zip(values[:, 0], rows[:, 0, :4]):
        down, right = (each == 200).nonzero().T
        found = [right.min(), down.min(), right.max() + 1, down.max() + 1]
        assert own.tolist() == [float(edge) for edge in found]
        seen.add(tuple(own.tolist()))
    assert len(seen) > 4


def _near(value: float) -> tuple[float, float]:
    return math.floor(value), math.ceil(value)


def test_how_wrong_boxes_are_by_hand():
    true = torch.tensor([[10.0, 10, 20, 30]]).expand(3, -1)
    # Right; one edge off by 2 of 10 pixels; all of it elsewhere, in a hull of 40 x 60.
    boxes = torch.tensor([[10.0, 10, 20, 30], [12, 10, 20, 30], [40, 50, 50, 70]])
    expected = [0, 1 - 160 / 200 + 0.5 * 0.2, 1 + 2000 / 2400 + 0.5 * 4]
    np.testing.assert_allclose(misplaced(boxes, true), expected, rtol=1e-6, atol=1e-6)


def test_losses_of_the_first_version_by_hand():
    net = YOLODetector(version=1, width=8, n_anchors=2, max_epochs=1, random_state=0)
    module = net.fit(X[:8], Y[:8]).net_.module_
    h, w = module.size
    random = torch.Generator().manual_seed(0)
    said = torch.rand(1, h, w, 2, 5, generator=random, dtype=torch.float64)
    classes = torch.rand(1, h, w, 2, generator=random, dtype=torch.float64)
    box = np.array([10.0, 12, 30, 28])
    y = torch.tensor([[[*box, 1]]])
    place, stride = (box[:2] + box[2:]) / 2 / module.stride, module.stride
    column, row = np.floor(place).astype(int)
    own = said[0, row, column].numpy()
    middle = (own[:, :2] + (column, row)) * stride
    size = own[:, 2:4] ** 2 * (64, 64)
    iou = box_iou(np.hstack([middle - size / 2, middle + size / 2]), box[None])[:, 0]
    k = iou.argmax()
    roots = np.sqrt((box[2:] - box[:2]) / 64)
    expected = {
        "box": 5
        * (
            ((own[k, :2] - (place - (column, row))) ** 2).sum()
            + ((own[k, 2:4] - roots) ** 2).sum()
        ),
        "object": 0.5 * (float((said[..., 4] ** 2).sum()) - own[k, 4] ** 2)
        + (own[k, 4] - iou[k]) ** 2,
        "class": ((classes[0, row, column].numpy() - [0, 1]) ** 2).sum(),
    }
    found = module.losses(said, classes, y)
    assert found.keys() == expected.keys()
    for name, part in found.items():
        assert float(part) == pytest.approx(expected[name]), name


# -- the tree of words -----------------------------------------------------------------

TREE = {"animal": {"dog": ["terrier", "poodle"], "cat": {}}, "thing": ["car"]}


def test_a_tree_as_a_dict_or_as_pairs():
    words, parents = words_of(TREE)
    pairs = [("terrier", "dog"), ("poodle", "dog"), ("dog", "animal")]
    pairs += [("cat", "animal"), ("car", "thing")]
    again, same = words_of(pairs)
    assert words == again and parents.tolist() == same.tolist()
    assert words[parents[words.index("poodle")]] == "dog"
    assert parents[words.index("animal")] == parents[words.index("thing")] == -1


@pytest.mark.parametrize(
    ("hierarchy", "sentence"),
    [
        ({"a": {"b": 3}}, r"hierarchy\['b'\] must be a dict"),
        ([("a", "b"), ("b", "a")], "below itself"),
        ([("a", "b"), ("a", "c")], "has 'a' twice"),
        (["ab"], "pairs of a word and its parent"),
    ],
)
def test_trees_that_are_none_are_refused(hierarchy, sentence):
    net = YOLODetector(version="9000", hierarchy=hierarchy)
    with pytest.raises(ValueError, match=f"YOLODetector: .*{sentence}"):
        net.fit(X[:8], Y[:8])
    with pytest.raises(ValueError, match='for version="9000"'):
        YOLODetector(hierarchy=hierarchy).fit(X[:8], Y[:8])


def test_probabilities_multiply_along_a_line():
    words, parents = words_of(TREE)
    tree = WordTree(parents)
    scores = torch.tensor(np.random.default_rng(0).normal(size=(3, len(words))))
    p = tree.probabilities(scores)

    def of(name, row):
        group = [k for k in range(len(words)) if parents[k] == parents[at(name)]]
        own = scores[row, group].softmax(0)[group.index(at(name))]
        above = parents[at(name)]
        return own if above < 0 else own * of(words[above], row)

    def at(name):
        return words.index(name)

    for row, name in itertools.product(range(3), words):
        assert p[row, at(name)] == pytest.approx(float(of(name, row)))
    loss = tree.losses(scores, torch.tensor([at("poodle"), at("dog"), at("thing")]))
    expected = [-p[0, at("poodle")].log(), -p[1, at("dog")].log()]
    expected.append(-p[2, at("thing")].log())
    np.testing.assert_allclose(loss, expected)


def test_labels_are_told_at_any_level():
    words, parents = words_of(TREE)
    scores = torch.full((1, len(words)), -3.0)
    for name in ("animal", "dog"):
        scores[0, words.index(name)] = 3
    scores[0, words.index("terrier")] = -2.8  # hardly likelier than a poodle

    def told(**options):
        found = WordTree(parents, **options)(scores)
        assert (found > 0).sum() == 1
        return words[int(found.argmax())]

    assert told(threshold=0.6) == "dog" and told() == "terrier"
    assert told(level=1) == "animal" and told(level=3) == "terrier"
    assert told(threshold=0.999) == "animal"


def test_images_with_labels_alone_teach_what_things_are():
    """Boxes tell where things are, labels of other images which of two they are."""
    boxes = [{**y, "labels": ["thing"] * len(y["labels"])} for y in Y]
    one = [i for i in range(45) if len(Y[i]["labels"]) == 1]
    mixed = [*boxes[:45], *({"labels": Y[i]["labels"]} for i in one)]
    images = np.concatenate([X[:45], X[one]])
    net = YOLODetector(
        version="9000",
        hierarchy={"thing": ["sheet", "bar"]},
        width=8,
        depth=0,
        max_epochs=10,
        lr=0.005,
        augment=("flip", "shift"),
        random_state=0,
    )
    net.fit(images, mixed)
    assert net.score(X[45:], boxes[45:]) == 0  # told further down
    assert net.set_params(level=2).evaluate(X[45:], Y[45:])["ap50"] > 0.45
    assert net.set_params(level=1).evaluate(X[45:], boxes[45:])["ap50"] > 0.7
    # Where there are labels alone nobody knows what is found rightly.
    assert 0 < net.score(images, mixed) == net.score(X[:45], boxes[:45])


# -- what users do ---------------------------------------------------------------------


def test_predictions_are_records(fitted_net):
    found = fitted_net.predict(X[45:])
    assert found.shape == (15,) and found.dtype == object
    for each in found:
        n = len(each["scores"])
        assert each["boxes"].shape == (n, 4) and each["labels"].shape == (n,)
        assert (np.diff(each["scores"]) <= 0).all()
        assert (each["boxes"] >= 0).all() and (each["boxes"] <= 64).all()
    frame = fitted_net.to_frame(found)
    assert isinstance(frame, pd.DataFrame)
    assert len(frame) == sum(len(each["scores"]) for each in found)
    assert [*frame] == ["image", "label", "score", "left", "top", "right", "bottom"]
    assert len(fitted_net.to_frame(Y)) == sum(len(each["labels"]) for each in Y)


def test_many_large_images_are_made_smaller_a_few_at_a_time(fitted_net, monkeypatch):
    pieces = []

    def counted(x, size):
        pieces.append(len(x))
        return fitted(x, size)

    monkeypatch.setattr(sknets.detection._base, "fitted", counted)
    monkeypatch.setattr(YOLODetector, "_predict_batch_size", 8)
    doubled = np.repeat(np.repeat(X[:20], 2, axis=1), 2, axis=2)
    found = fitted_net.predict(doubled)
    assert pieces == [8, 8, 4]
    few = fitted_net.predict(doubled[16:])
    for one, other in zip(found[16:], few):
        np.testing.assert_allclose(one["boxes"], other["boxes"], rtol=1e-4, atol=1e-3)


def test_few_or_many_boxes(fitted_net):
    net = pickle.loads(pickle.dumps(fitted_net))
    least = net.set_params(score_threshold=0.5).predict(X[45:])
    assert all((each["scores"] >= 0.5).all() for each in least)
    assert max(len(each["scores"]) for each in least) >= 2
    net.set_params(score_threshold=0.0, max_detections=1)
    assert {len(each["scores"]) for each in net.predict(X[45:])} == {1}


def test_boxes_without_an_extent_are_left_out():
    y = [
        {"boxes": [*each["boxes"], [5, 5, 5, 9]], "labels": [*each["labels"], "bar"]}
        for each in Y[:8]
    ]
    net = YOLODetector(width=8, max_epochs=1, random_state=0)
    with pytest.warns(UserWarning, match=r"y\[0\] has the box \[5.0, 5.0.*\(8\)"):
        net.fit(X[:8], y)
    again = YOLODetector(width=8, max_epochs=1, random_state=0).fit(X[:8], Y[:8])
    assert net.loss_curve_ == again.loss_curve_


def test_images_without_objects_are_legal():
    y = [{"boxes": [], "labels": []}] * 20 + Y[20:30]
    net = YOLODetector(width=8, max_epochs=1, random_state=0).fit(X[:30], y)
    assert np.isfinite(net.loss_curve_).all() and net.score(X[:30], y) >= 0
    with pytest.raises(ValueError, match="y has no box to learn from"):
        net.fit(X[:20], y[:20])


def test_validation_goes_on_in_training():
    net = YOLODetector(
        width=8, version=2, max_epochs=2, early_stopping=True, random_state=0
    )
    net.fit(X, Y)
    assert len(net.validation_scores_) == 2 and len(net.validation_loss_curve_) == 2
    assert 0 <= net.validation_scores_[-1] <= 1


@pytest.mark.parametrize(
    ("y", "sentence"),
    [
        ({"labels": [1]}, r'y\[3\] has no "boxes"'),
        ({"boxes": [[1, 1, 5, 5]]}, r'y\[3\] has no "labels"'),
        ({"boxes": [[1, 1, 5]], "labels": [1]}, r"shape \(k, 4\)"),
        ({"boxes": [[1, 1, 5, np.nan]], "labels": [1]}, "finite numbers"),
        ({"boxes": [[1, 1, 5, 5]], "labels": [1, 2]}, "1 boxes and 2 labels"),
        ({"boxes": [[30, 30, 20, 9]], "labels": ["bar"]}, "not a width and a height"),
        ({"boxes": [[1, 1, 70, 5]], "labels": ["bar"]}, "cut it off there"),
        ({"boxes": [[1, 1, 5, 5]], "labels": [["bar"]]}, "numbers or strings"),
        ({"boxes": [[1, 1, 5, 5]], "labels": [np.nan]}, "numbers or strings"),
        ({"boxes": [[1, 1, 5, 5]], "labels": [7]}, "not both, got 7 and"),
        ([[1, 1, 5, 5]], r'y\[3\] has no "boxes"'),
    ],
)
def test_bad_boxes_are_refused(y, sentence):
    net = YOLODetector(max_epochs=1)
    with pytest.raises(ValueError, match=f"YOLODetector: .*{sentence}"):
        net.fit(X[:8], [*Y[:3], y, *Y[4:8]])
    assert not hasattr(net, "net_")


def test_shares_of_images_are_no_boxes():
    shares = [{**own, "boxes": np.asarray(own["boxes"]) / 64} for own in Y[:8]]
    with pytest.raises(ValueError, match=r"y\[0\] has .* multiply it by the width"):
        YOLODetector(max_epochs=1).fit(X[:8], shares)


def test_tables_of_boxes_are_records():
    whole = YOLODetector.to_frame(Y[:8])
    tables = [whole[whole["image"] == i] for i in range(8)]
    nets = [
        YOLODetector(version=2, width=4, max_epochs=1, random_state=0).fit(X[:8], y)
        for y in (tables, Y[:8])
    ]
    assert nets[0].loss_curve_ == nets[1].loss_curve_


def test_bad_parameters_are_refused(fitted_net):
    for params, sentence in (
        ({"augment": "blur"}, "'blur' is not one of 'flip'"),
        ({"image_size": 50}, r"multiples of 32, such as \(64, 64\)"),
        ({"version": 4}, "version must be 1 or 2 or 3 or '9000'"),
        ({"backbone": "resnet"}, "near are"),
        ({"augment": lambda image, target: (image[:, 1:], target)}, "of the shape"),
    ):
        with pytest.raises(ValueError, match=sentence):
            YOLODetector(max_epochs=1, **params).fit(X[:8], Y[:8])
    with pytest.raises(ValueError, match="'lamp', which is not among the classes"):
        fitted_net.score(X[:1], [{"boxes": [[1, 1, 5, 5]], "labels": ["lamp"]}])


def test_a_backbone_of_torchvision():
    net = YOLODetector(backbone="mobilenet_v3_small", max_epochs=1, random_state=0)
    assert np.isfinite(net.fit(X[:8], Y[:8]).loss_curve_).all()
    assert net.predict(X[:2]).shape == (2,)


def test_onnx_finds_what_predict_finds(fitted_net, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    fitted_net.export_onnx(tmp_path / "net.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    images = (X[45:48, None] / 255).astype(np.float32)
    boxes, scores = session.run(None, {"images": images})
    for own, said, found in zip(boxes, scores, fitted_net.predict(X[45:48])):
        box, label = (said >= fitted_net.score_threshold).nonzero()
        given = Found(*map(torch.tensor, (own[box], said[box, label], label)))
        kept = boxes_of.suppressed(given, fitted_net.nms, 0.5, 0.05, 100)
        np.testing.assert_allclose(kept.scores, found["scores"], atol=1e-5)
        np.testing.assert_allclose(kept.boxes.clip(0, 64), found["boxes"], atol=1e-3)
        np.testing.assert_array_equal(
            fitted_net.classes_[kept.classes], found["labels"]
        )


def test_pictures(fitted_net):
    display = DetectionDisplay.from_estimator(fitted_net, X[45:48], Y[45:48])
    found = fitted_net.predict(X[45:48])
    for axes, each, true in zip(display.axes_, found, Y[45:48]):
        sure = int((each["scores"] >= 0.5).sum())
        assert len(axes.patches) == sure + len(true["labels"])
        assert len(axes.texts) == sure
    assert display.axes_[0].get_title(loc="left") == "Dashed: the truth"
    one = fitted_net.plot(X[45])
    assert len(one.axes_) == 1
    with pytest.raises(ValueError, match="X has 2 images, found has 1"):
        DetectionDisplay.from_predictions(X[:2], found[:1])


# -- compare ---------------------------------------------------------------------------


def test_compare_of_boxes():
    images, records = make_cluttered_digits(24, n_digits=(1, 2), random_state=0)
    net = YOLODetector(width=8, max_epochs=1, random_state=0)
    rows = ["DummyDetector", "BlobForest", net]
    found = compare(images, records, models=rows, cv=2, random_state=0, verbose=0)
    assert found.task == "object detection"
    assert found.main_score == "average_precision"
    table = found.table
    assert table["note"].eq("").all() and table["ap50"].between(0, 1).all()
    assert table.loc["BlobForest", "ap50"] > table.loc["DummyDetector", "ap50"]
    assert table.loc["DummyDetector", "family"] == "baseline"
    with pytest.raises(ValueError, match=r'compare: y\[3\] has no "labels"'):
        compare(images, [*records[:3], {"boxes": []}, *records[4:]], verbose=0)


def test_what_stands_out():
    values = np.concatenate([np.full(50, 0.1), np.full(20, 0.8)])
    assert 0.1 < otsu(values) < 0.8
    forest = BlobForest(n_estimators=20, random_state=0).fit(X[:45], Y[:45])
    found = forest.predict(X[45:])
    assert mean_average_precision(Y[45:], found, thresholds=[0.5]) > 0.6
