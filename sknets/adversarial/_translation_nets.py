"""The networks of pix2pix: a U-Net that draws, and a judge of patches of pairs."""

from __future__ import annotations

import itertools
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sknets._layers import BatchNorm2d, Dropout
from sknets.adversarial._games import GAMES, mixed, slope_penalty

_SLOPE = 0.2


class DrawingNet(nn.Module):
    """Images (B, C, H, W) to images (B, K, H, W): halved ``depth`` times and back.

    What each level saw is beside what comes up to it, and the image itself at the end.
    """

    def __init__(
        self,
        n_channels: int,
        n_outputs: int,
        width: int,
        depth: int,
        dropout: float,
        bounded: bool,
    ):
        super().__init__()
        self.stride, self.bounded = 2**depth, bounded
        widths = [n_channels, *(min(width * 2**i, 8 * width) for i in range(depth))]
        self.down = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(n, m, 4, 2, 1, bias=i == 0),
                BatchNorm2d(m) if i else nn.Identity(),
                nn.LeakyReLU(_SLOPE, True),
            )
            for i, (n, m) in enumerate(itertools.pairwise(widths))
        )
        backwards = [*widths[:0:-1], width]
        self.up = nn.ModuleList(
            nn.Sequential(
                nn.ConvTranspose2d(n if i == 0 else 2 * n, m, 4, 2, 1, bias=False),
                BatchNorm2d(m),
                Dropout(dropout if i < depth - 1 else 0),
                nn.ReLU(True),
            )
            for i, (n, m) in enumerate(itertools.pairwise(backwards))
        )
        self.head = nn.Conv2d(width + n_channels, n_outputs, 3, padding=1)
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        beyond = -width % self.stride, -height % self.stride
        if any(beyond):
            x = F.pad(x, (0, beyond[0], 0, beyond[1]), mode="replicate")
        beside = [x]
        for block in self.down:
            beside.append(block(beside[-1]))
        z = beside.pop()
        for i, block in enumerate(self.up):
            z = block(z if i == 0 else torch.cat([z, beside.pop()], 1))
        z = self.head(torch.cat([z, x], 1))[:, :, :height, :width]
        return z.tanh() if self.bounded else z


class PatchJudge(nn.Module):
    """Pairs of images (B, C + K, H, W) to a number for each patch, (B, P)."""

    def __init__(self, n_channels: int, width: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(n_channels, width, 4, 2, 1),
            nn.LeakyReLU(_SLOPE, True),
            nn.Conv2d(width, 2 * width, 4, 2, 1),
            nn.LeakyReLU(_SLOPE, True),
            nn.Conv2d(2 * width, 1, 3, padding=1),
            nn.Flatten(),
        )
        self.to(memory_format=torch.channels_last)

    def forward(self, pairs: Tensor) -> Tensor:
        height, width = pairs.shape[2:]
        if min(height, width) < 4:
            pairs = F.pad(pairs, (0, max(0, 4 - width), 0, max(0, 4 - height)))
        return self.layers(pairs)


class Translation(nn.Module):
    """Both, on images as they are read; what each lowers.

    Parameters
    ----------
    draw, judge : nn.Module
    read, read_target : nn.Module
        What brings pixels to the unit that networks compute in.
    game : str
    penalty, l1_weight, adversarial_weight : float
    """

    def __init__(
        self,
        draw: DrawingNet,
        judge: PatchJudge,
        read: nn.Module,
        read_target: nn.Module,
        game: str,
        penalty: float,
        l1_weight: float,
        adversarial_weight: float,
    ):
        super().__init__()
        self.draw, self.judge = draw, judge
        self.read, self.read_target = read, read_target
        self.game, self.penalty = GAMES[game], penalty
        self.l1_weight, self.adversarial_weight = l1_weight, adversarial_weight
        self.generator: torch.Generator | None = None
        self._made: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:  # as the network sees targets
        x = x.contiguous(memory_format=torch.channels_last)
        return self.draw(self.read(x))

    def discriminator_loss(self, x: Tensor, y: Tensor) -> Tensor:
        if not self.training:
            return x.new_zeros(())
        self._made = self(x)
        x, y, n = self.read(x), self.read_target(y), len(x)
        made = self._made.detach()
        scores = self.judge(torch.cat([torch.cat([x, y], 1), torch.cat([x, made], 1)]))
        loss = self.game.discriminator(scores[:n], scores[n:]) / 2
        if not self.penalty:
            return loss
        between = self.game.between
        part = mixed(y, made, self.generator) if between else y
        part = part.detach().requires_grad_()
        of_part = self.judge(torch.cat([x, part], 1)).mean(1).sum()
        (slopes,) = torch.autograd.grad(of_part, part, create_graph=True)
        return loss + self.penalty * slope_penalty(slopes, between)

    def generator_loss(self, x: Tensor, y: Tensor) -> Any:
        made, self._made = self._made, None
        if made is None:
            made = self(x)
        error = (made - self.read_target(y)).abs().mean((1, 2, 3))
        if not self.training:
            return error
        parts = {"l1": self.l1_weight * error}
        if self.adversarial_weight:
            scores = self.judge(torch.cat([self.read(x), made], 1))
            own = self.game.generator(scores)
            parts["adversarial"] = self.adversarial_weight * own
        return parts


__all__ = ["DrawingNet", "PatchJudge", "Translation"]
