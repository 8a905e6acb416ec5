"""Word embeddings: a map of the words of 300 news stories, and what is near what.

Saves embeddings.png; `--quick` takes seconds.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from gensim.test.utils import datapath
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS
from sklearn.manifold import TSNE

from sknets import FastTextVectorizer, GloVeVectorizer, Word2VecVectorizer

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--quick", action="store_true", help="few epochs")
parser.add_argument("--output", type=Path, default=Path(), help="folder")
options = parser.parse_args()

stories = datapath("lee_background.cor")  # a story a line: read from the disk
given = {"embedding_size": 50, "random_state": 0}
if options.quick:
    given["max_epochs"] = 2

# 1. Three ways to learn a vector a word; FastText has one for words it has never seen.
for kind in (Word2VecVectorizer, GloVeVectorizer, FastTextVectorizer):
    words = kind(**given).fit(stories)
    near = ", ".join(word for word, _ in words.most_similar("police", k=5))
    print(f"{kind.__name__}: police is near {near}")
print("bushfirefighter is near", words.most_similar("bushfirefighter", k=3)[0][0])

# 2. Stories by their words: which is most like the first one?
words = Word2VecVectorizer(**given, pooling="sif").fit(stories)
vectors = words.transform(stories)
unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
lines = Path(stories).read_text(encoding="utf-8").split("\n")
for place in (0, int((unit @ unit[0])[1:].argmax()) + 1):
    print(f"{place:3}: {lines[place][:70]} ...")

# 3. A map: words that are used alike lie together.
known = [w for w in words.vocabulary_ if w.isalpha() and w not in ENGLISH_STOP_WORDS]
known = [word for word in known if len(word) > 2][:90]
places = words.vectors_[[words.vocabulary_[word] for word in known]]
places /= np.linalg.norm(places, axis=1, keepdims=True)
at = TSNE(perplexity=8, init="pca", random_state=0).fit_transform(places)
figure, ax = plt.subplots(figsize=(9, 6), layout="constrained")
ax.scatter(*at.T, s=6, color="tab:orange")
for word, (x, y) in zip(known, at):
    ax.annotate(word, (x, y), xytext=(2, 2), textcoords="offset points", fontsize=8)
ax.set(xticks=[], yticks=[], title="The 90 most frequent words of 300 news stories")
figure.savefig(options.output / "embeddings.png", dpi=150)
