"""BERT: tokens that attend to one another, from `transformers`, and what is on top."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sknets._attention import attend
from sknets._engine.containers import Ragged
from sknets._layers import Dropout

# So many windows are computed together: more are slower on a CPU, and take more memory.
_TOGETHER = 32
_MASKED = 0.15


def transformers_for(owner: str) -> Any:
    """The package transformers, which is an extra."""
    try:
        import transformers
    except ImportError as error:
        raise ImportError(
            f"{owner} needs the package transformers: pip install 'sknets[text]'"
        ) from error
    return transformers


def _attend(
    module: Any, query: Tensor, key: Tensor, value: Tensor, mask: Any, **_: Any
) -> tuple[Tensor, None]:
    """Attention as `transformers` calls it; its derivatives in bfloat16 are ours."""
    return attend(query, key, value, mask).transpose(1, 2), None


def with_own_noise(body: Any, dropout: float) -> Any:
    """The network with dropout that draws from the fit's own stream.

    Attention weights are not dropped: that would take twice the time.
    """
    for name, layer in list(body.named_modules()):
        if isinstance(layer, nn.Dropout):
            of_weights = "attn_dropout" in name or name.endswith(
                "attention.self.dropout"
            )
            body.set_submodule(name, Dropout(0.0 if of_weights else dropout))
    return body


class Windows(nn.Module):
    """Texts longer than a window as several windows; in training one of them at random.

    A text's windows have like lengths and do not overlap; each has the first and the
    last token of the text, [CLS] and [SEP], around it.
    """

    def __init__(self, size: int):
        super().__init__()
        self.size = size
        self.generator: torch.Generator | None = None

    def forward(self, x: Ragged, one: bool = False) -> tuple[Ragged, Tensor | None]:
        """Tokens of the windows, and the text of each, None where each has one.

        ``one`` asks for one of each text also where nothing is trained: the first.
        """
        counts, size = x.counts.to(x.values.device), self.size - 2
        if int(counts.max()) <= self.size:
            return x, None
        inner = counts - 2
        if self.training or one:
            lengths = inner.clamp(max=size)
            owner = torch.arange(len(counts), device=counts.device)
            first = torch.zeros_like(lengths)
            if self.training:
                share = torch.rand(
                    len(counts), generator=self.generator, device=counts.device
                )
                first = (share * (inner - lengths + 1)).long()
        else:
            n = (inner.clamp(min=1) + size - 1) // size
            owner = torch.arange(len(n), device=n.device).repeat_interleave(n)
            number = torch.arange(len(owner), device=n.device)
            number = number - (n.cumsum(0) - n)[owner]
            each = ((inner + n - 1) // n)[owner]
            first = number * each
            lengths = torch.minimum(each, inner[owner] - first)
        lengths = lengths + 2
        begin = lengths.cumsum(0) - lengths
        source = x.starts.to(first.device)[owner] + first - begin
        rows = torch.arange(int(lengths.sum()), device=first.device)
        values = x.join()
        tokens = values[rows + source.repeat_interleave(lengths)]
        tokens[begin] = values[0]
        tokens[begin + lengths - 1] = values[-1]
        if (lengths == lengths[0]).all():
            return Ragged(tokens.unflatten(0, (len(lengths), -1))), owner
        return Ragged(tokens, lengths), owner


class MaskedHead(nn.Module):
    """What token was there? A layer, and products with the vectors of all tokens."""

    def __init__(self, width: int, n_tokens: int):
        super().__init__()
        self.dense, self.norm = nn.Linear(width, width), nn.LayerNorm(width)
        self.bias = nn.Parameter(torch.zeros(n_tokens))

    def forward(self, states: Tensor, vectors: Tensor) -> Tensor:  # (N, d) -> (N, V)
        return F.linear(self.norm(F.gelu(self.dense(states))), vectors, self.bias)


class BertNet(nn.Module):
    """BERT [Devlin et al. 2019], pooling over the windows of a text, an output layer.

    Parameters
    ----------
    config : dict
        Of `transformers`.
    window : int
        Tokens of a window.
    pooling : {"mean", "cls", "max"}
    n_outputs : int or None
        None: the pooled vectors are the output.
    dropout : float
    mask : int or None
        The number of [MASK], if there is a head that tells masked tokens.
    normalize : bool
        Whether vectors are brought to length 1.
    """

    cls = None  # the tokens begin with it already

    def __init__(
        self,
        config: dict[str, Any],
        window: int,
        pooling: str,
        n_outputs: int | None,
        dropout: float,
        mask: int | None,
        normalize: bool = False,
    ):
        super().__init__()
        from transformers import (
            AttentionInterface,
            AttentionMaskInterface,
            BertConfig,
            BertModel,
        )
        from transformers.masking_utils import sdpa_mask

        AttentionInterface.register("sknets", _attend)
        AttentionMaskInterface.register("sknets", sdpa_mask)
        settings = BertConfig.from_dict({**config, "attn_implementation": "sknets"})
        body = BertModel(settings, add_pooling_layer=False)
        self.body = with_own_noise(body, dropout)
        self.windows = Windows(window)
        self.pooling, self.normalize, self.mask = pooling, normalize, mask
        self.n_features = settings.hidden_size
        self.dropout = Dropout(dropout)
        self.head = None
        if n_outputs is not None:
            self.head = nn.Linear(self.n_features, n_outputs)
            with torch.no_grad():  # the first steps do not have to undo a guess
                self.head.weight.mul_(0.1)
            nn.init.zeros_(self.head.bias)
        self.masked = None
        if mask is not None:
            self.masked = MaskedHead(self.n_features, settings.vocab_size)
        self.generator: torch.Generator | None = None

    def states(self, x: Ragged) -> Tensor:  # (B, T, 1) -> (B, T, d)
        mask = None if x.mask is None else x.mask.long()
        tokens = x.padded()[..., 0].long()
        return self.body(input_ids=tokens, attention_mask=mask).last_hidden_state

    def features(self, x: Any) -> Tensor:  # (B, T, 1) -> (B, d)
        x = x[0] if isinstance(x, tuple) else x
        pieces, owner = self.windows(x)
        if owner is None:
            found = self._pooled(pieces)
        else:
            found = torch.cat([*map(self._pooled, _few_at_a_time(pieces))])
            found = self._joined(found, pieces.counts, owner, len(x))
        return F.normalize(found, dim=1) if self.normalize else found

    def _pooled(self, x: Ragged) -> Tensor:
        states = self.states(x)
        if self.pooling == "cls":
            return states[:, 0]
        return x.mean(states) if self.pooling == "mean" else x.max(states)

    def _joined(self, found: Tensor, counts: Tensor, owner: Tensor, n: int) -> Tensor:
        """Of a text's windows the mean by their tokens, or the largest values."""
        if self.pooling == "max":
            index = owner[:, None].expand_as(found)
            table = found.new_zeros(n, found.shape[1])
            return table.scatter_reduce(0, index, found, "amax", include_self=False)
        weight = counts.to(found)[:, None]
        total = found.new_zeros(n, found.shape[1]).index_add(0, owner, found * weight)
        return total / found.new_zeros(n, 1).index_add(0, owner, weight)

    def forward(self, x: Any) -> Tensor:  # (B, T, 1) -> (B, K)
        found = self.features(x)
        if self.head is not None:
            found = self.head(self.dropout(found))
        # What a linear model says already, if there is one.
        return found + x[1] if isinstance(x, tuple) else found

    def restore(self, x: Any, y: Any) -> Tensor:
        """The loss of telling hidden tokens, each sixth or seventh of a window.

        Of ten hidden ones eight are [MASK], one is any token and one stays [1]_.

        References
        ----------
        .. [1] J. Devlin, M.-W. Chang, K. Lee, K. Toutanova. BERT. NAACL 2019.
        """
        assert self.masked is not None and self.mask is not None
        x = x[0] if isinstance(x, tuple) else x
        pieces, _ = self.windows(x, one=True)
        generator = self.generator
        if not self.training:  # the same tokens each time
            generator = torch.Generator(pieces.values.device).manual_seed(0)
        tokens = pieces.join()
        vectors = self.body.embeddings.word_embeddings.weight
        u, how = torch.rand((2, len(tokens)), generator=generator, device=tokens.device)
        counts = pieces.counts.to(tokens.device)
        ends = counts.cumsum(0)
        u[ends - counts] = u[ends - 1] = 1  # [CLS] and [SEP] stay
        hidden = u < _MASKED
        hidden[u.argmin()] = True  # of each batch there is something to learn
        places = hidden.nonzero()[:, 0]
        true, how = tokens[places, 0].long(), how[places]
        any_ = ((how - 0.8) * 10 * len(vectors)).long()  # where it is from .8 to .9
        given = torch.where(how < 0.9, any_.clamp(0, len(vectors) - 1), true)
        given = torch.where(how < 0.8, self.mask, given)
        corrupted = tokens.index_copy(0, places, given.to(tokens.dtype)[:, None])
        states = pieces.real(self.states(pieces.like(corrupted)))
        return F.cross_entropy(self.masked(states[places], vectors), true)

    def attention(self, x: Any) -> Tensor:  # -> (B, n_layers, n_heads, T, T)
        """Of samples of one length, of which the first window is shown."""
        x = x[0] if isinstance(x, tuple) else x
        tokens = x.padded()[:, : self.windows.size, 0].long()
        states, maps = self.body.embeddings(tokens), []
        for layer in self.body.encoder.layer:
            part = layer.attention.self
            query, key = (
                project(states).unflatten(2, (part.num_attention_heads, -1))
                for project in (part.query, part.key)
            )
            scores = torch.einsum("bthd,bshd->bhts", query, key)
            maps.append((scores / math.sqrt(query.shape[-1])).softmax(3))
            states = layer(states)
            states = states[0] if isinstance(states, tuple) else states
        return torch.stack(maps, 1)


def _few_at_a_time(x: Ragged) -> list[Ragged]:
    if x.lengths is None:
        return [Ragged(values) for values in x.values.split(_TOGETHER)]
    lengths = x.lengths.split(_TOGETHER)
    values = x.values.split([int(each.sum()) for each in lengths])
    return [*map(Ragged, values, lengths)]


__all__ = ["BertNet", "transformers_for", "with_own_noise"]
