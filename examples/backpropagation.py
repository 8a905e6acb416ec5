"""Are the gradients right, and do they reach the first layer?

Checks backpropagation by hand and by autograd against finite differences, trains by
both, and saves a picture of gradients that vanish and explode: gradient_norms.png.
"""

import argparse
import copy
from pathlib import Path

import matplotlib
import torch
from sklearn.datasets import load_digits

from sknets import FeedforwardClassifier, gradient_check
from sknets.display import GradientNormsDisplay

matplotlib.use("agg")

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--quick", action="store_true", help="few rows and epochs")
parser.add_argument("--output", type=Path, default=Path(), help="folder")
options = parser.parse_args()
X, y = load_digits(return_X_y=True)
n, epochs = (300, 5) if options.quick else (len(X), 100)
X, y = X[:n], y[:n]

# 1. Gradients against finite differences, by hand and by autograd.
descent = {"optimizer": "sgd", "momentum": 0, "lr": 0.5, "alpha": 0, "batch_size": n}
net = FeedforwardClassifier(hidden_layer_sizes=50, random_state=0, **descent)
print(gradient_check(net, X[:100], y[:100]))

# 2. Gradient descent by the hand-derived gradients, and by autograd in plain PyTorch.
net.partial_fit(X, y, classes=range(10))
module, losses = copy.deepcopy(net.net_.module_), []
for _ in range(epochs):
    net.partial_fit(X, y)
    scores = module(torch.from_numpy(X))
    loss = torch.nn.functional.cross_entropy(scores, torch.from_numpy(y))
    losses.append(loss.item())
    weights = list(module.parameters())
    for weight, gradient in zip(weights, torch.autograd.grad(loss, weights)):
        weight.data -= descent["lr"] * gradient
gaps = [abs(a - b) for a, b in zip(net.loss_curve_[1:], losses)]
print(f"\nLoss after {epochs} steps: {net.loss_curve_[-1]:.12f} by hand")
print(f"{losses[-1]:.12f} by autograd; largest gap of any step {max(gaps):.0e}")

# 3. Ten hidden layers: how much of the gradient reaches the first?
ax = None
cases = {"tanh × 20": 20, "relu × √6 (He)": 6**0.5, "tanh": 1, "relu": 1, "sigmoid": 1}
for name, scale in cases.items():
    deep = FeedforwardClassifier(activation=name.split()[0], max_epochs=1, **descent)
    deep.set_params(hidden_layer_sizes=(50,) * 10, lr=1e-12, random_state=0)
    for weights in deep.partial_fit(X, y, range(10)).net_.module_.parameters():
        weights.data *= scale
    display = GradientNormsDisplay.from_estimator(deep, X, y, ax=ax, name=name)
    ax = display.ax_
ax.set_title("Before training, ten hidden layers: sigmoid vanishes, tanh × 20 explodes")
display.figure_.savefig(options.output / "gradient_norms.png", dpi=150)
print(f"\nPicture: {(options.output / 'gradient_norms.png').resolve()}")
