"""An accelerator in earnest: speed beside hand loops, the same bits, the way back.

Of whatever accelerator is present (of a CPU with --device cpu, to try the script);
where there is none it says "none". For each kind of network the fit beside an eager
loop by hand on the same device: data there, fused Adam, a permutation drawn on the
device, no question to the host before an epoch ends. Wall time, as the device works
while the host waits; the loops run interleaved and the median of the ratios is printed.
Then predictions of a million rows; how far two fits of one seed differ; how far the
predictions of a pickle are from those on the device; whether `device="auto"` leaves the
right tables to the CPU; and what the device held at most.

    python benchmarks/accelerator.py [--repeats 3] [--quick] [--device cuda]
"""

from __future__ import annotations

import argparse
import pickle
import time
from functools import partial

import numpy as np
import torch
from _measure import Figure, interleaved, ratio, report
from torch import nn

import sknets

RANDOM = np.random.default_rng(0)


def dense(columns: int, hidden: tuple[int, ...], outputs: int) -> nn.Module:
    sizes, layers = (columns, *hidden), []
    for n_in, n_out in zip(sizes, hidden):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], outputs))


def convolutional(channels: tuple[int, ...], classes: int) -> nn.Module:
    layers, before = [], 1
    for n in channels:
        layers += [
            nn.Conv2d(before, n, 3, padding=1, bias=False),
            nn.BatchNorm2d(n),
            nn.ReLU(),
            nn.MaxPool2d(2, ceil_mode=True),
        ]
        before = n
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, classes)]
    return nn.Sequential(*layers).to(memory_format=torch.channels_last)


class Recurrent(nn.Module):
    def __init__(self, columns: int, size: int, classes: int):
        super().__init__()
        self.cells = nn.LSTM(columns, size, batch_first=True)
        self.head = nn.Linear(size, classes)

    def forward(self, x):
        return self.head(self.cells(x)[0][:, -1])


class Attentive(nn.Module):
    def __init__(self, columns: int, size: int, classes: int):
        super().__init__()
        layer = nn.TransformerEncoderLayer(
            size, 4, 4 * size, 0.0, batch_first=True, norm_first=True
        )
        self.embed = nn.Linear(columns, size)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(size, classes)

    def forward(self, x):
        return self.head(self.layers(self.embed(x)).mean(1))


def hand_loop(net, X, y, batch, epochs, device, bfloat16=False):
    """As an expert writes it, eager."""
    X, y = torch.from_numpy(X).to(device), torch.from_numpy(y).to(device)
    if X.dtype == torch.uint8:
        X = (X.float() / 255).unsqueeze(1).to(memory_format=torch.channels_last)
    net, loss_of = net.to(device), nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, fused=True)
    for _ in range(epochs):
        losses = []
        for rows in torch.randperm(len(X), device=device).split(batch):
            optimizer.zero_grad()
            with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
                output = net(X.index_select(0, rows))
                loss = loss_of(output, y.index_select(0, rows))
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        torch.stack(losses).mean().item()
    return net


def cases(quick: bool) -> dict[str, tuple]:
    """Name: X, y, batch, epochs, our estimator and the loop's network."""
    n = 10 if quick else 1
    rows = RANDOM.normal(size=(200_000 // n, 54)).astype(np.float32)
    digits = RANDOM.integers(0, 256, (60_000 // n, 28, 28)).astype(np.uint8)
    steps = RANDOM.normal(size=(20_000 // n, 50, 16)).astype(np.float32)
    of = {
        "dense 54-256-256-7": (rows, 7, (1024, 8192), 5),
        "convolutional 24-48-96": (digits, 10, (64, 512), 2),
        "LSTM 64": (steps, 5, (64, 256, 512), 3),
        "attention, 2 layers of 64": (steps, 5, (256,), 3),
    }
    plain = {"standardize": False, "weight_decay": 0.0}
    make = {
        "dense 54-256-256-7": (
            sknets.FeedforwardClassifier(
                hidden_layer_sizes=(256, 256), numeric_encoding="linear", **plain
            ),
            lambda: dense(54, (256, 256), 7),
        ),
        "convolutional 24-48-96": (
            sknets.CNNClassifier(channels=(24, 48, 96), augment=None, lr_schedule=None),
            lambda: convolutional((24, 48, 96), 10),
        ),
        "LSTM 64": (
            sknets.RNNClassifier(bidirectional=False, pooling="last", lr_schedule=None),
            lambda: Recurrent(16, 64, 5),
        ),
        "attention, 2 layers of 64": (
            sknets.TransformerClassifier(n_layers=2, dropout=0.0, lr_schedule=None),
            lambda: Attentive(16, 64, 5),
        ),
    }
    found = {}
    for name, (X, classes, batches, epochs) in of.items():
        y = RANDOM.integers(0, classes, len(X))
        for batch in batches[: 1 if quick else None]:
            found[f"{name}, batch {batch}"] = (X, y, batch, epochs, *make[name])
    return found


def by_hand(net, *others):
    return hand_loop(net(), *others)


def timed(device, options) -> list[Figure]:
    figures = []
    for name, (X, y, batch, epochs, ours, net) in cases(options.quick).items():
        given = {"batch_size": batch, "max_epochs": epochs, "random_state": 0}
        for precision in ("float32", "bfloat16"):
            half = precision == "bfloat16"
            ours.set_params(device=options.device, precision=precision, **given)
            loop = partial(by_hand, net, X, y, batch, epochs, device, half)
            contenders = {"sknets": partial(ours.fit, X, y), "hand loop": loop}
            seconds = interleaved(contenders, options.repeats, time.perf_counter)
            at_most = 0.2 if batch <= 1024 else 0.5
            case = f"{name}, {precision}"
            claim = "fit: sknets / eager hand loop on the device"
            figures.append(ratio(case, "sknets", "hand loop", seconds, at_most, claim))
            print(figures[-1].row(), flush=True)
    return figures


def predicted(device, options) -> list[Figure]:
    X = RANDOM.normal(size=(100_000 if options.quick else 1_000_000, 54))
    X, y = X.astype(np.float32), RANDOM.integers(0, 7, len(X))
    ours = sknets.FeedforwardClassifier(
        hidden_layer_sizes=(256, 256), max_epochs=1, batch_size=8192
    )
    ours.set_params(device=options.device).fit(X[:50_000], y[:50_000])
    net = hand_loop(dense(54, (256, 256), 7), X[:8192], y[:8192], 8192, 1, device)

    def in_pieces():
        with torch.inference_mode():
            parts = torch.from_numpy(X).split(131_072)
            return torch.cat([net(x.to(device)) for x in parts]).argmax(1).cpu().numpy()

    contenders = {"sknets": lambda: ours.predict(X), "hand loop": in_pieces}
    seconds = interleaved(contenders, options.repeats, time.perf_counter)
    claim = "predict: sknets / hand loop on the device"
    return [ratio(f"{len(X):,} rows", "sknets", "hand loop", seconds, 1.1, claim)]


def bits(options) -> list[Figure]:
    figures = []
    for name, (X, y, batch, _, ours, _) in cases(True).items():
        X, y = X[:2000], y[:2000]
        given = {"batch_size": batch, "max_epochs": 3, "random_state": 0}
        ours.set_params(device=options.device, precision="float32", **given)
        first = ours.fit(X, y).predict_proba(X)
        kept = pickle.loads(pickle.dumps(ours))
        kept.set_params(device="cpu")
        again = ours.fit(X, y).predict_proba(X)
        for claim, other, at_most in [
            ("two fits of one seed on the device: largest difference", again, 0.0),
            ("a pickle's predictions: difference", kept.predict_proba(X), 1e-5),
        ]:
            value = float(np.abs(first - other).max())
            figures.append(Figure(claim, name, value, "", at_most))
    return figures


def chosen(options) -> list[Figure]:
    """Is "auto" right where tables are small?"""
    figures = []
    for n in [2**k for k in range(8, 12 if options.quick else 17, 2)]:
        X, y = RANDOM.normal(size=(n, 64)), RANDOM.integers(0, 10, n)
        fits = {}
        for device in ("cpu", options.device):
            ours = sknets.FeedforwardClassifier(
                max_epochs=20, device=device, random_state=0
            )
            fits[device] = partial(ours.fit, X, y)
        seconds = interleaved(fits, options.repeats, time.perf_counter)
        took = {device: float(np.median(each)) for device, each in seconds.items()}
        small = X.size < sknets.FeedforwardClassifier._cpu_numbers
        taken = took["cpu" if small else options.device]
        value = taken / min(took.values())
        claim = 'device="auto": time of what it takes / of the faster'
        figures.append(
            Figure(claim, f"{n:,} rows of 64", value, at_most=1.1, details=took)
        )
    return figures


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    there = torch.accelerator.is_available()
    auto = torch.accelerator.current_accelerator().type if there else None
    parser.add_argument("--device", default=auto)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    if options.device is None:
        print("accelerator: none")
        return
    device = torch.device(options.device)
    figures = [*timed(device, options), *predicted(device, options)]
    figures += [*bits(options), *chosen(options)]
    if device.type == "cuda":
        print(torch.cuda.get_device_name(device))
        held = torch.cuda.max_memory_allocated(device) / 2**20
        figures.append(Figure("memory of the device at most", "all", held, "MiB"))
    report("accelerator", figures, keep=not options.quick and device.type != "cpu")


if __name__ == "__main__":
    main()
