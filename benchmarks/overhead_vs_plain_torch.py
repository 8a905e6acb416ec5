"""Training time a step against the loops that an expert writes, and against skorch.

Every contender trains the same network on the same batches; all run interleaved in one
process with one thread, and the medians of the ratios of CPU time are printed.

    python benchmarks/overhead_vs_plain_torch.py [--repeats 5] [--quick]
"""

from __future__ import annotations

import _measure
import numpy as np
import torch
from _measure import interleaved, one_thread, ratio, report
from sklearn.datasets import load_digits, make_classification
from skorch import NeuralNetClassifier
from skorch.dataset import ValidSplit
from torch import nn

from sknets import FeedforwardClassifier

CASES = {  # name: (rows, columns, classes, hidden, batch, epochs)
    "digits, batch 32": (None, 64, 10, (100,), 32, 20),
    "digits, batch 200": (None, 64, 10, (100,), 200, 60),
    "784 columns, batch 128": (5_000, 784, 10, (256, 128), 128, 3),
    "54 columns, batch 256": (50_000, 54, 7, (128, 64), 256, 2),
    "54 columns, batch 1024": (50_000, 54, 7, (128, 64), 1024, 3),
}


def data(rows, columns, classes):
    if rows is None:
        X, y = load_digits(return_X_y=True)
        return (X / 16).astype(np.float32), y.astype(np.int64)
    X, y = make_classification(
        rows, columns, n_informative=columns // 2, n_classes=classes, random_state=0
    )
    return X.astype(np.float32), y.astype(np.int64)


def plain_net(columns, hidden, classes):
    sizes = (columns, *hidden)
    layers = []
    for n_in, n_out in zip(sizes, hidden):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], classes))


def hand_loop(X, y, net, batch, epochs, valid=None):
    """The fastest loop an expert writes: index_select, fused Adam, no `.item()`."""
    X, y = torch.from_numpy(X), torch.from_numpy(y)
    loss_of = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, fused=True)
    for _ in range(epochs):
        losses = []
        net.train()
        for index in torch.randperm(len(X)).split(batch):
            optimizer.zero_grad()
            loss = loss_of(net(X.index_select(0, index)), y.index_select(0, index))
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        torch.stack(losses).mean().item()
        if valid is not None:
            net.eval()
            with torch.inference_mode():
                output = net(valid[0])
                loss_of(output, valid[1]).item()
                (output.argmax(1) == valid[1]).float().mean().item()


def contenders(name):
    rows, columns, classes, hidden, batch, epochs = CASES[name]
    X, y = data(rows, columns, classes)
    n = len(X)
    n_valid = -(-n // 10)
    valid = torch.from_numpy(X[:n_valid]), torch.from_numpy(y[:n_valid])

    def ours(**options):
        FeedforwardClassifier(
            hidden_layer_sizes=hidden,
            batch_size=batch,
            max_epochs=epochs,
            standardize=False,
            numeric_encoding="linear",
            random_state=0,
            **options,
        ).fit(X, y)

    def skorch(split):
        NeuralNetClassifier(
            plain_net(columns, hidden, classes),
            criterion=nn.CrossEntropyLoss,
            optimizer=torch.optim.Adam,
            lr=1e-3,
            max_epochs=epochs,
            batch_size=batch,
            iterator_train__shuffle=True,
            train_split=split,
            verbose=0,
        ).fit(X, y)

    def by_hand(validate):
        net = plain_net(columns, hidden, classes)
        if validate:
            hand_loop(X[n_valid:], y[n_valid:], net, batch, epochs, valid)
        else:
            hand_loop(X, y, net, batch, epochs)

    return {
        "hand loop": lambda: by_hand(False),
        "sknets": ours,
        "sknets, standardised": lambda: FeedforwardClassifier(
            hidden_layer_sizes=hidden,
            batch_size=batch,
            max_epochs=epochs,
            numeric_encoding="linear",
        ).fit(X, y),
        "stock skorch": lambda: skorch(None),
        "hand loop + validation": lambda: by_hand(True),
        "sknets + validation": lambda: ours(
            early_stopping=True, n_iter_no_change=10**6
        ),
        "stock skorch + validation": lambda: skorch(ValidSplit(10)),
    }


def main():
    options = _measure.options(__doc__, repeats=5)
    one_thread()
    figures = []
    for name in list(CASES)[: 2 if options.quick else None]:
        seconds = interleaved(contenders(name), options.repeats)
        validated = "sknets + validation"
        for ours, peer, at_most in [
            ("sknets", "hand loop", 1.0),
            ("sknets, standardised", "hand loop", None),
            (validated, "hand loop + validation", 1.1),
            ("sknets", "stock skorch", 0.6),
            (validated, "stock skorch + validation", 0.6),
        ]:
            figures.append(
                ratio(name, ours, peer, seconds, at_most, f"fit: {ours} / {peer}")
            )
    report("overhead_vs_plain_torch", figures, keep=not options.quick)


if __name__ == "__main__":
    main()
