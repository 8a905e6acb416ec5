"""A recurrent network that forecasts series."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from sknets._cells import CELLS
from sknets._engine.containers import Ragged
from sknets._engine.optim import Budget
from sknets._forecasting import Forecaster
from sknets._layers import Dropout, rescale
from sknets._params import param


class ForecastNet(nn.Module):
    """Layers of cells that read a window, and an output layer at its end.

    A batch is (B, steps, n_channels + n_exogenous): a step holds its values and the
    exogenous ones of the step after it; after ``window`` steps only the latter count.

    Parameters
    ----------
    n_channels, n_exogenous, window : int
    horizon : int or None
        Steps to forecast at once from the last state; None gives the next step after
        each one.
    """

    def __init__(
        self,
        n_channels: int,
        n_exogenous: int,
        window: int,
        horizon: int | None,
        cell: str,
        hidden_size: int,
        n_layers: int,
        dropout: float,
    ):
        super().__init__()
        widths = [n_channels + n_exogenous] + [hidden_size] * (n_layers - 1)
        self.layers = nn.ModuleList(CELLS[cell](width, hidden_size) for width in widths)
        self.dropout = Dropout(dropout)
        self.head = nn.Linear(hidden_size, n_channels * (horizon or 1))
        self.ahead: Any = None
        if horizon is not None and n_exogenous:
            self.ahead = nn.Sequential(
                nn.Linear(n_exogenous, hidden_size),
                nn.Tanh(),
                nn.Linear(hidden_size, n_channels),
            )
        self.n_channels, self.window, self.horizon = n_channels, window, horizon

    def rescale(self, factor: np.ndarray, shift: np.ndarray) -> None:
        """Say ``factor * output + shift``, each of shape (steps, C)."""
        rescale(self.head, factor.ravel(), shift.ravel())
        rescale(self.ahead, factor[0], np.zeros_like(factor[0]))

    def read(self, x: Tensor, carried: list | None = None) -> tuple[Tensor, list]:
        """The top states (T, B, H) for x (T, B, K), and what each layer ends with."""
        ends = []
        for i, layer in enumerate(self.layers):
            x = self.dropout(x) if i else x
            x, end = layer(x, None if carried is None else carried[i])
            ends.append(end)
        return self.dropout(x), ends

    def forward(self, windows: Ragged) -> Tensor:
        x = windows.values
        states, _ = self.read(x[:, : self.window].transpose(0, 1))
        if self.horizon is None:
            return self.head(states).transpose(0, 1).flatten(1)
        output = self.head(states[-1])
        if self.ahead is not None:
            known = x[:, self.window - 1 :, self.n_channels :]
            output = output + self.ahead(known).flatten(1)
        return output

    def roll(self, x: Tensor, n_steps: int) -> Tensor:
        """Forecasts (B, n_steps, C), each read as the next value; the state goes on."""
        states, carried = self.read(x[:, : self.window].transpose(0, 1))
        found = [self.head(states[-1])]
        for step in range(1, n_steps):
            at = self.window + step - 1  # beyond x without exogenous columns
            known = x.new_empty(len(x), 1, 0)
            if x.shape[2] > self.n_channels:
                known = x[:, at : at + 1, self.n_channels :]
            inputs = torch.cat([found[-1][:, None], known], 2).transpose(0, 1)
            states, carried = self.read(inputs, carried)
            found.append(self.head(states[-1]))
        return torch.stack(found, 1)


class RNNForecaster(Forecaster):
    """Recurrent network that forecasts series [1]_, with calibrated intervals.

    Parameters
    ----------
    horizon : int, default=12
        How many steps ahead to learn to forecast.
    window : int or "auto", default="auto"
        How many steps the network reads; "auto" are two seasons or 24, at most a fifth
        of the shortest series.
    strategy : {"auto", "direct", "recursive"}, default="auto"
        "direct" forecasts all steps of the horizon at once from the last state,
        "recursive" the next one, which is then read as if it had come [2]_. "auto"
        tries both, see the notes.
    transformation : {"auto", "log", "sqrt"} or None, default="auto"
        What is taken of the values first. "auto" tries the logarithm if all values are
        positive, and takes it if that lessens the error by a fifth.
    difference : {"auto", "first", "seasonal", "both"} or None, default="auto"
        What is forecast: the values, their change, their change since a season ago, or
        the change of that. "auto" tries all but the last.
    season : int, "auto" or None, default="auto"
        Steps of a season. "auto" proposes the highest peak in the autocorrelation of
        the changes; None rules a season out.
    n_ensemble : int, default=2
        How many ways of "auto" forecast together, each by its own network: the best
        ones, and the forecast is their mean [5]_. 1 forecasts by the best alone.
    intervals : bool, default=True
        Whether errors of forecasts of the last part of the series are kept for
        `predict_interval`. False saves a fit where there is nothing else to choose.
    exogenous : list, default=None
        Names (of an array, positions) of columns of y that are not forecast but known
        in the future too. ``predict`` takes them as ``X_future``; `score`, searches
        and cross-validation find them in y.
    cell : {"lstm", "gru", "rnn"}, default="lstm"
        Long short-term memory [1]_, gated recurrent units, or Elman's plain cell.
    hidden_size : int, default=32
        Numbers in the state of a layer.
    n_layers : int, default=1
        Layers on top of each other; each reads the states of the one below.
    dropout : float, default=0.0
        The share of numbers switched off in training before each layer but the first,
        the output layer included; never from step to step.
    max_epochs : int or "auto", default="auto"
        How often training goes through the windows. "auto" are 40 epochs, or as many as
        make 200 steps.
    lr : float, default=0.01
        The highest learning rate of the schedule.
    lr_schedule : {"step", "cosine", "one_cycle", "plateau"}, default="one_cycle"
        See `sknets._estimator.Estimator`.
    gradient_clip : float, default=1.0
        Largest norm of a step's gradient.
    weight_decay : float, default=0.001
        L2 penalty of weight matrices.

    Attributes
    ----------
    strategy_, transformation_, difference_, season_, window_
        What was chosen, for ``net_``.
    treatment_ : Treatment
        The same in one, whose fields are named as the parameters are.
    members_ : list of RNNForecaster
        The others whose forecasts are averaged with those of ``net_``.
    selection_ : list of dict
        What was tried, the best first: the choices, their "error" (in units of that of
        taking each value for the next), over how many "fits" it is a mean, and whether
        it is "used".
    held_out_errors_ : ndarray of shape (n_origins, horizon, n_channels) or None
        Errors of forecasts of the last part, transformed and scaled.
    horizon_ : int
        The horizon of the fit.
    n_channels_, n_exogenous_ : int
        Columns that are forecast, and exogenous ones.
    channel_names_, exogenous_names_ : list or None
        Their names, if y or X was a DataFrame.
    panel_ : bool
        Whether several series were learned from.
    moments_ : list of (ndarray, ndarray), each of shape (n_channels_,)
        What the transformed differences of each series are centred and scaled by.
    x_mean_, x_scale_ : ndarray of shape (n_exogenous_,)
        What exogenous columns are centred and scaled by, if there are any.
    target_scale_ : ndarray of shape (n_channels_,)
        What the values to forecast are divided by in training, once scaled.
    history_ : KnownSeries
        The end of the series, as long as forecasts need it to go on.
    naive_error_ : ndarray of shape (n_channels_,)
        The mean absolute change from a value to the next: the unit of `score`.

    Notes
    -----
    y is one series: an array ``(n_times,)`` or ``(n_times, n_channels)``, a pandas
    Series, or a DataFrame whose columns are channels; or a panel of series of any
    lengths: a list or dict of these, an array ``(n_series, n_times, n_channels)``, a
    frame whose index has the levels series and time. What pandas came in goes out, with
    the index continued. All series of a panel train one network.

    How a series is differenced decides more than the network does, and no rule knows.
    So "auto" trains on the beginning of the series and forecasts its last part from
    rolling origins: every strategy and difference once, the best ones (at most four
    that err hardly more than the first) twice more with other seeds and shorter
    beginnings, then the logarithm likewise. A trial takes at most about 300 steps.
    Whatever is fixed is not tried, nor is a series that never changes. Nothing looks
    ahead; scales, too, are those of the beginning.
    The best two forecast together: which one is better is hardly known, and their mean
    is often better than either.

    Intervals are those of split conformal prediction [3]_ [4]_: for each step the
    quantile of the absolute errors in the last part, transformed and scaled. Errors of
    neighbouring origins are not independent and the future may differ from the past:
    the coverage is measured (``benchmarks/forecasting.py``), not guaranteed.

    Exogenous columns are differenced as y is; each step reads those of the next one.
    They are ``fit(y, X)`` and ``predict(12, X_future)``, matched by the names of the
    columns and, where both have an index, by date. scikit-learn's order, ``fit(X, y)``,
    is refused; in searches and cross-validation they are columns of y, see
    ``exogenous``.
    With ``early_stopping`` the end of each series is the validation set. A checkpoint
    keeps the training, not the choosing, which is repeated.

    Training is the same for all estimators: for ``optimizer``, ``early_stopping``,
    ``warm_start``, ``precision``, ``device``, ``random_state``, ``verbose``,
    ``callbacks`` and the rest, and for ``net_``, ``loss_curve_`` and the other
    attributes of training, see `sknets._estimator.Estimator`.

    References
    ----------
    .. [1] S. Hochreiter, J. Schmidhuber. Long Short-Term Memory. Neural Computation 9,
       1997.
    .. [2] S. Ben Taieb, G. Bontempi, A. F. Atiya, A. Sorjamaa. A Review and Comparison
       of Strategies for Multi-step Ahead Time Series Forecasting. Expert Systems with
       Applications 39, 2012.
    .. [3] V. Vovk, A. Gammerman, G. Shafer. Algorithmic Learning in a Random World.
       Springer 2005.
    .. [4] J. Lei, M. G'Sell, A. Rinaldo, R. J. Tibshirani, L. Wasserman.
       Distribution-Free Predictive Inference for Regression. JASA 113, 2018.
    .. [5] J. M. Bates, C. W. J. Granger. The Combination of Forecasts. Operational
       Research Quarterly 20, 1969.

    Examples
    --------
    >>> import numpy as np
    >>> from sknets import RNNForecaster
    >>> t = np.arange(160)
    >>> noise = np.random.default_rng(0).normal(size=160)
    >>> y = 20 + 5 * np.sin(2 * np.pi * t / 12) + noise
    >>> rnn = RNNForecaster(strategy="direct", transformation=None, max_epochs=10)
    >>> rnn.set_params(random_state=0).fit(y[:148]).season_
    12
    >>> bool(np.abs(rnn.predict() - y[148:]).mean() < 2)
    True
    >>> lower, upper = rnn.predict_interval(coverage=0.8)

    In a search the series is cut in the order of time:

    >>> from sklearn.model_selection import TimeSeriesSplit, cross_val_score
    >>> rnn = RNNForecaster(horizon=4, strategy="direct", difference="seasonal")
    >>> rnn.set_params(season=12, transformation=None, intervals=False, max_epochs=5)
    RNNForecaster(...)
    >>> cross_val_score(rnn, y, cv=TimeSeriesSplit(2, test_size=12)).shape
    (2,)
    """

    cell: Literal["lstm", "gru", "rnn"] = param(default="lstm")
    hidden_size: int = param(default=32, at_least=1)
    n_layers: int = param(default=1, at_least=1)
    dropout: float = param(default=0.0, at_least=0, below=1)
    _budget = Budget(epochs=40, steps=200)
    lr: float = param(default=1e-2, above=0)
    lr_schedule: Literal["step", "cosine", "one_cycle", "plateau"] | None = param(
        default="one_cycle"
    )
    gradient_clip: float | None = param(default=1.0, above=0)
    weight_decay: float = param(default=1e-3, at_least=0)

    @property
    def _n_threads(self) -> int | None:
        # Threads wait for each other after every step of a window: on a busy machine
        # two of them are many times slower than one.
        return 1 if self.batch_size * self.hidden_size**2 < 2**20 else None

    def _build(self) -> nn.Module:
        return ForecastNet(
            self.n_channels_,
            self.n_exogenous_,
            self.window_,
            self.horizon_ if self.strategy_ == "direct" else None,
            self.cell,
            self.hidden_size,
            self.n_layers,
            self.dropout,
        )


__all__ = ["ForecastNet", "RNNForecaster"]
