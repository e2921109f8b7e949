"""Blocks of published networks, in which every size may be T.

Each takes and gives ``(N, 4, 4, 4)``.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import nn
from torch.nn import functional

SIZE = 4  # of channels, rows and columns


class Block(nn.Module):
    """Layers, and a function that calls them on ``(N, 4, 4, 4)``."""

    def __init__(self, function, **layers):
        super().__init__()
        self.function = function
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, x):
        return self.function(self, x)


def conv(channels_in=SIZE, channels_out=SIZE, kernel=1, **settings):
    return nn.Conv2d(channels_in, channels_out, kernel, padding=kernel // 2, **settings)


def linear(features_in=SIZE, features_out=SIZE):
    return nn.Linear(features_in, features_out)


def tokens(x):
    """``(N, H*W, C)``."""
    return x.flatten(2).mT


def picture(x):
    """Back from tokens."""
    return x.mT.unflatten(2, (SIZE, SIZE))


BLOCKS = {}  # name -> what makes one


def make(function, **layers):
    return Block(function, **{name: layer() for name, layer in layers.items()})


def block(**layers):
    """Names a function after what it does with layers that are made so."""

    def named(function):
        BLOCKS[function.__name__.replace("_", " ")] = partial(make, function, **layers)

    return named


@block(down=linear, up=linear)
def squeeze_and_excitation(m, x):
    gate = m.up(torch.relu(m.down(x.mean((2, 3))))).sigmoid()
    return x * gate.view(len(x), SIZE, 1, 1).expand_as(x)


@block(conv=lambda: conv(2, 1, 3))
def spatial_attention(m, x):
    pooled = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)
    return x * m.conv(pooled).sigmoid().expand_as(x)


@block(conv=lambda: nn.Conv1d(1, 1, 3, padding=1))
def efficient_channel_attention(m, x):
    gate = m.conv(x.mean((2, 3), keepdim=True).squeeze(3).mT).mT.unsqueeze(3)
    return x * gate.sigmoid().expand_as(x)


@block(first=conv, second=conv, third=conv, fourth=conv, gate=linear)
def selective_kernels(m, x):
    branches = torch.stack([m.first(x), m.second(x), m.third(x), m.fourth(x)], 1)
    gate = m.gate(branches.sum(1).mean((2, 3))).softmax(1)
    return (branches * gate.view(len(x), SIZE, 1, 1, 1)).sum(1)


@block(first=conv, second=conv)
def two_branches_stacked(m, x):
    return torch.stack([m.first(x), m.second(x)]).sum(0)


@block(first=lambda: conv(SIZE, 2), second=lambda: conv(SIZE, 2, 3))
def inception(m, x):
    return torch.cat([m.first(x), m.second(x)], 1)


@block(first=lambda: conv(SIZE, 1), rest=lambda: conv(SIZE, 3))
def dense(m, x):
    return torch.cat([m.first(x), m.rest(x)], 1)


@block(convolution=lambda: conv(SIZE, SIZE, 3, groups=2))
def channel_shuffle(m, x):
    return m.convolution(x.unflatten(1, (2, 2)).transpose(1, 2).flatten(1, 2))


@block(wide=lambda: conv(1, SIZE))
def pixel_shuffle(m, x):
    return m.wide(functional.avg_pool2d(functional.pixel_shuffle(x, 2), 2))


@block(every=lambda: conv(), one=lambda: conv(), after=lambda: conv(2 * SIZE, SIZE))
def pyramid_pooling(m, x):
    whole = m.one(x.mean((2, 3), keepdim=True)).expand(-1, -1, SIZE, SIZE)
    return m.after(torch.cat([m.every(x), whole], 1))


@block(after=lambda: conv(2 * SIZE, SIZE))
def global_feature_repeated(m, x):
    whole = x.amax((2, 3), keepdim=True).repeat(1, 1, SIZE, SIZE)
    return m.after(torch.cat([x, whole], 1))


@block(colours=lambda: conv(3, SIZE))
def grey_in_colours(m, x):
    return m.colours(x.mean(1, keepdim=True).repeat(1, 3, 1, 1))


@block(colours=lambda: conv(3, SIZE))
def grey_seen_as_colours(m, x):
    return m.colours(x.mean(1, keepdim=True).expand(-1, 3, -1, -1))


@block(down=lambda: nn.Conv2d(SIZE, SIZE, 2, 2), up=lambda: nn.ConvTranspose2d(SIZE, SIZE, 2, 2))
def encoder_and_decoder(m, x):
    return m.up(m.down(x))


@block(down=lambda: nn.Conv2d(SIZE, SIZE, 2, 2), after=lambda: conv(2 * SIZE, SIZE))
def upsampled_and_joined(m, x):
    return m.after(torch.cat([functional.interpolate(m.down(x), scale_factor=2), x], 1))


@block(mixing=lambda: linear(SIZE**2, SIZE**2), features=linear)
def mlp_mixer(m, x):
    x = x.flatten(2)
    return picture(m.features((x + m.mixing(x)).mT))


@block(query=linear, key=linear, value=linear, project=linear)
def spiking_attention(m, x):
    x = tokens(x)
    q, k, v = (
        (layer(x) > 0).to(x.dtype).unflatten(2, (2, 2)).transpose(1, 2)
        for layer in (m.query, m.key, m.value)
    )
    return picture(m.project(((q @ k.mT) @ v).transpose(1, 2).flatten(2)))


@block(query=linear, key=linear, value=linear)
def linear_attention(m, x):
    x = tokens(x)
    return picture(m.query(x) @ (m.key(x).mT @ m.value(x)))


@block(attention=lambda: nn.MultiheadAttention(SIZE, 2, batch_first=True))
def attention_of_torch(m, x):
    x = tokens(x)
    return picture(m.attention(x, x, x, need_weights=False)[0])


@block(features=linear)
def windows(m, x):
    parts = x.unflatten(3, (2, 2)).unflatten(2, (2, 2)).permute(0, 2, 4, 3, 5, 1)
    parts = m.features(parts.flatten(0, 2).flatten(1, 2)).view_as(parts)
    return parts.permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)


@block(features=linear)
def shifted(m, x):
    return m.features(x.roll((1, 1), (2, 3)).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


@block(features=linear, places=lambda: nn.Embedding(SIZE**2, SIZE))
def positions_added(m, x):
    return picture(m.features(tokens(x) + m.places.weight))


@block(features=linear, classes=lambda: nn.Embedding(1, SIZE))
def class_token(m, x):
    first = m.classes.weight.expand(len(x), -1, -1)
    return picture(m.features(torch.cat([first, tokens(x)], 1))[:, 1:])


@block(features=linear, queries=lambda: nn.Embedding(SIZE, SIZE), project=linear)
def learned_queries(m, x):
    queries = m.queries.weight.expand(len(x), -1, -1)
    return picture(m.project(tokens(x) + (queries @ m.features(tokens(x)).mT).mean(1).unsqueeze(2)))


@block(patches=lambda: linear(SIZE * 4, SIZE * 4))
def patches_unfolded(m, x):
    parts = functional.unfold(x, 2, stride=2).mT  # (N, 4, 16)
    return functional.fold(m.patches(parts).mT, (SIZE, SIZE), 2, stride=2)


REDUCTIONS = {
    "variance": lambda x: x.var((2, 3)),
    "norm": lambda x: x.flatten(2).norm(dim=2),
    "logsumexp": lambda x: x.logsumexp((2, 3)),
    "least": lambda x: x.amin((1, 3)),
    "most": lambda x: x.flatten(2).max(2).values,
    "median": lambda x: x.flatten(2).median(2).values,
    "third": lambda x: x.flatten(2).kthvalue(3, dim=2).values,
    "any": lambda x: x.any(2).to(x.dtype).sum(1),
    "where most": lambda x: x.flatten(1, 2).argmax(1).to(x.dtype),
    "last of sorted": lambda x: x.flatten(2).sort(2).values[:, :, -1],
    "two largest": lambda x: x.flatten(2).topk(2).values.sum(2),
    "running sum": lambda x: x.flatten(2).cumsum(2)[:, :, 5],
    "number": lambda x: torch.count_nonzero(x, dim=(2, 3)).to(x.dtype),
}


def gated_by(reduction, m, x):
    """A gate made of a reduction of the picture to ``(N, 4)``."""
    return x * m.gate(reduction(x)).sigmoid()[..., None, None]


for name, reduction in REDUCTIONS.items():
    BLOCKS[f"gated by {name}"] = partial(make, partial(gated_by, reduction), gate=linear)


@block(words=lambda: nn.Embedding(17, SIZE), gate=linear)
def embedded(m, x):
    return x * m.gate(m.words(x.flatten(2).argmax(2))).flatten(1, 2)[:, :SIZE, None, None]


@block(gate=linear)
def distances(m, x):
    return x * m.gate(torch.cdist(x.flatten(2), x.flatten(2))).sigmoid()[:, :, :, None]


@block(gate=linear)
def correlations(m, x):
    rows = x.flatten(2)
    return x * m.gate(torch.einsum("nch,ndh->ncd", rows, rows)).sigmoid()[:, :, None]


@block(features=linear)
def sampled_elsewhere(m, x):
    grid = functional.affine_grid(torch.eye(2, 3).to(x).expand(len(x), -1, -1), x.shape, False)
    x = functional.grid_sample(x, grid, align_corners=False)
    return m.features(x.movedim(1, 3)).movedim(3, 1)


@block(features=lambda: linear(2, 2))
def adaptive_pools(m, x):
    return m.features(functional.adaptive_max_pool2d(x, 2)).repeat_interleave(2, 2).tile(2)


@block(features=linear)
def gathered(m, x):
    order = x.sum((1, 3)).argsort(1)
    rows = x.gather(2, order[:, None, :, None].expand_as(x))
    return m.features(rows)


@block(features=linear)
def picked(m, x):
    return m.features(x[:, [2, 0, 3, 1]][:, :, torch.arange(SIZE).flip(0)])


@block(features=linear)
def masked(m, x):
    return m.features(x.masked_fill(x.mean(1, keepdim=True) > 0.5, 0).tril().contiguous())


@block(conv=lambda: conv(SIZE, SIZE, 3), norm=lambda: nn.GroupNorm(2, SIZE))
def group_norm(m, x):
    return m.norm(m.conv(x)) + x


@block(conv=lambda: conv(SIZE, SIZE, 3), norm=lambda: nn.LayerNorm([SIZE, SIZE, SIZE]))
def layer_norm(m, x):
    return m.norm(m.conv(x)) + x


@block(rows=lambda: nn.GRU(SIZE, SIZE, batch_first=True))
def recurrent_over_rows(m, x):
    rows, _ = m.rows(x.permute(0, 3, 2, 1).flatten(0, 1))
    return rows.view(len(x), SIZE, SIZE, SIZE).permute(0, 3, 2, 1)


@block(rows=linear)
def loop_over_rows(m, x):
    return torch.stack([m.rows(row) for row in x.unbind(2)], 2)


@block(channel=lambda: conv(1, 1, 3))
def loop_over_channels(m, x):
    return torch.cat([m.channel(channel.unsqueeze(1)) for channel in x.unbind(1)], 1)


@block(conv=lambda: conv(SIZE, SIZE, 3))
def recursion(m, x):
    for _ in range(SIZE):
        x = (m.conv(x) > 0).to(x.dtype)
    return x


@block(first=linear)
def chunks(m, x):
    return torch.cat([m.first(part) for part in x.chunk(2, 2)], 2)
