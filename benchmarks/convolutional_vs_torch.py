"""Time of a convolutional network against the loop that an expert writes for it.

The peer trains the very same network (channels last, pooling first) for three epochs,
on images that were standardised before its time is taken and lie in memory as float32
in the network's format, with fused Adam; it predicts from the bytes. Also printed,
without a target: the loop of the tutorials (channels first, convolution, normalisation,
activation, pooling) and bfloat16. All run interleaved in one process with one thread;
medians of the ratios of CPU time.

    python benchmarks/convolutional_vs_torch.py [--repeats 5] [--quick]
"""

from __future__ import annotations

import _measure
import numpy as np
import torch
from _measure import interleaved, one_thread, ratio, report
from torch import nn

from sknets import CNNClassifier

CASES = {  # name: (rows, sample shape, classes, channels, batch, epochs)
    "grey 8 x 8, batch 32": (1_797, (8, 8), 10, (24, 48, 96), 32, 3),
    "grey 28 x 28, batch 64": (640, (28, 28), 10, (24, 48, 96), 64, 3),
    "RGB 32 x 32, batch 128": (640, (32, 32, 3), 10, (32, 64), 128, 3),
    "signals 256 x 2, batch 64": (640, (256, 2), 5, (32, 64), 64, 3),
    "volumes 12 x 12 x 12, batch 32": (320, (12, 12, 12, 1), 2, (8, 16), 32, 3),
}


def data(rows, shape, classes):
    random = np.random.default_rng(0)
    X = random.integers(0, 256, (rows, *shape), dtype=np.uint8)
    return X, np.arange(rows) % classes


def grid(x):
    """As (B, C, *size), a signal as an image of height 1."""
    if x.ndim == 3 and x.shape[1] != x.shape[2]:
        return x.movedim(-1, 1).unsqueeze(2)
    return x.unsqueeze(1) if x.ndim == 3 else x.movedim(-1, 1)


def network(x, classes, channels, tutorial=False):
    """The stack of the estimator, written as one would by hand."""
    volume, flat = x.ndim == 5, x.ndim == 4 and x.shape[2] == 1
    Convolution = nn.Conv3d if volume else nn.Conv2d
    Norm = nn.BatchNorm3d if volume else nn.BatchNorm2d
    Pool = nn.MaxPool3d if volume else nn.MaxPool2d
    kernel, padding = ((1, 3), (0, 1)) if flat else (3, 1)
    layers, width, size = [], x.shape[1], list(x.shape[2:])
    for n in channels:
        pool = [2 if side >= 4 else 1 for side in size]
        size = [side // p for side, p in zip(size, pool)]
        layers.append(Convolution(width, n, kernel, padding=padding, bias=False))
        rest = [Pool(tuple(pool)), Norm(n), nn.ReLU(inplace=True)]
        layers += [*rest[1:], rest[0]] if tutorial else rest
        width = n
    layers += [nn.Flatten(), nn.Linear(width * int(np.prod(size)), 128), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(128, classes))


def memory_format(x):
    return torch.channels_last_3d if x.ndim == 5 else torch.channels_last


def hand_loop(net, x, y, batch, epochs):
    loss_of = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3, fused=True)
    net.train()
    for _ in range(epochs):
        losses = []
        for index in torch.randperm(len(x)).split(batch):
            rows = x.index_select(0, index).contiguous(memory_format=memory_format(x))
            optimizer.zero_grad()
            loss = loss_of(net(rows), y.index_select(0, index))
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        torch.stack(losses).mean().item()


def tutorial_loop(net, x, y, batch, epochs):
    loss_of = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    net.train()
    for _ in range(epochs):
        for index in torch.randperm(len(x)).split(batch):
            optimizer.zero_grad()
            loss = loss_of(net(x[index]), y[index])
            loss.backward()
            optimizer.step()
            loss.item()


def predict_loop(net, X, mean, std):
    """From the bytes to classes, a batch at a time."""
    net.eval()
    with torch.inference_mode():
        outputs = []
        for rows in torch.from_numpy(X).split(128):
            x = grid(rows).float().div_(255).sub_(mean).div_(std)
            outputs.append(net(x.contiguous(memory_format=memory_format(x))))
    return torch.cat(outputs).argmax(1)


def contenders(name):
    rows, shape, classes, channels, batch, epochs = CASES[name]
    X, y = data(rows, shape, classes)
    x, labels = grid(torch.from_numpy(X)).float() / 255, torch.from_numpy(y)
    mean, std = x.mean(), x.std()
    x = (x - mean) / std
    last = x.contiguous(memory_format=memory_format(x))
    first = x.contiguous()

    def by_hand():
        net = network(x, classes, channels).to(memory_format=memory_format(x))
        hand_loop(net, last, labels, batch, epochs)
        return net

    def ours(**options):
        return CNNClassifier(
            channels=channels, batch_size=batch, max_epochs=epochs, **options
        ).fit(X, y)

    fits = {
        "hand loop": by_hand,
        "sknets": ours,
        "sknets, bfloat16": lambda: ours(precision="bfloat16"),
        "tutorial loop": lambda: tutorial_loop(
            network(x, classes, channels, tutorial=True), first, labels, batch, epochs
        ),
    }
    net, cnn = by_hand(), ours()
    predictions = {
        "hand loop": lambda: predict_loop(net, X, mean, std),
        "sknets": lambda: cnn.predict(X),
    }
    return fits, predictions


def main():
    options = _measure.options(__doc__, repeats=7)
    one_thread()
    figures = []
    for name in list(CASES)[: 2 if options.quick else None]:
        fits, predictions = contenders(name)
        seconds = interleaved(fits, options.repeats)
        for ours, peer, at_most in [
            ("sknets", "hand loop", 1.05),
            ("sknets", "tutorial loop", None),
            ("sknets, bfloat16", "sknets", None),
        ]:
            claim = f"convolutional fit: {ours} / {peer}"
            figures.append(ratio(name, ours, peer, seconds, at_most, claim))
        seconds = interleaved(predictions, options.repeats, calls=3)
        claim = "convolutional predict: sknets / hand loop"
        figures.append(ratio(name, "sknets", "hand loop", seconds, 1.05, claim))
    report("convolutional_vs_torch", figures, keep=not options.quick)


if __name__ == "__main__":
    main()
