"""Inputs that once went wrong, by kind of fault, and their right outcomes."""

import numpy as np
import pytest

from sknets import PretrainedClassifier, RNNClassifier

rng = np.random.default_rng(0)


# -- silently wrong --------------------------------------------------------------------


@pytest.mark.parametrize("cell", ["rnn", "gru"])
def test_a_cell_without_memory_tells_large_from_small(cell):
    """Without biases the output is odd in x, so that |x| cannot be told."""
    X = np.random.default_rng(0).uniform(-1, 1, size=(300, 3, 1))
    y = np.abs(X[:, -1, 0]) > 0.5
    assert RNNClassifier(cell=cell, random_state=0).fit(X, y).score(X, y) > 0.95


# -- raw errors ------------------------------------------------------------------------


@pytest.mark.parametrize("class_weight", [None, "balanced"])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_pretraining_takes_labels_of_all_rows(early_stopping, class_weight):
    X = np.random.default_rng(0).normal(size=(60, 4))
    y = (X[:, 0] > 0.3).astype(int)
    classifier = PretrainedClassifier(
        hidden_layer_sizes=8,
        early_stopping=early_stopping,
        class_weight=class_weight,
        max_epochs=3,
        pretraining_epochs=1,
        random_state=0,
    )
    assert classifier.fit(X, y).predict(X).shape == (60,)
