"""What the library itself hangs on a net's epochs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from sklearn import callback
from tqdm.auto import tqdm

from sknets._engine._skorch import Callback
from sknets._engine.device import to_numpy, to_torch
from sknets._engine.net import StopPhase, StopTraining

Fit = TypeVar("Fit", bound=Callable[..., Any])


def with_callbacks(fit: Fit) -> Fit:
    """scikit-learn's decorator of `fit`, for type checkers: it has no types itself."""
    return callback.with_callbacks(fit)


class Resumable(Callback):
    """A callback whose state belongs to the fit's, and so into its checkpoint."""

    def state(self) -> dict[str, Any]:
        """What it has gathered, as numpy arrays, numbers and strings."""
        raise NotImplementedError

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state; called after ``on_phase_begin``."""
        raise NotImplementedError


class BestWeights(Resumable):
    """End a phase when the validation loss no longer falls, with the best weights.

    Parameters
    ----------
    patience : int
        Epochs without an improvement after which training stops.
    tol : float
        The fall in loss that counts as an improvement.
    """

    def __init__(self, patience: int, tol: float):
        self.patience, self.tol = patience, tol

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        self.best_loss_, self.best_, self.misses_ = float("inf"), None, 0

    def on_phase_begin(self, net, phase):
        self.on_train_begin(net)

    def on_epoch_end(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        loss = net.history[-1]["valid_loss"]
        # The weights follow every fall, patience only those that are worth waiting for.
        self.misses_ = 0 if loss < self.best_loss_ - self.tol else self.misses_ + 1
        if loss < self.best_loss_:
            self.best_loss_ = loss
            state = net.module_.state_dict()
            self.best_ = {name: value.clone() for name, value in state.items()}
        if self.misses_ >= self.patience:
            raise StopPhase

    def on_phase_end(self, net, phase):
        if self.best_ is not None:
            net.module_.load_state_dict(self.best_)
            self.best_ = None

    def state(self) -> dict[str, Any]:
        best = to_numpy(self.best_)
        return {"loss": self.best_loss_, "weights": best, "misses": self.misses_}

    def restore(self, state: dict[str, Any]) -> None:
        self.best_loss_, self.misses_ = state["loss"], state["misses"]
        self.best_ = to_torch(state["weights"])


class Progress(Callback):
    """A bar over the epochs of a fit, in terminals and in notebooks.

    ``before`` is how many the net had gone through before the fit; what a checkpoint
    holds of it is done when the bar appears. A phase that is not counted has its own.
    """

    def __init__(self, description: str, epochs: int, before: int = 0):
        self.description, self.epochs, self.before = description, epochs, before

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        self.bar_ = tqdm(
            total=self.epochs,
            initial=len(net.history) - self.before,
            desc=self.description,
            unit="epoch",
        )

    def on_uncounted_epoch(self, net, phase):
        if getattr(self, "before_", None) is None:
            self.before_ = tqdm(total=phase.epochs, initial=net._done - 1, unit="epoch")
            self.before_.set_description(f"{self.description}, {phase.name}")
        self.before_.update()

    def on_phase_end(self, net, phase):
        if getattr(self, "before_", None) is not None:
            self.before_.close()
            self.before_ = None

    def on_epoch_end(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        row = net.history[-1]
        names = ("train_loss", "valid_loss", "valid_score")
        shown = {n: f"{row[n]:.4g}" for n in names if row.get(n) is not None}
        self.bar_.set_postfix(shown, refresh=False)
        self.bar_.update()

    def on_train_end(self, net, X=None, y=None, **kwargs):
        self.bar_.close()


class ScikitLearnCallbacks(Callback):
    """Bridge to scikit-learn's callback protocol: every epoch is a task of the fit.

    The protocol is young; this class is all that knows it, but for the estimator's
    `fit`, which owns the root context.
    """

    def __init__(
        self,
        estimator: Any,
        context: Any,
        data: dict[str, Any],
        reconstruct: Callable[[], dict[str, Any]],
    ):
        self.estimator, self.context = estimator, context
        self.data, self.reconstruct = data, reconstruct

    def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        self.task_ = self.context.subcontext(task_name="epoch")
        self.task_.call_on_fit_task_begin(estimator=self.estimator, **self.data)

    def on_epoch_end(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        # Scores are of the net as it predicts; the next epoch sets it back to training.
        net._set_training(False)
        stop = self.task_.call_on_fit_task_end(
            estimator=self.estimator,
            reconstruction_attributes=self.reconstruct,
            **self.data,
        )
        if stop:
            raise StopTraining

    def on_train_end(self, net, X=None, y=None, **kwargs):
        # The net outlives the fit; the data that it saw need not.
        self.data, self.task_ = {}, None
        self.estimator = self.context = self.reconstruct = None


__all__ = [
    "BestWeights",
    "Progress",
    "Resumable",
    "ScikitLearnCallbacks",
    "with_callbacks",
]
