"""Recursive networks: sentiment, deeper formulas than trained on, the cost of a node.

The Stanford Sentiment Treebank [Socher et al. 2013], five classes at the roots of the
dev set, learned from the labels of all nodes without pretrained vectors, default
parameters, beside TF-IDF and LinearSVC on all phrases (folder --data, files
sentiment_treebank/train.txt and dev.txt). Boolean formulas of up to four levels to
learn, of five to seven to tell, by a Tree-LSTM and by an LSTM over the same tokens,
from the values of roots alone. Values and gradients of a batch of 64 trees beside the
same cells evaluated node by node. One thread, CPU time.

    python benchmarks/recursive.py [--data DIR] [--repeats 3] [--quick]

The number of seeds is --repeats.
"""

from __future__ import annotations

import re
import time

import _measure
import numpy as np
import torch
from _measure import Figure, one_thread, report
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from sknets import RecursiveClassifier, RNNClassifier
from sknets._inputs.trees import read_trees
from sknets.recursive._cells import CELLS
from sknets.recursive._nets import RecursiveNet

TOKENS = ["(", ")", "and", "or", "not", "true", "false"]


def treebank(folder, seeds):
    paths = [] if folder is None else [folder / "sentiment_treebank" / f"{name}.txt"
                                       for name in ("train", "dev")]  # fmt: skip
    if not paths or not all(path.exists() for path in paths):
        print("Sentiment treebank skipped: no data")
        return
    train, dev = (path.read_text().strip().split("\n") for path in paths)
    y, y_dev = (np.array([int(tree[1]) for tree in trees]) for trees in (train, dev))
    scores, seconds = [], []
    for seed in range(seeds):
        start = time.process_time()
        net = RecursiveClassifier(random_state=seed).fit(train, y)
        seconds.append(time.process_time() - start)
        scores.append(net.score(dev, y_dev))
    phrases, labels = all_phrases(train)
    svc = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LinearSVC())
    sentences = [" ".join(re.findall(r"([^()\s]+)\)", tree)) for tree in dev]
    peer = svc.fit(phrases, labels).score(sentences, y_dev)
    claim = "accuracy: sentiment of sentences, five classes"
    details = {"lowest": min(scores), "highest": max(scores), "TF-IDF + SVC": peer}
    yield Figure(claim, "dev", float(np.mean(scores)), "", None, 0.44, details)
    claim = "fit: the sentiment treebank"
    yield Figure(claim, "8,544 trees", float(np.mean(seconds)), "CPU s", 120)


def all_phrases(trees):
    """The words and the label of every node."""
    forest = read_trees("", trees, False, False)
    words, ends = forest.words.tolist(), np.arange(1, len(forest.words) + 1)
    parents = (forest.parents + forest.starts[:-1].repeat_interleave(
        forest.starts.diff())).tolist()  # fmt: skip
    roots = set(forest.starts[:-1].tolist())
    for node in range(len(words) - 1, -1, -1):
        if node not in roots:
            ends[parents[node]] = max(ends[parents[node]], ends[node])
    texts = forest.texts
    phrases = [
        " ".join(texts[word] for word in words[node:end] if word >= 0)
        for node, end in enumerate(ends.tolist())
    ]
    return phrases, forest.labels.astype(int)


def formula(random, depth):
    """A formula of so many levels, and whether it is true."""
    if not depth:
        value = bool(random.integers(2))
        return str(value).lower(), value
    sign = ("and", "or", "not")[random.integers(3)]
    left, a = formula(random, depth - 1)
    if sign == "not":
        return (sign, left), not a
    right, b = formula(random, int(random.integers(depth)))
    if random.random() < 0.5:
        left, right = right, left
    return (sign, left, right), (a and b if sign == "and" else a or b)


def formulas(n, depths, seed):
    random = np.random.default_rng(seed)
    pairs = [formula(random, int(random.choice(depths))) for _ in range(n)]
    return [tree if isinstance(tree, tuple) else (tree,) for tree, _ in pairs], [
        value for _, value in pairs
    ]


def one_hot(trees):
    tokens = [re.findall(r"[()]|\w+", str(tree)) for tree in trees]
    return [np.eye(len(TOKENS))[[TOKENS.index(t) for t in each]] for each in tokens]


def deeper(seeds):
    shallow, values = formulas(3000, [1, 2, 3, 4], 0)
    deep, deep_values = formulas(1000, [5, 6, 7], 1)
    common = {"hidden_size": 64, "max_epochs": 20}
    scores = []
    for seed in range(seeds):
        tree = RecursiveClassifier(**common, lr=5e-3, weight_decay=0, random_state=seed)
        scores.append(tree.fit(shallow, values).score(deep, deep_values))
    line = RNNClassifier(**common, random_state=0).fit(one_hot(shallow), values)
    claim = "accuracy: formulas deeper than those trained on"
    details = {
        "lowest": min(scores),
        "LSTM": line.score(one_hot(deep), deep_values),
        "LSTM, as deep": line.score(one_hot(shallow), values),
        "share of true": float(np.mean(deep_values)),
    }
    yield Figure(claim, "5 to 7 levels", float(np.mean(scores)), "", None,
                 details["LSTM"] + 0.02, details)  # fmt: skip


def node_by_node(net, cell, tree, vocabulary):
    """The state of a root by a call a node."""
    if isinstance(tree, str):
        x = net.words.weight[vocabulary[tree]]
        if net.leaf is None:
            return (x,)
        o, i, u = net.leaf(x).chunk(3)
        memory = i.sigmoid() * u.tanh()
        return o.sigmoid() * memory.tanh(), memory
    parts = [node_by_node(net, cell, child, vocabulary) for child in tree]
    weight, bias, *more = net.weights
    if cell == "child_sum":
        o, i, u = (weight @ (parts[0][0] + parts[1][0]) + bias).chunk(3)
        kept = [(more[0] @ h + more[1]).sigmoid() * c for h, c in parts]
        memory = i.sigmoid() * u.tanh() + kept[0] + kept[1]
        return o.sigmoid() * memory.tanh(), memory
    both = torch.cat([parts[0][0], parts[1][0]])
    z = weight @ both + bias
    if cell == "tree_lstm":
        o, i, f, g, u = z.chunk(5)
        memory = i.sigmoid() * u.tanh()
        memory = memory + f.sigmoid() * parts[0][1] + g.sigmoid() * parts[1][1]
        return o.sigmoid() * memory.tanh(), memory
    if cell == "rntn":
        n = len(both)
        z = z + (more[0].view(-1, n, n) @ both) @ both
    return (z.tanh(),)


def branching(random, n):
    """A random binary tree of n words."""
    if n == 1:
        return f"word{random.integers(500)}"
    left = int(random.integers(1, n))
    return branching(random, left), branching(random, n - left)


def throughput(repeats):
    random = np.random.default_rng(0)
    trees = [branching(random, int(random.integers(10, 30))) for _ in range(64)]
    for cell in CELLS:
        forest = read_trees("", trees, cell != "child_sum", False)
        vocabulary = {text: i + 1 for i, text in enumerate(forest.texts)}
        forest.encode(vocabulary)
        net = RecursiveNet(len(vocabulary) + 1, 2, cell, 32, 0.0, None)

        def together(net=net, forest=forest):
            net.features(forest.batch(slice(None))).sum().backward()

        def one_by_one(net=net, cell=cell, vocabulary=vocabulary):
            roots = [node_by_node(net, cell, tree, vocabulary)[0] for tree in trees]
            torch.stack(roots).sum().backward()

        seconds = _measure.interleaved(
            {"together": together, "one by one": one_by_one}, repeats
        )
        pairs = zip(seconds["one by one"], seconds["together"])
        yield Figure(
            "nodes a second: by heights / node by node",
            cell,
            float(np.median([a / b for a, b in pairs])),
            at_least=20,
            details={"ours s": float(np.median(seconds["together"]))},
        )


def main():
    options = _measure.options(__doc__, repeats=3, data=True)
    one_thread()
    seeds = 1 if options.quick else options.repeats
    figures = [*throughput(max(3, options.repeats)), *deeper(seeds)]
    figures += treebank(options.data, seeds)
    report("recursive", figures, keep=not options.quick)


if __name__ == "__main__":
    main()
