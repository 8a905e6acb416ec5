"""The network that reads aloud: some frames of sound at a time, by those before."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sknets._engine.containers import Ragged
from sknets._layers import Dropout, Standardize
from sknets.sequence_to_sequence._memory import Memory

_CELLS: dict[str, Any] = {"lstm": nn.LSTMCell, "gru": nn.GRUCell}
# Of what was just said so much is hidden: it must be read, not gone on with.
_HIDDEN = 0.5
# An end weighs so much more than the steps that are none.
_END = 5.0
# How far from the straight line from beginning to end eyes may be.
_WIDTH = 0.3


class Speaker(nn.Module):
    """Cells that go through a memory as a finger goes along a line [Graves 2013].

    Each step moves the finger forwards, by how much and how wide it looks the cells
    tell; what it points at goes into them at the next step.
    """

    def __init__(self, cell: str, n_inputs: int, width: int, dropout: float):
        super().__init__()
        self.cell = _CELLS[cell](n_inputs + width, width)
        self.bridge = nn.Linear(width, width)
        self.finger = nn.Linear(width, 2)
        self.dropout = Dropout(dropout)

    def begin(self, memory: Memory) -> Any:
        """States of cells, what is pointed at, where, and the memory."""
        state = self.bridge(memory.mean()).tanh()
        lstm = isinstance(self.cell, nn.LSTMCell)
        states = (state, torch.zeros_like(state)) if lstm else (state,)
        place = state.new_zeros(len(state), 1)
        return states, torch.zeros_like(state), place, memory

    def forward(self, x: Tensor, cache: Any) -> tuple[Tensor, Tensor, Any]:
        """(B, C) -> (B, 2 d), of states and of what is read; (B, S), where it is."""
        states, seen, place, memory = cache
        given = states if len(states) == 2 else states[0]
        found = self.cell(torch.cat([x, seen], 1), given)
        states = found if len(states) == 2 else (found,)
        move, width = F.softplus(self.finger(states[0])).unbind(1)
        place = place + move[:, None]
        tokens = torch.arange(memory.states.shape[1], device=x.device)
        scores = -((tokens - place) / (0.3 + width[:, None])).square()
        if memory.mask is not None:
            scores = scores.masked_fill(~memory.mask, -torch.inf)
        look = scores.softmax(1)
        seen = (look[:, None] @ memory.states)[:, 0]
        out = self.dropout(torch.cat([states[0], seen], 1))
        return out, look, (states, seen, place, memory)


class SpeakingNet(nn.Module):
    """``module(x)`` is what was read, ``module.say`` says it.

    Parameters
    ----------
    read : nn.Module
        ``read(x)`` gives a `Memory`.
    standardize : Standardize
        Of the bands of frames.
    cell : {"lstm", "gru"}
    width : int
    dropout : float
    together : int
        Frames of a step.
    unit : float
        By which the sum of the losses of a text's frames is divided: so many it has.
    """

    def __init__(
        self,
        read: nn.Module,
        standardize: Standardize,
        cell: str,
        width: int,
        dropout: float,
        together: int,
        unit: float,
    ):
        super().__init__()
        self.read, self.standardize = read, standardize
        self.n_bands, self.together, self.unit = len(standardize.factor), together, unit
        size = self.n_bands * together
        self.before = nn.Sequential(
            nn.Linear(size, width),
            nn.ReLU(inplace=True),
            Dropout(_HIDDEN),
            nn.Linear(width, width),
            nn.ReLU(inplace=True),
            Dropout(_HIDDEN),
        )
        self.speaker = Speaker(cell, width, width, dropout)
        self.frames, self.end = nn.Linear(2 * width, size), nn.Linear(2 * width, 1)

    def forward(self, x: Any) -> Memory:
        return self.read(x)

    def loss(self, x: Ragged, y: Ragged) -> dict[str, Tensor]:  # each (B,)
        """Of frames, of the step that ends, and of looking far from where it is said.

        The last is that of [Tachibana et al. 2018].
        """
        steps = self._steps(y)
        states, looks = self._run(steps, self.read(x))
        n = y.counts.to(steps.device)
        last = -(-n // self.together)[:, None] - 1
        place = torch.arange(steps.shape[1], device=steps.device)
        real = place <= last
        far = (self.frames(states) - steps).abs().unflatten(2, (-1, self.n_bands))
        frame = torch.arange(far.shape[1] * self.together, device=steps.device)
        far = far.mean(3).flatten(1) * (frame < n[:, None])
        wish = (place == last).to(states.dtype)
        weight = torch.where(wish > 0, _END, 1.0)
        ends = F.binary_cross_entropy_with_logits(
            self.end(states)[..., 0], wish, weight, reduction="none"
        )
        seen = torch.arange(looks.shape[2], device=steps.device)
        seen = seen / x.counts.to(steps.device)[:, None]
        apart = (place / (last + 1))[:, :, None] - seen[:, None]
        strange = 1 - torch.exp(-apart.square() / (2 * _WIDTH**2))
        lost = (looks * strange).sum(2)
        share = self.together / self.unit
        return {
            "frames": far.sum(1) / self.unit,
            "end": (ends * real).sum(1) * share / 2,
            "attention": (lost * real).sum(1) * share,
        }

    def say(self, memory: Memory, most: int) -> list[tuple[Tensor, Tensor]]:
        """Of each text frames (T, n_bands), and what each step looks at (steps, S).

        There are at most so many steps.
        """
        cache = self.speaker.begin(memory)
        size = len(memory.states)
        said = memory.states.new_zeros(size, self.n_bands * self.together)
        ends = torch.full((size,), most, device=said.device)
        steps: list[Tensor] = []
        looks: list[Tensor] = []
        while len(steps) < most and int(ends.max()) > len(steps):
            state, look, cache = self.speaker(self.before(said), cache)
            said = self.frames(state)
            steps.append(said)
            looks.append(look)
            ended = (self.end(state)[:, 0] > 0) & (ends > len(steps))
            ends = ends.masked_fill(ended, len(steps))
        frames = torch.stack(steps, 1).unflatten(2, (-1, self.n_bands)).flatten(1, 2)
        frames = self.standardize.inverse(frames)
        return [
            (own[: self.together * end], look[:end])
            for own, look, end in zip(frames, torch.stack(looks, 1), ends.tolist())
        ]

    def _run(self, steps: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """What is said and looked at where these are the steps: (B, T, ...)."""
        cache = self.speaker.begin(memory)
        before = self.before(F.pad(steps[:, :-1], (0, 0, 1, 0)))
        states, looks = [], []
        for x in before.unbind(1):
            state, look, cache = self.speaker(x, cache)
            states.append(state)
            looks.append(look)
        return torch.stack(states, 1), torch.stack(looks, 1)

    def _steps(self, y: Ragged) -> Tensor:  # (B, steps, together * n_bands)
        frames = self.standardize(y.padded())
        if y.mask is not None:
            frames = frames.masked_fill(~y.mask[:, :, None], 0)
        frames = F.pad(frames, (0, 0, 0, -frames.shape[1] % self.together))
        return frames.unflatten(1, (-1, self.together)).flatten(2)


__all__ = ["SpeakingNet"]
