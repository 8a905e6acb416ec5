"""Recursive networks: what is said of every part of a sentence, by its syntax tree.

Generated reviews, judged from -2 to 2 at every node: "not" turns around what follows,
"very" strengthens, "but" lets the second half count. Saves recursive.png; `--quick`
takes seconds.
"""

import argparse
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sknets import RecursiveClassifier, TreeDisplay

matplotlib.use("agg")

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--quick", action="store_true", help="few sentences and epochs")
parser.add_argument("--output", type=Path, default=Path(), help="folder")
options = parser.parse_args()

random = np.random.default_rng(0)
PLAIN = {"good": 1, "funny": 1, "bad": -1, "slow": -1}


def review(depth):
    """A bracketed string with a label at every node, and the label of its root."""
    kind = random.choice(["not", "very", "but"]) if depth else ""
    if not kind:
        word = random.choice(list(PLAIN))
        return f"({PLAIN[word]} {word})", PLAIN[word]
    right, value = review(depth - 1)
    if kind == "but":
        left, _ = review(random.integers(depth))
        return f"({value} {left} ({value} (0 but) {right}))", value
    value = -value if kind == "not" else 2 * np.sign(value)
    return f"({value} (0 {kind}) {right})", value


n = 200 if options.quick else 1500
X, y = zip(*[review(random.integers(1, 4)) for _ in range(n)])
deeper, truth = zip(*[review(random.integers(4, 7)) for _ in range(300)])

net = RecursiveClassifier(hidden_size=32, max_epochs=5 if options.quick else 30)
net.set_params(weight_decay=0, random_state=0).fit(X, y)  # the labels of all nodes
words = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression())
words.fit(X, y)  # its tokens have two letters or more: the labels are none
print(f"Deeper sentences: {net.score(deeper, truth):.3f}")
print(f"By words and pairs of words: {words.score(deeper, truth):.3f}")

sentence = ("not", ("slow", ("but", ("very", ("not", ("bad", ("but", "funny")))))))
TreeDisplay.from_estimator(net, sentence)
plt.savefig(options.output / "recursive.png", dpi=150)
