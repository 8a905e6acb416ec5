"""SSD and the localiser: what is true of them alone."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torchvision.ops import box_iou

from sknets import ObjectLocalizer, SSDDetector
from sknets._trunk import Trunk
from sknets.detection._boxes import decoded, encoded
from sknets.detection._localizer import LocalizationScore
from sknets.detection._localizer_net import LocalizerNet, votes
from sknets.detection._ssd_nets import (
    SSDNet,
    default_boxes,
    default_shapes,
    hardest,
    matched,
    shared,
)

SMALL = {"width": 4, "depth": 0, "random_state": 0}


def sheets(n=12, seed=0, size=(64, 64), classes=("sheet",)):
    """Bright rectangles on noise, one or two an image, and where they are."""
    random = np.random.default_rng(seed)
    X = random.integers(0, 60, (n, *size), dtype=np.uint8)
    y = []
    for i, image in enumerate(X):
        boxes = []
        for left in (2, 34)[: 1 + i % 2]:
            x, top = left + random.integers(0, 6), random.integers(0, 40)
            image[top : top + 20, x : x + 22] = 200
            boxes.append([x, top, x + 22, top + 20])
        y.append({"boxes": boxes, "labels": [classes[i % len(classes)]] * len(boxes)})
    return X, y


def with_tall_ones(y):
    """The same and a large object in each image, so that there are several maps."""
    return [
        {
            "boxes": [[0, 0, 60, 60], *own["boxes"]],
            "labels": ["tall", *own["labels"]],
        }
        for own in y
    ]


def boxes_at_random(n, seed=0, side=96):
    random = torch.Generator().manual_seed(seed)
    low = torch.rand(n, 2, generator=random) * side * 0.7
    size = 4 + torch.rand(n, 2, generator=random) * side * 0.3
    return torch.cat([low, low + size], 1)


def rows_of(boxes, labels, most=None):
    """One image's rows of y."""
    y = torch.full((1, most or len(boxes), 5), torch.nan)
    y[..., 4] = -1
    y[0, : len(boxes), :4] = torch.as_tensor(boxes, dtype=torch.float32)
    y[0, : len(boxes), 4] = torch.as_tensor(labels, dtype=torch.float32)
    return y


def test_default_boxes_are_those_of_the_paper():
    # SSD300's first map (conv4_3): scale 0.1, the next 0.2; ratios 1, 2 and 1/2.
    shapes = default_shapes(np.array([30.0, 60.0, 111.0]), (1, 2))
    r = np.sqrt(2)
    np.testing.assert_allclose(
        shapes[0], [[30, 30], [30 * r, 30 / r], [30 / r, 30 * r], [np.sqrt(1800)] * 2]
    )
    assert shapes.shape == (2, 4, 2) and shapes[1, 3, 0] == pytest.approx(81.6, abs=0.1)
    boxes = default_boxes((16, 24), (8, 16), shapes[:, :1])
    middles = (
        boxes[:, :2] + boxes[:, 2:]
    ) / 2  # x before y, rows of the map one by one
    assert middles.tolist() == [
        *([4, 4], [12, 4], [20, 4], [4, 12], [12, 12], [20, 12]),
        # Of the 1 x 2 cells of stride 16 each is half of the 24 columns.
        *([6, 8], [18, 8]),
    ]
    assert (boxes[:, 2:] - boxes[:, :2])[[0, 6]].tolist() == [[30, 30], [60, 60]]


def test_scales_are_equal_steps_on_all_maps_or_what_fit_has_seen():
    X, y = sheets()
    paper = SSDDetector(scales=(0.2, 0.9), max_epochs=1, **SMALL).fit(X, y)
    assert paper.strides_ == (8, 16, 32, 64)
    np.testing.assert_allclose(
        paper.scales_ / 64, [0.2, 0.2 + 0.7 / 3, 0.2 + 1.4 / 3, 0.9, 0.9 + 0.7 / 3]
    )
    seen = SSDDetector(max_epochs=1, **SMALL).fit(X, y)
    side = np.sqrt(20 * 22)  # all are alike: from that to half as large again
    assert seen.strides_ == (8,)
    np.testing.assert_allclose(seen.scales_, [side, 1.5 * side], rtol=1e-6)
    seen = SSDDetector(max_epochs=1, **SMALL).fit(X, with_tall_ones(y))
    assert seen.strides_ == (8, 16)
    np.testing.assert_allclose(seen.scales_, [side, 60, 60 * 60 / side], rtol=1e-6)
    quarter = [image[::4, ::4] for image in X]
    small = [{**own, "boxes": np.divide(own["boxes"], 4)} for own in y]
    seen = SSDDetector(max_epochs=1, image_size=32, **SMALL).fit(quarter, small)
    assert seen.strides_[0] == 4 and seen.scales_[0] == pytest.approx(side / 4)


def test_offsets_are_undone():
    boxes, anchors = boxes_at_random(50), boxes_at_random(50, 1)
    torch.testing.assert_close(decoded(encoded(boxes, anchors), anchors), boxes)
    same = encoded(boxes, boxes)
    torch.testing.assert_close(same, torch.zeros_like(same), atol=1e-6, rtol=0)
    # A box moved by half its width, and e times as high, by hand.
    found = encoded(
        torch.tensor([[5.0, 0, 15, 10 * np.e]]), torch.tensor([[0.0, 0, 10, 10]])
    )
    assert found[0].tolist() == pytest.approx([0.5, (5 * np.e - 5) / 10, 0, 1])


def test_shared_is_torchvisions_iou():
    boxes, others = boxes_at_random(30), boxes_at_random(40, 1)
    torch.testing.assert_close(shared(boxes, others), box_iou(boxes, others))


def test_matching_by_hand():
    defaults = torch.tensor(
        [
            [0.0, 0, 10, 10],  # the first object itself
            [0.0, 0, 10, 12],  # shares 10/12 with it
            [5.0, 0, 15, 10],  # shares a third: background
            [50.0, 50, 60, 60],  # shares little with the second, but no other more
            [80.0, 80, 90, 90],  # nothing
        ]
    )
    first, second = [0.0, 0, 10, 10], [55.0, 50, 75, 70]
    own = matched(torch.tensor([first, second]), [2], defaults)
    assert own.tolist() == [[0, 0, -1, 1, -1]]
    # The second image has none, the third only the second object.
    own = matched(torch.tensor([first, second]), [1, 0, 1], defaults)
    assert own.tolist() == [[0, 0, -1, -1, -1], [-1] * 5, [-1, -1, -1, 1, -1]]
    # What is the best of two objects learns that with which it shares more ...
    near = torch.tensor([[52.0, 50, 72, 70], second])
    assert matched(near, [2], defaults).tolist() == [[-1, -1, -1, 0, -1]]
    # ... also where it shares more than half with the other one.
    both = torch.tensor([[0.0, 0, 9, 10], [0.0, 0, 4, 10]])
    assert matched(both, [2], defaults[:1]).tolist() == [[0]]


def test_each_object_has_a_box_and_each_box_the_object_it_shares_most_with():
    true, defaults = (
        boxes_at_random(12),
        default_boxes(
            (96, 96),
            (8, 16, 32),
            default_shapes(np.array([12.0, 20, 30, 45]), (1, 2, 3)),
        ),
    )
    own = matched(true, [5, 7], defaults)
    iou = box_iou(true, defaults)
    for i, part in enumerate((range(5), range(5, 12))):
        best = {
            int(iou[k].argmax()): k for k in sorted(part, key=lambda k: iou[k].max())
        }
        for d in range(len(defaults)):
            k = max(part, key=lambda k: float(iou[k, d]))
            expected = best.get(d, k if iou[k, d] > 0.5 else -1)
            assert own[i, d] == expected
        assert len(best) == len(part)  # none of them wants that of another


def test_the_hardest_are_those_of_a_sort():
    losses = torch.rand(4, 40, generator=torch.Generator().manual_seed(0))
    losses[3] = 0.5  # whichever is taken of equal ones
    number = torch.tensor([0, 2, 20, 5])
    found = hardest(losses, number)
    for own, n, total in zip(losses, [3, 6, 40, 15], found):
        assert total == pytest.approx(sum(sorted(own.tolist())[::-1][:n]), rel=1e-5)


@pytest.fixture(scope="module")
def net():
    trunk = Trunk(1, 4, 0, (8, 16))
    shapes = default_shapes(np.array([12.0, 24, 48]), (1, 2))
    parts = trunk, torch.nn.Identity(), (64, 48), np.zeros(1)
    return SSDNet(parts, (8, 16, 32, 64), np.concatenate([shapes, 2 * shapes]), 3)


def random_outputs(net, n_images, seed=0):
    random = torch.Generator().manual_seed(seed)
    n = len(net.defaults)
    return (
        torch.randn(n_images, n, 4, generator=random),
        torch.randn(n_images, n, 4, generator=random),
    )


def test_losses_are_the_papers(net):
    true, labels = [[4.0, 4, 18, 16], [20.0, 30, 44, 52]], [2, 0]
    offsets, classes = random_outputs(net, 1)
    found = net.losses(offsets, classes, rows_of(true, labels, most=5))
    own = matched(torch.tensor(true), [2], net.defaults)[0].tolist()
    number = sum(k >= 0 for k in own)
    assert number >= 2
    log_p = classes[0].log_softmax(-1)
    box, positive, negative = 0.0, 0.0, []
    for d, k in enumerate(own):
        if k < 0:
            negative.append(-log_p[d, 0])
            continue
        positive -= log_p[d, 1 + labels[k]]
        cx, cy, w, h = torchvision_centres(net.defaults[d])
        tx, ty, tw, th = torchvision_centres(torch.tensor(true[k]))
        wish = [(tx - cx) / w / 0.1, (ty - cy) / h / 0.1]
        wish += [np.log(tw / w) / 0.2, np.log(th / h) / 0.2]
        for said, wanted in zip(offsets[0, d].tolist(), wish):
            far = abs(said - wanted)
            box += far**2 / 2 if far < 1 else far - 0.5
    mined = sum(sorted(negative)[::-1][: 3 * number])
    assert float(found["box"]) == pytest.approx(box / number, rel=1e-4)
    assert float(found["class"]) == pytest.approx(
        float(positive + mined) / number, rel=1e-4
    )


def torchvision_centres(box):
    left, top, right, bottom = (float(side) for side in box)
    return (left + right) / 2, (top + bottom) / 2, right - left, bottom - top


def test_losses_are_each_images_own_whatever_the_order_of_boxes(net):
    true = boxes_at_random(5, side=45)
    outputs = random_outputs(net, 3)
    y = torch.cat(
        [
            rows_of(true[:3], [0, 1, 2], 4),
            rows_of(true[:0], [], 4),
            rows_of(true[3:], [1, 1], 4),
        ]
    )
    whole = net.losses(*outputs, y)
    assert {name: loss.shape for name, loss in whole.items()} == {
        "box": (3,),
        "class": (3,),
    }
    for name, loss in net.losses(*outputs, y[:, [3, 2, 0, 1]]).items():
        torch.testing.assert_close(loss, whole[name])
    for i in range(3):
        own = [each[i : i + 1] for each in outputs]
        for name, loss in net.losses(*own, y[i : i + 1]).items():
            torch.testing.assert_close(loss, whole[name][i : i + 1])
    # Without objects: nothing to fit a box to, and three boxes learn the background.
    hard = F.cross_entropy(
        outputs[1][1],
        torch.zeros(len(net.defaults), dtype=torch.long),
        reduction="none",
    )
    assert whole["box"][1] == 0
    torch.testing.assert_close(whole["class"][1], hard.sort().values[-3:].sum())


def test_what_it_finds_are_decoded_default_boxes(net):
    images = torch.rand(2, 1, 64, 48, generator=torch.Generator().manual_seed(0))
    net.eval()
    with torch.inference_mode():
        offsets, classes = net.outputs(images)
        boxes, sure, p = net.every(images)
    # Maps of 8 x 6, 4 x 3, 2 x 2 and 1 x 1 cells, four boxes each.
    assert offsets.shape == (2, 4 * (48 + 12 + 4 + 1), 4)
    scaled = encoded(boxes, net.defaults) / torch.tensor([0.1, 0.1, 0.2, 0.2])
    torch.testing.assert_close(scaled, offsets, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(p.sum(-1) + classes.softmax(-1)[..., 0], sure)


def test_it_learns_also_from_images_without_objects():
    X, y = sheets(24, classes=("sheet", "page"))
    blank = np.random.default_rng(5).integers(0, 60, (4, 64, 64), dtype=np.uint8)
    X = np.concatenate([X, blank])
    y = y + [{"boxes": [], "labels": []}] * 4
    net = SSDDetector(
        max_epochs=25, batch_size=4, augment=None, width=8, random_state=0
    )
    net.fit(X, y)
    assert net.evaluate(X, y)["ap50"] > 0.9
    found = net.predict(blank)
    assert all((each["scores"] < 0.5).all() for each in found)
    assert {"train_box", "train_class"} <= set(net.net_.history[-1])


def test_onnx_says_what_the_network_says(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    X, y = sheets(4)
    net = SSDDetector(max_epochs=1, **SMALL).fit(X, with_tall_ones(y))
    net.export_onnx(tmp_path / "net.onnx")
    images = (X[:3, None] / 255).astype(np.float32)
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    boxes, scores = session.run(None, {"images": images})
    module = net.net_.module_.eval()
    with torch.inference_mode():
        expected, _, p = module.every(module.prepare(torch.from_numpy(images)))
    np.testing.assert_allclose(boxes, expected, atol=1e-3)
    np.testing.assert_allclose(scores, p, atol=1e-5)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"scales": (0.9, 0.2)}, "a smaller share of the canvas and a larger one"),
        ({"scales": (0.1, 0.2, 0.3)}, "a smaller share of the canvas and a larger one"),
        ({"scales": (0.0, 0.5)}, "scales"),
        ({"aspect_ratios": (1, -2)}, "aspect_ratios"),
    ],
)
def test_wrong_parameters_are_refused(wrong, sentence):
    with pytest.raises(ValueError, match=sentence) as error:
        SSDDetector(**wrong).fit(*sheets(4))
    assert str(error.value).startswith(f"SSDDetector({next(iter(wrong))}=")


# -- the localiser


def one_each(n=24, seed=0):
    """Images with one sheet, and its box."""
    X, y = sheets(2 * n, seed)
    return X[::2], np.concatenate([own["boxes"] for own in y[::2]]).astype(float)


def test_votes_by_hand():
    raw = torch.zeros(1, 6, 2, 3)  # two rows of three cells of 8 pixels
    raw[0, 0, 1, 2] = 100  # the last one has all the say
    raw[0, 1:5, 1, 2] = torch.tensor([0.5, -0.25, 0, np.log(2)])
    raw[0, 5, 1, 2] = 3
    box, scores = votes(raw, 8, 10.0)
    # Its middle is at (20, 12), the box's half of a size to the right, a quarter up.
    assert box[0].tolist() == pytest.approx([25 - 5, 9.5 - 10, 25 + 5, 9.5 + 10])
    assert scores.tolist() == [[3.0]]
    raw[0, 0] = 0  # all say as much, and but for that one, the same about themselves
    box, scores = votes(raw, 8, 10.0)
    assert (box[0, 0] + box[0, 2]) / 2 == pytest.approx(12 + 5 / 6, rel=1e-5)
    assert scores.tolist() == [[0.5]]


def test_losses_of_an_image_are_0_once_its_object_is_out_of_sight():
    trunk = Trunk(1, 4, 0, (8, 16))
    parts = trunk, torch.nn.Identity(), (32, 32), np.zeros(1)
    net = LocalizerNet(parts, (8, 16), 10.0, 2)
    box = torch.tensor([[2.0, 4, 12, 24]]).repeat(3, 1)
    y = torch.cat(
        [rows_of(box[:1], [1]), rows_of(box[:0], [], 1), rows_of(box[:1], [0])]
    )
    said = box.clone()
    said[2, 0] -= 5  # of a width of 10: it shares 2/3, which is all that both are
    said.requires_grad_()
    scores = torch.tensor([[0.0, 0.0], [3.0, 1.0], [2.0, 0.0]])
    found = net.losses(said, scores, y)
    far = 0.5**2 / 2
    assert found["box"].tolist() == pytest.approx([0, 0, 1 / 3 + far])
    assert found["class"].tolist() == pytest.approx(
        [np.log(2), 0, np.log(1 + np.exp(-2))]
    )
    found["box"].sum().backward()
    assert said.grad.isfinite().all() and (said.grad[1] == 0).all()


@pytest.fixture(scope="module")
def localizer():
    options = {"augment": ("shift",), "width": 8, "depth": 0, "random_state": 0}
    return ObjectLocalizer(max_epochs=30, batch_size=4, **options).fit(*one_each())


def test_it_learns_boxes_alone_from_an_array(localizer):
    X, y = one_each(8, seed=1)
    found = localizer.predict(X)
    assert found.shape == (8, 4) and found.dtype == np.float64
    iou = box_iou(torch.tensor(found), torch.tensor(y)).diag().numpy()
    figures = localizer.evaluate(X, y)
    assert figures["mean_iou"] == pytest.approx(iou.mean()) and iou.mean() > 0.8
    assert figures["accuracy"] == 1
    assert figures["localized"] == (iou >= 0.5).mean()
    weight = np.arange(8.0)
    assert localizer.score(X, y, weight) == pytest.approx(iou @ weight / weight.sum())
    ax = localizer.plot(X[0]).axes_[0]
    assert len(ax.patches) == 1


def test_a_wrong_label_counts_as_nothing():
    X, y = one_each(8)
    records = [{"boxes": [box], "labels": [i % 2]} for i, box in enumerate(y)]
    options = {"width": 4, "depth": 0, "random_state": 0}
    net = ObjectLocalizer(max_epochs=1, **options).fit(X, records)
    found = net.predict(X)
    unsure = {**found[0], "scores": [0.3]}
    assert len(net.plot(X[0], unsure).axes_[0].patches) == 1  # it is the only one
    assert found[0]["boxes"].shape == (1, 4) and 0.5 <= found[0]["scores"][0] <= 1
    labels = np.array([own["labels"][0] for own in found])
    boxes = np.concatenate([own["boxes"] for own in found])
    iou = box_iou(torch.tensor(boxes), torch.tensor(y)).diag().numpy()
    right = labels == np.arange(8) % 2
    assert net.score(X, records) == pytest.approx((iou * right).mean())
    assert net.evaluate(X, records)["accuracy"] == right.mean()
    # The same in batches, as validation has it.
    score, weight = LocalizationScore(), torch.arange(8.0)
    for rows in (slice(0, 3), slice(3, 8)):
        output = torch.zeros(8, 6)
        output[:, :4] = torch.tensor(boxes)
        output[range(8), 4 + labels] = 1
        target = torch.tensor(np.column_stack([y, np.arange(8) % 2]))[:, None]
        score.update(output[rows], target[rows], weight[rows])
    assert score.compute() == pytest.approx(net.score(X, records, weight.numpy()), 1e-5)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ([{"boxes": [], "labels": []}], r"y\[0\] has 0 boxes, and exactly one"),
        (
            [{"boxes": [[0, 0, 9, 9]] * 2, "labels": ["a"] * 2}],
            r"y\[0\] has 2 boxes.* SSDDetector and YOLODetector",
        ),
        ([[0.0, 0, 9]], r'"boxes" of y\[0\]'),
        ([[9.0, 0, 0, 9]], "the right further than the left"),
        ([[0.0, 0, 99, 9]], "not within X"),
        ([[0.0, 0, 9, np.nan]], "finite"),
        (None, "y"),
    ],
)
def test_other_than_one_box_is_refused(wrong, sentence):
    X, y = one_each(4)
    others = [{"boxes": [box], "labels": ["a"]} for box in y]
    listed = isinstance(wrong, list) and isinstance(wrong[0], dict)
    given = None if wrong is None else [*wrong, *(others if listed else list(y))[1:]]
    net = ObjectLocalizer(max_epochs=1)
    with pytest.raises(ValueError, match=sentence) as error:
        net.fit(X, given)
    assert str(error.value).startswith("ObjectLocalizer")


def test_an_absent_image_may_have_any_number(localizer):
    X, y = one_each(4)
    records = [{"boxes": [box], "labels": ["a"]} for box in y]
    more = [*records[:3], {"boxes": [], "labels": []}]
    options = {"width": 4, "depth": 0, "random_state": 0, "max_epochs": 1}
    net = ObjectLocalizer(**options).fit(X, more, sample_weight=[1, 1, 1, 0])
    assert np.isfinite(net.loss_curve_).all()
    with pytest.raises(ValueError, match="y is a list of records, and that of fit"):
        localizer.score(X, records)


def test_it_takes_no_augmentation_that_makes_several_objects():
    with pytest.raises(ValueError, match="'mosaic' is not one of"):
        ObjectLocalizer(augment="mosaic").fit(*one_each(4))
