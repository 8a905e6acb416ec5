"""A class for each pixel: made scenes, membranes, a loop by hand, a very large image.

Made scenes (`sknets.datasets.make_scenes`): 200 to learn from, 100 new ones, default
parameters; U-Net beside fully convolutional networks whose finest scores have a stride
of 8, 16 and 32, and a random forest on 25 figures of each channel around a pixel.
Membranes of electron microscopy (--data DIR or SKNETS_DATA with membranes.npz, images
and masks of 22 slices of 512 x 512 pixels, the set that U-Net was published on): the
last six slices are held out. Then the CPU time of a fit of three epochs and of a
prediction against a loop by hand for the same network, whose images are normalised
and cut into batches before its time is taken, without augmentation; and the memory of a
process that predicts an image of 10,000 x 10,000 pixels.

    python benchmarks/segmentation.py [--repeats 1] [--quick] [--data DIR]

The number of seeds is --repeats.
"""

from __future__ import annotations

import copy
import subprocess
import sys
import time

import _measure
import numpy as np
import torch
import torch.nn.functional as F
from _measure import Figure, one_thread, report

from sknets import FCNSegmenter, UNetSegmenter
from sknets._comparison.pixels import PixelForest
from sknets.datasets import make_scenes
from sknets.metrics import mean_iou, pixel_accuracy

LARGE = """
import resource, time
import numpy as np
from sknets import UNetSegmenter
from sknets.datasets import make_scenes
X, y = make_scenes(4, size=64, random_state=0)
net = UNetSegmenter(max_epochs=1, random_state=0).fit(X[..., 0], y)
image = np.random.default_rng(0).integers(0, 255, (1, {side}, {side}), dtype=np.uint8)
start = time.process_time()
found = net.predict(image)
assert found.shape == image.shape
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
print(memory, time.process_time() - start)
"""


def scenes(n_seeds: int) -> list[Figure]:
    rows = []
    X, y = make_scenes(300, random_state=0)
    models = {
        "U-Net": UNetSegmenter(),
        "FCN-8s": FCNSegmenter(),
        "FCN-16s": FCNSegmenter(variant="16s"),
        "FCN-32s": FCNSegmenter(variant="32s"),
        "random forest": PixelForest(),
    }
    scores = {}
    for name, model in models.items():
        found, start = [], time.process_time()
        for seed in range(n_seeds):
            model.set_params(random_state=seed).fit(X[:200], y[:200])
            found.append(mean_iou(y[200:], model.predict(X[200:])))
        scores[name] = float(np.mean(found))
        seconds = (time.process_time() - start) / n_seeds
        least = 0.9 if name == "U-Net" else None
        details = {"lowest": min(found), "CPU s": seconds}
        rows.append(
            Figure(
                "mean IoU: made scenes", name, scores[name], "", None, least, details
            )
        )
    for better, worse in (("U-Net", "FCN-8s"), ("FCN-8s", "FCN-32s")):
        gap = scores[better] - scores[worse]
        case = f"{better} less {worse}"
        rows.append(Figure("mean IoU: finer is better", case, gap, "", None, 0.0))
    return rows


def membranes(path, n_seeds: int) -> list[Figure]:
    with np.load(path) as file:
        X, y = file["images"], file["masks"]
    rows, averaged = [], []
    for name, model in {
        "U-Net": UNetSegmenter(),
        "random forest": PixelForest(),
    }.items():
        found = []
        for seed in range(n_seeds):
            start = time.process_time()
            model.set_params(random_state=seed).fit(X[:16], y[:16])
            fit = time.process_time() - start
            masks = model.predict(X[16:])
            found.append((mean_iou(y[16:], masks), pixel_accuracy(y[16:], masks), fit))
            if name == "U-Net":
                masks = model.set_params(test_time_augmentation=True).predict(X[16:])
                model.set_params(test_time_augmentation=False)
                averaged.append(
                    (mean_iou(y[16:], masks), pixel_accuracy(y[16:], masks))
                )
        iou, accuracy, fit = np.mean(found, 0)
        ours = name == "U-Net"
        for claim, value, least in (
            ("mean IoU: membranes", iou, 0.78),
            ("pixel accuracy: membranes", accuracy, 0.92),
        ):
            rows.append(
                Figure(
                    claim,
                    name,
                    value,
                    "",
                    None,
                    least if ours else None,
                    {"fit s": fit},
                )
            )
        if ours:
            iou, accuracy = np.mean(averaged, 0)
            case = "U-Net, test-time augmentation"
            rows += [
                Figure("mean IoU: membranes", case, iou, "", None, 0.78),
                Figure("pixel accuracy: membranes", case, accuracy, "", None, 0.92),
            ]
            rows.append(Figure("CPU time of a fit: membranes", name, fit, "s", 600))
    return rows


def speed(repeats: int) -> list[Figure]:
    return [
        *timed("64 x 64, batch 8", *make_scenes(128, random_state=0), repeats),
        *timed(
            "256 x 256, batch 2", *make_scenes(8, size=256, random_state=0), repeats
        ),
    ]


def timed(case: str, X, y, repeats: int) -> list[Figure]:
    net = UNetSegmenter(max_epochs=3, random_state=0, augment=None).fit(X, y)
    size, fresh = net.batch_size_, copy.deepcopy(net.net_.module_)
    inputs = torch.from_numpy(X).movedim(-1, 1).float().div(255)
    inputs = inputs.contiguous(memory_format=torch.channels_last)
    targets = torch.from_numpy(y).long()

    def by_hand():
        module = copy.deepcopy(fresh).train()
        optimizer = torch.optim.AdamW(
            module.parameters(), lr=3e-3, weight_decay=1e-4, fused=True
        )
        steps = 3 * -(-len(inputs) // size)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, steps)
        for _ in range(3):
            for rows in torch.randperm(len(inputs)).split(size):
                optimizer.zero_grad()
                loss = F.cross_entropy(module.scores(inputs[rows]), targets[rows])
                loss.item()
                loss.backward()
                optimizer.step()
                schedule.step()

    def predict_by_hand():
        module = net.net_.module_.eval()
        per = max(1, 512**2 // (inputs.shape[2] * inputs.shape[3]))
        with torch.inference_mode():
            found = [module.scores(part).argmax(1) for part in inputs.split(per)]
        return torch.cat(found).numpy()

    fits = {"ours": lambda: net.fit(X, y), "hand": by_hand}
    asks = {"ours": lambda: net.predict(X), "hand": predict_by_hand}
    rows = []
    for verb, contenders in (("fit", fits), ("predict", asks)):
        seconds = _measure.interleaved(contenders, repeats)
        claim = f"segmentation {verb}: sknets / hand loop"
        rows.append(_measure.ratio(case, "ours", "hand", seconds, 1.05, claim))
    return rows


def large(side: int) -> list[Figure]:
    code = LARGE.format(side=side)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        check=True,
    )
    memory, seconds = map(float, done.stdout.split())
    case = f"{side:,} x {side:,} pixels"
    return [
        Figure(
            "peak memory of a process: prediction by tiles",
            case,
            memory,
            "GiB",
            2.0,
            details={"CPU s": seconds},
        )
    ]


def main() -> None:
    options = _measure.options(__doc__, repeats=1, data=True)
    one_thread()
    figures = speed(3 if options.quick else 5)
    figures += large(3_000 if options.quick else 10_000)
    if not options.quick:
        figures += scenes(options.repeats)
        path = _measure.find_data(options.data, "membranes.npz")
        if path is None:
            print("membranes.npz was not found: give --data DIR")
        else:
            figures += membranes(path, options.repeats)
    report("segmentation", figures, keep=not options.quick)


if __name__ == "__main__":
    main()
