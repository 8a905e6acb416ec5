"""Language models: one that writes about Python, one that reads opinions.

The texts are Python's own help, and opinions in which a word turns another around.
Saves language_models_loss.png and language_models_attention.png; `--quick` takes
seconds. Needs `pip install "sknets[text,plot]"`.
"""

import argparse
from pathlib import Path
from pydoc_data.topics import topics

import matplotlib
import numpy as np

from sknets import AttentionDisplay, BERTClassifier, RNNGenerator

matplotlib.use("agg")
import matplotlib.pyplot as plt

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--quick", action="store_true", help="few texts and epochs")
parser.add_argument("--output", type=Path, default=Path(), help="folder")
options = parser.parse_args()
epochs = 2 if options.quick else 12

# 1. What comes next? Paragraphs of Python's help, of which each tenth is kept back.
texts = [part for text in topics.values() for part in text.split("\n\n")]
texts = [" ".join(text.split()) for text in texts if len(text.split()) > 20]
texts = texts[:80] if options.quick else texts
train = [text for i, text in enumerate(texts) if i % 10]
model = RNNGenerator(max_epochs=epochs, dropout=0.4, random_state=0).fit(train)
print(f"Perplexity of {len(texts[::10])} others: {model.perplexity(texts[::10]):.0f}")
print(model.generate("the value", max_length=30, top_p=0.8, random_state=0)[0])
print("a function ...", model.complete("a function ", 3))
print("the expr ...", model.complete("the expr", 3, max_length=3))

fig, ax = plt.subplots(figsize=(5, 3), layout="constrained")
ax.plot(range(1, model.n_iter_ + 1), np.exp(model.loss_curve_))
ax.set(xlabel="epoch", ylabel="perplexity in training", yscale="log")
ax.locator_params(axis="x", integer=True)
fig.savefig(options.output / "language_models_loss.png", dpi=150)

# 2. Which opinion? "not" turns the word after it around, wherever it stands.
random = np.random.default_rng(0)
words = random.choice(["film", "plot", "was", "not", "very"], (1000, 6))
at, good = random.integers(1, 6, 1000), random.integers(0, 2, 1000)
words[np.arange(1000), at] = np.array(["bad", "good"])[good]
y = good ^ (words[np.arange(1000), at - 1] == "not")
X = [" ".join(text) for text in words]
net = BERTClassifier(
    pretrained=None, tfidf=False, max_epochs=epochs, lr=2e-3, random_state=0
)
net.set_params(pretraining_epochs=1).fit(X[:800], y[:800])
print(f"Accuracy on 200 new opinions: {net.score(X[800:], y[800:]):.3f}")
turned = next(text for text in X[800:] if "not good" in text)
picture = AttentionDisplay.from_estimator(net, turned).figure_
picture.savefig(options.output / "language_models_attention.png", dpi=150)
print(f"Pictures: {options.output.resolve()}")
