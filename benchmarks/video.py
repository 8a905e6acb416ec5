"""Videos: motion that no single frame shows, and the time of a loop by hand.

Clips of 16 x 16 pixels and 6 to 12 frames in which a square goes left, right, up or
down from anywhere, through the edges, under noise: 400 to learn from and 400 new ones.
Beside `VideoClassifier` with default parameters: `CNNClassifier` on the first, the
middle or the last frame, whichever is best; a support vector machine and a logistic
regression on the means and deviations over time of the pixels and of the differences
of frames; and, made by somebody who knows the answer, a logistic regression on the
products of differences in space and in time, the sums of optical flow [Lucas, Kanade
1981]. Beside `VideoRegressor`, which predicts how many pixels a frame such a square
goes to the right (from -2.5 to 2.5): ridge regressions and random forests on the same
numbers, and `CNNRegressor` on the middle frame. Then the CPU time of a fit of three
epochs and of predictions against a loop by hand for the same network with one thread,
whose clips were standardised before its time is taken and which looks for no likes
among unequal lengths; and the memory of a fit.

    python benchmarks/video.py [--repeats 5] [--quick]

The number of seeds is at most three.
"""

from __future__ import annotations

import subprocess
import sys

import _measure
import numpy as np
import torch
from _measure import Figure, one_thread, report
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from torch import nn

from sknets import CNNClassifier, CNNRegressor, VideoClassifier, VideoRegressor

MOVES = {"left": (0, -1), "right": (0, 1), "up": (-1, 0), "down": (1, 0)}
ARCHITECTURES = ("cnn_lstm", "cnn_gru", "conv3d")


def moving(n, seed, side=16, lengths=(6, 12), noise=60):
    random = np.random.default_rng(seed)
    y = random.choice(list(MOVES), n)
    frame = np.zeros((side, side))
    frame[:4, :4] = 150
    X = []
    for name in y:
        start, move = random.integers(0, side, 2), np.array(MOVES[name])
        steps = range(random.integers(lengths[0], lengths[1] + 1))
        clip = np.stack([np.roll(frame, start + t * move, (0, 1)) for t in steps])
        X.append((clip + random.uniform(0, noise, clip.shape)).astype(np.uint8))
    return X, y


def at_speed(n, seed, side=16, lengths=(6, 12), noise=60):
    random = np.random.default_rng(seed)
    frame = np.zeros((side, side))
    frame[:4, :4] = 150
    X, y = [], random.uniform(-2.5, 2.5, n)
    for speed in y:
        row, column = random.integers(0, side, 2)
        steps = range(random.integers(lengths[0], lengths[1] + 1))
        moves = [(row, column + round(t * speed)) for t in steps]
        clip = np.stack([np.roll(frame, move, (0, 1)) for move in moves])
        X.append((clip + random.uniform(0, noise, clip.shape)).astype(np.uint8))
    return X, y


# -- accuracy ------------------------------------------------------------------------


def statistics(X):
    """Mean and deviation over time of each pixel and of its differences."""
    rows = []
    for clip in X:
        clip = clip / 255.0
        both = clip, np.abs(np.diff(clip, axis=0))
        rows.append(
            np.concatenate([f(0).ravel() for c in both for f in (c.mean, c.std)])
        )
    return np.array(rows)


def flow_sums(X):
    rows = []
    for clip in X:
        down, right = np.gradient(clip / 255.0, axis=(1, 2))
        later = np.gradient(clip / 255.0, axis=0)
        pairs = [(down, later), (right, later), (down, right), (down, down)]
        rows.append([(a * b).mean() for a, b in pairs])
    return np.array(rows)


def frame_of(X, where):
    return np.stack([clip[round(where * (len(clip) - 1))] for clip in X])


def accuracies(seeds):
    scores: dict[str, list[float]] = {}
    for seed in range(seeds):
        (X, y), (new, answers) = moving(400, 2 * seed), moving(400, 2 * seed + 1)

        def score(name, model, of=lambda clips: clips, data=(X, y, new, answers)):
            fitted = model.fit(of(data[0]), data[1])
            found = fitted.score(of(data[2]), data[3])
            scores.setdefault(name, []).append(found)
            return found

        for kind in ARCHITECTURES:
            score(kind, VideoClassifier(architecture=kind, random_state=seed))
        for where in (0, 0.5, 1):
            score(
                f"frame at {where}",
                CNNClassifier(random_state=seed),
                lambda clips, where=where: frame_of(clips, where),
            )
        logistic = LogisticRegression(max_iter=3000)
        for peer in (SVC(), logistic):
            name = f"{type(peer).__name__} on means and differences"
            score(name, make_pipeline(StandardScaler(), peer), statistics)
        score(
            "LogisticRegression on the sums of optical flow",
            make_pipeline(StandardScaler(), logistic),
            flow_sums,
        )
    for name, found in scores.items():
        details = {"lowest": min(found), "highest": max(found)}
        mean, claim, bound = float(np.mean(found)), "accuracy: classical peers", {}
        if name in ARCHITECTURES:
            claim, bound = (
                "accuracy: VideoClassifier on moving squares",
                {"at_least": 0.95},
            )
        elif name.startswith("frame"):
            claim, bound = "accuracy: CNNClassifier on one frame", {"at_most": 0.6}
        yield Figure(claim, name, mean, unit="", details=details, **bound)


def speeds(seeds):
    scores: dict[str, list[float]] = {}
    for seed in range(seeds):
        (X, y), (new, answers) = at_speed(400, 2 * seed), at_speed(400, 2 * seed + 1)

        def score(name, model, of=lambda clips: clips, data=(X, y, new, answers)):
            fitted = model.fit(of(data[0]), data[1])
            scores.setdefault(name, []).append(fitted.score(of(data[2]), data[3]))

        for kind in ARCHITECTURES:
            score(kind, VideoRegressor(architecture=kind, random_state=seed))
        middle = CNNRegressor(random_state=seed)
        score("CNNRegressor on the middle frame", middle, lambda X: frame_of(X, 0.5))
        ridge = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-3, 4, 15)))
        forest = RandomForestRegressor(random_state=seed)
        for name, of in (
            ("means and differences", statistics),
            ("the sums of optical flow", flow_sums),
        ):
            score(f"ridge on {name}", ridge, of)
            score(f"random forest on {name}", forest, of)
    best = max(np.mean(found) for name, found in scores.items() if " on means" in name)
    for name, found in scores.items():
        details = {"lowest": min(found), "highest": max(found)}
        mean, claim, bound = float(np.mean(found)), "R²: peers on a speed", {}
        if name in ARCHITECTURES:
            claim, bound = "R²: VideoRegressor on a speed", {"at_least": 0.95}
            of = "R²: VideoRegressor - ridge or forest on means and differences"
            yield Figure(of, name, mean - best, unit="", at_least=0.0)
        yield Figure(claim, name, mean, unit="", details=details, **bound)


# -- time ----------------------------------------------------------------------------


class ByHand(nn.Module):
    """The networks of the estimator, as one writes them for padded clips."""

    def __init__(self, architecture, side, n_classes):
        super().__init__()
        self.deep = architecture == "conv3d"
        layers, width = [], 1
        for n in (16, 32, 64):
            if self.deep:
                layers += [nn.Conv3d(width, n, 3, padding=1, bias=False)]
                layers += [nn.MaxPool3d((1, 2, 2)), nn.BatchNorm3d(n)]
            else:
                layers += [nn.Conv2d(width, n, 3, padding=1, bias=False)]
                layers += [nn.MaxPool2d(2), nn.BatchNorm2d(n)]
            layers.append(nn.ReLU(inplace=True))
            width, side = n, side // 2
        self.convolutions = nn.Sequential(*layers)
        self.dense = nn.Sequential(nn.Linear(width * side * side, 128), nn.ReLU())
        self.memory = None if self.deep else nn.LSTM(128, 64, batch_first=True)
        self.head = nn.Linear(128 if self.deep else 64, n_classes)

    def forward(self, x, lengths):
        size, steps = x.shape[:2]
        if self.deep:
            x = x[:, None].contiguous(memory_format=torch.channels_last_3d)
            x = self.convolutions(x).transpose(1, 2).flatten(2)
            mask = torch.arange(steps) < lengths[:, None]
            x = (self.dense(x) * mask[:, :, None]).sum(1) / lengths[:, None]
        else:
            x = x.flatten(0, 1)[:, None].contiguous(memory_format=torch.channels_last)
            x = self.dense(self.convolutions(x).flatten(1)).view(size, steps, -1)
            x = self.memory(x)[0][torch.arange(size), lengths - 1]
        return self.head(x)

    def channels_last(self):
        last = torch.channels_last_3d if self.deep else torch.channels_last
        self.convolutions.to(memory_format=last)
        return self


def fit_by_hand(net, x, lengths, y, epochs, batch=32):
    loss_of = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2, fused=True)
    net.train()
    for _ in range(epochs):
        losses = []
        for rows in torch.randperm(len(x)).split(batch):
            own = lengths[rows]
            optimizer.zero_grad()
            loss = loss_of(net(x[rows, : int(own.max())], own), y[rows])
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            losses.append(loss.detach())
        torch.stack(losses).mean().item()
    return net


def predict_by_hand(net, x, lengths, batch=16):
    net.eval()
    with torch.inference_mode():
        outputs = [
            net((x[i : i + batch].float() / 255 - 0.5) / 0.3, lengths[i : i + batch])
            for i in range(0, len(x), batch)
        ]
    return torch.cat(outputs).argmax(1)


def times(repeats, quick):
    for lengths in ((12, 12), (4, 20)):
        X, y = moving(256 if quick else 512, 0, 24, lengths)
        counts = torch.tensor([len(clip) for clip in X])
        padded = np.zeros((len(X), int(counts.max()), 24, 24), np.uint8)
        for row, clip in zip(padded, X):
            row[: len(clip)] = clip
        raw = torch.from_numpy(padded)
        x = (raw.float() / 255 - 0.5) / 0.3
        equal = lengths[0] == lengths[1]
        clips = padded if equal else X
        labels = torch.from_numpy(np.unique(y, return_inverse=True)[1])
        for kind in ("cnn_lstm", "conv3d"):
            ours = VideoClassifier(architecture=kind, max_epochs=3, random_state=0)

            def by_hand(kind=kind, x=x, counts=counts, labels=labels):
                net = ByHand(kind, 24, len(MOVES)).channels_last()
                return fit_by_hand(net, x, counts, labels, 3)

            def fit(ours=ours, clips=clips, y=y):
                return ours.fit(clips, y)

            net, fitted = by_hand(), fit()
            case = f"{kind}, " + ("12 frames" if equal else "4 to 20 frames")
            seconds = _measure.interleaved({"sknets": fit, "hand": by_hand}, repeats)
            claim = "video fit: sknets / hand loop"
            yield _measure.ratio(case, "sknets", "hand", seconds, 1.05, claim)
            seconds = _measure.interleaved(
                {
                    "sknets": lambda net=fitted, X=clips: net.predict(X),
                    "hand": lambda net=net, x=raw, n=counts: predict_by_hand(net, x, n),
                },
                repeats,
            )
            claim = "video predict: sknets / hand loop"
            yield _measure.ratio(case, "sknets", "hand", seconds, 1.05, claim)


# -- memory --------------------------------------------------------------------------

FIT = """
import resource, sys, numpy as np, torch
from sknets import VideoClassifier
torch.set_num_threads(1)
n, listed = int(sys.argv[1]), sys.argv[2] == "list"
X = np.random.default_rng(0).integers(0, 255, (n, 20, 32, 32), np.uint8)
X = [clip[: 10 + i % 11] for i, clip in enumerate(X)] if listed else X
net = VideoClassifier(channels=4, hidden_layer_sizes=8, hidden_size=8, max_epochs=1)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
net.fit(X, np.arange(n) % 2)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


def memory():
    for kind in ("array", "list"):
        taken = {}
        for n in (3000, 9000):
            command = [sys.executable, "-c", FIT, str(n), kind]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            taken[n] = int(done.stdout)
        size = 6000 * 20 * 32 * 32 * (0.75 if kind == "list" else 1)
        yield Figure(
            "memory of a fit that grows with X, beside X itself / X, bytes",
            kind,
            max(0, taken[9000] - taken[3000]) / size,
            at_most=1.0,
            details={f"MB, {n} clips": taken[n] / 1e6 for n in taken},
        )


def main():
    options = _measure.options(__doc__, repeats=5)
    one_thread()
    figures = [*times(options.repeats, options.quick)]
    if not options.quick:
        figures += memory()
    seeds = 1 if options.quick else min(options.repeats, 3)
    figures += [*accuracies(seeds), *speeds(seeds)]
    report("video", figures, keep=not options.quick)


if __name__ == "__main__":
    main()
