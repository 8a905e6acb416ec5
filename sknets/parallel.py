"""One fit by several processes, of one machine or of many."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import torch
import torch.distributed as dist

from sknets._engine.processes import Part, shared_fits


@contextlib.contextmanager
def data_parallel() -> Iterator[int]:
    """Share each fit within the block among all processes that run it.

    Started by ``torchrun`` or, on cards, by ``accelerate launch``, every process runs
    the same script: it reads the same X and y and fits the same estimator. Each
    computes a part of every batch, gradients are averaged, and all processes end with
    the same fitted estimator: the one that a single process would have, but for
    rounding, for dropout and augmentation, which each process draws itself, and for
    batch normalisation, which sees the parts. ``batch_size`` is that of the whole
    batch. Where a script runs alone nothing changes.

    The word vectors that gensim trains, and support vector machines on features, are
    not shared: each process trains its own.

    Yields
    ------
    rank : int
        Which of the processes this one is; let 0 save files and print.

    Raises
    ------
    ValueError
        If the processes fit an unequal number of rows.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sknets import FeedforwardClassifier, data_parallel
    >>> X, y = load_iris(return_X_y=True)
    >>> with data_parallel() as rank:
    ...     net = FeedforwardClassifier(random_state=0).fit(X, y)
    >>> rank
    0
    """
    launched = int(os.environ.get("WORLD_SIZE", 1)) > 1
    if launched and not dist.is_initialized():
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)))
        dist.init_process_group()
    if not dist.is_initialized() or dist.get_world_size() == 1:
        yield 0
        return
    part = Part()
    with shared_fits(part):
        yield part.rank


__all__ = ["data_parallel"]
