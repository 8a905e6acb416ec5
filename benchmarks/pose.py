"""Poses: made figures, an animal in real frames, depth, and a loop by hand.

Made figures (`sknets.datasets.make_figures`, 13 joints) that stand, so no "rotate",
else with default parameters beside the names of joints and the skeleton: one figure an
image of 96 x 96 pixels (1,000 to learn from), one to five with blocks that hide them
(2,000) of 192 x 192 pixels, and of 96 x 96, where a figure is 41 pixels high; each on
200 new images. Then one figure an image, with depths. An open-field mouse (--data DIR
or SKNETS_DATA with open_field_mouse.npz: 116 frames of 240 x 320 pixels, four
keypoints), the last quarter held out, beside the mean pose. Then depth: `PoseLifter`
beside a ridge regression on the same joints of 4,000 made figures. Then the CPU time of
a fit of three epochs against a loop by hand for the same network and loss, with the
same augmentation.

    python benchmarks/pose.py [--repeats 3] [--quick] [--data DIR]
        [--parts NAME ...]
"""

from __future__ import annotations

import copy
import time

import _measure
import numpy as np
import torch
from _measure import Figure, one_thread, report
from sklearn.linear_model import RidgeCV

from sknets import PoseEstimator, PoseLifter
from sknets.datasets import FIGURE_JOINTS, FIGURE_SKELETON, make_figures
from sknets.metrics import mean_joint_error, nearest_poses

OF_FIGURES = {
    "joints": list(FIGURE_JOINTS),
    "skeleton": list(FIGURE_SKELETON),
    "augment": ("scale", "shift", "brightness"),
    "random_state": 0,
}


def figures() -> list[Figure]:
    rows = []
    several = {"n_people": (1, 5), "occlusion": 0.3}
    large = {**several, "size": 192}
    for case, n, made, score, least in (
        ("one", 1000, {}, "pck", 0.95),
        ("one to five, hidden, 192 px", 2000, large, "average_precision", 0.85),
        ("one to five, hidden, 96 px", 2000, several, "", None),
    ):
        X, y = make_figures(n, random_state=0, **made)
        start = time.process_time()
        net = PoseEstimator(**OF_FIGURES).fit(X, y)
        details = {"fit s": time.process_time() - start}
        found = net.evaluate(*make_figures(200, random_state=1, **made))
        names = {"pck": "PCK at 0.1", "average_precision": "OKS AP"}
        for name, title in names.items():
            floor = least if name == score else None
            claim = f"{title}: made figures"
            rows.append(Figure(claim, case, found[name], "", None, floor, details))
        print(case, found["pck"], found["average_precision"], details, flush=True)
    X, y = make_figures(1000, three_d=True, random_state=0)
    X_new, y_new = make_figures(200, three_d=True, random_state=1)
    net = PoseEstimator(**OF_FIGURES).fit(X, y)
    pairs = nearest_poses(y_new, net.predict(X_new))
    usual = np.nanmean(np.concatenate([each["keypoints"] for each in y])[..., 2], 0)
    errors = {"PoseEstimator": [], "the mean depth": []}
    for true, pose in pairs:
        seen = true[:, 3] > 0
        errors["PoseEstimator"].append(np.abs(pose[seen, 2] - true[seen, 2]))
        errors["the mean depth"].append(np.abs(usual[seen] - true[seen, 2]))
    means = {name: float(np.concatenate(own).mean()) for name, own in errors.items()}
    for name, error in means.items():
        most = 0.8 * means["the mean depth"] if name == "PoseEstimator" else None
        rows.append(Figure("mean error of depth from images", name, error, "px", most))
    return rows


def mouse(path) -> list[Figure]:
    with np.load(path) as file:
        X, y, names = file["images"], file["keypoints"], file["names"].tolist()
    n = len(X) * 3 // 4
    start = time.process_time()
    net = PoseEstimator(joints=names, random_state=0).fit(X[:n], y[:n])
    seconds = time.process_time() - start
    found = net.evaluate(X[n:], y[n:])
    away = np.linalg.norm(y[n:] - y[:n].mean(0), axis=2)
    details = {"mean pose": float(np.median(away))}
    return [
        Figure("median error: open-field mouse", "4 keypoints",
               found["median_error"], "px", 2.5, details=details),
        Figure("error of 90 %: open-field mouse", "4 keypoints",
               found["error_90"], "px", 5.0),
        Figure("CPU time of a fit: open-field mouse", "87 frames", seconds, "s", 300),
    ]  # fmt: skip


def depth() -> list[Figure]:
    _, records = make_figures(5000, size=32, three_d=True, random_state=0)
    people = np.stack([each["keypoints"][0] for each in records])
    people = people[np.isfinite(people).all((1, 2))]
    hips = [FIGURE_JOINTS.index(name) for name in ("left_hip", "right_hip")]
    places = people[..., :3] - people[:, hips, :3].mean(1, keepdims=True)
    X, y = places[..., :2].reshape(len(places), -1), places.reshape(len(places), -1)
    cut, shape = len(X) * 4 // 5, (-1, len(FIGURE_JOINTS), 3)
    rows = []
    models = {"PoseLifter": PoseLifter(random_state=0), "ridge": RidgeCV()}
    errors = {}
    for name, model in models.items():
        found = model.fit(X[:cut], y[:cut]).predict(X[cut:])
        errors[name] = mean_joint_error(y[cut:].reshape(shape), found.reshape(shape))
    size = float(np.linalg.norm(places, axis=2).max(1).mean())
    for name, error in errors.items():
        most = 0.8 * errors["ridge"] if name == "PoseLifter" else None
        claim = "mean joint error of depth, in radii of the body"
        rows.append(
            Figure(claim, name, error / size, "", None if most is None else most / size)
        )
    return rows


def speed(repeats: int) -> list[Figure]:
    X, y = make_figures(96, random_state=0)
    net = PoseEstimator(**OF_FIGURES, max_epochs=3).fit(X, y)
    fresh = copy.deepcopy(net.net_.module_)
    samples = net._read(X, y, None, reset=False)
    augment, loss = net._augmentation(), net._criterion()
    augment.generator = torch.Generator().manual_seed(0)
    size = net.batch_size_

    def by_hand():
        module = copy.deepcopy(fresh).train()
        optimizer = torch.optim.AdamW(
            module.parameters(), lr=3e-3, weight_decay=1e-4, fused=True
        )
        steps = 3 * -(-len(X) // size)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, steps)
        for _ in range(3):
            for rows in torch.randperm(len(X)).split(size):
                batch = samples[rows]
                images, people = augment(batch.x, batch.y)
                optimizer.zero_grad()
                total = loss(module(images), people)
                total.item()
                total.backward()
                optimizer.step()
                schedule.step()

    module, decoder = net.net_.module_.eval(), net._decoder()
    many = np.tile(X, (4, 1, 1, 1))
    inputs = torch.from_numpy(many).movedim(-1, 1).float().div(255)

    def predict_by_hand():
        with torch.inference_mode():
            return [p for part in inputs.split(64) for p in decoder(module(part))]

    rows = []
    for verb, ours, hand in (
        ("fit", lambda: net.fit(X, y), by_hand),
        ("predict", lambda: net.predict(many), predict_by_hand),
    ):
        seconds = _measure.interleaved({"ours": ours, "hand": hand}, repeats)
        claim = f"pose {verb}: sknets / hand loop"
        case = "96 x 96, 13 joints"
        rows.append(_measure.ratio(case, "ours", "hand", seconds, 1.05, claim))
    return rows


PARTS = ("speed", "depth", "mouse", "figures")


def main() -> None:
    parser = _measure.parser(__doc__, repeats=3, data=True)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    options = _measure.given(parser)
    one_thread()
    rows = []
    if "speed" in options.parts:
        rows += speed(options.repeats)
    if "depth" in options.parts:
        rows += depth()
    if "mouse" in options.parts and not options.quick:
        path = _measure.find_data(options.data, "open_field_mouse.npz")
        if path is None:
            print("open_field_mouse.npz was not found: give --data DIR")
        else:
            rows += mouse(path)
    if "figures" in options.parts and not options.quick:
        rows += figures()
    report("pose", rows, not options.quick, len(options.parts) < len(PARTS))


if __name__ == "__main__":
    main()
