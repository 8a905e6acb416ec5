"""The seams: what a chapter that nobody has written yet may stand on.

Private estimators of kinds that the chapters have not: text to text, two players, y a
list of dicts, training that is not skorch's.
"""

import copy
import pickle
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.base import clone
from skorch.callbacks import Callback
from torch import nn

from sknets import _state
from sknets._decoding import GreedySearch
from sknets._engine.checkpoint import FORMAT
from sknets._engine.containers import Container, Ragged, Together, Values, take
from sknets._engine.data import Samples
from sknets._engine.digest import digest
from sknets._engine.players import Phase, Player
from sknets._estimator import Estimator
from sknets._inputs.table import Table
from sknets._inputs.text import EMPTY, N_RESERVED, Text
from sknets._params import param
from sknets._unsupervised import Encoder, Sampler

X = np.random.RandomState(0).randn(60, 4).astype(np.float32)


class StopAt(Callback):
    """Ctrl-C when an epoch begins."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        if len(net.history) == self.epoch:
            raise KeyboardInterrupt


def same_after_ctrl_c(estimator, X, y, path, epoch=3, **fit):
    """The state of a whole fit; one stopped within an epoch and run again equals it."""
    arguments = (X,) if y is None else (X, y)
    whole = clone(estimator).fit(*arguments, **fit)
    stopped = clone(estimator).set_params(checkpoint=path, callbacks=[StopAt(epoch)])
    with pytest.raises(KeyboardInterrupt):
        stopped.fit(*arguments, **fit)
    assert _state.read(path, FORMAT)[1]["done"] == epoch - 1
    again = clone(estimator).set_params(checkpoint=path).fit(*arguments, **fit)
    assert digest(weights(whole)) == digest(weights(again))
    assert whole.loss_curve_ == again.loss_curve_
    return whole


def weights(estimator):
    return estimator.net_.state()["weights"]
