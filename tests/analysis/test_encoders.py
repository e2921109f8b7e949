"""Pictures that become spikes inside a model, at all steps at once: steps begin where they do."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

import analysis

STEPS, SAMPLES = 4, 3


def times(x):
    """When each pixel fires: bright ones first."""
    return ((1 - x) * (STEPS - 1)).round().long()


def steps_like(values, x):
    """One value per step, in front of a picture's dimensions."""
    return values.to(x.dtype).view(STEPS, *[1] * x.dim())


def scattered(x):
    return x.new_zeros(STEPS, *x.shape).scatter_(0, times(x).unsqueeze(0), 1)


def filled(x):
    result = torch.empty(STEPS, *x.shape, dtype=x.dtype)
    result[:] = x
    return result


IN_FRONT = {
    "random numbers for every step": lambda x: (torch.rand(STEPS, *x.shape) < x).to(x.dtype),
    "random numbers in a loop": lambda x: torch.stack(
        [(torch.rand_like(x) < x).to(x.dtype) for _ in range(STEPS)]
    ),
    "Bernoulli, repeated": lambda x: torch.bernoulli(x.repeat(STEPS, 1, 1, 1, 1)),
    "Bernoulli, expanded": lambda x: torch.bernoulli(x.expand(STEPS, *x.shape)),
    "latency, scattered": scattered,
    "latency, compared": lambda x: (times(x) == steps_like(torch.arange(STEPS), x)).to(x.dtype),
    "latency, one hot": lambda x: functional.one_hot(times(x), STEPS).movedim(-1, 0).to(x.dtype),
    "rising threshold": lambda x: (x > steps_like(torch.arange(STEPS) / STEPS, x)).to(x.dtype),
    "bits": lambda x: torch.stack([((x * 15).long() >> t) & 1 for t in range(STEPS)]).to(x.dtype),
    "weighted": lambda x: x * steps_like(torch.arange(STEPS), x),
    "weighted by einsum": lambda x: torch.einsum("t,bchw->tbchw", torch.ones(STEPS).to(x), x),
    "noisy": lambda x: x + torch.randn(STEPS, *x.shape).cumsum(0),
    "written": filled,
    "added to zeros": lambda x: x.new_zeros(STEPS, *x.shape) + x,
    "concatenated": lambda x: torch.cat([x.unsqueeze(0)] * STEPS),
    "picked": lambda x: x[None][torch.zeros(STEPS, dtype=torch.long)],
    "broadcast": lambda x: x.broadcast_to(STEPS, *x.shape).contiguous(),
}
BEHIND = {
    "random numbers": lambda x: (torch.rand(len(x), STEPS, *x.shape[1:]) < x[:, None]).to(x.dtype),
    "repeated in between": lambda x: x.repeat_interleave(STEPS, 0).unflatten(0, (len(x), STEPS)),
    "expanded": lambda x: x[:, None].expand(-1, STEPS, -1, -1, -1),
}


SEEN = []  # spikes (B, T, ...) of every pass, outside of the model: what it holds is put back


class Encoded(nn.Module):
    """Spikes of a picture, and a layer that reads them."""

    def __init__(self, encode, samples_outside):
        super().__init__()
        self.encode, self.samples_outside = encode, samples_outside
        self.layer = nn.Conv2d(2, 5, 1, bias=False)

    def forward(self, x):
        clip = self.encode(x)
        SEEN.append(clip if self.samples_outside else clip.transpose(0, 1))
        return self.layer(clip.flatten(0, 1)).unflatten(0, clip.shape[:2])


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize(
    ("encode", "samples_outside"),
    [*((f, False) for f in IN_FRONT.values()), *((f, True) for f in BEHIND.values())],
    ids=[*IN_FRONT, *BEHIND],
)
def test_steps_begin_where_a_picture_is_encoded(encode, samples_outside, mode):
    torch.manual_seed(0)
    network = Encoded(encode, samples_outside)
    SEEN.clear()
    with mode():
        run = analysis.analyze(
            network, [torch.rand(SAMPLES, 2, 3, 3)], steps=STEPS, per_sample=True
        ).run
    (site,) = run.sites
    spikes = SEEN[0].ne(0).flatten(2).sum(2)
    (counts,) = (one.counts for one in run.per_sample if one.kind == "site")
    by_step = tuple(tuple(5 * n for n in sample) for sample in spikes.tolist())
    not_known = tuple((sum(sample),) for sample in by_step)
    assert counts in (by_step, not_known)
    assert site.stands_for == 1


def test_a_model_in_which_nothing_holds_the_steps_is_suspected():
    layer, images = nn.Linear(4, 2), torch.ones(1, 4)
    said = analysis.analyze(layer, [images], steps=4).run.warnings
    assert any("no layer runs at more than one of the 4 steps" in words for words in said)
    clip = torch.ones(1, 4, 4)
    assert not any("no layer" in w for w in analysis.analyze(layer, [clip], steps=4).run.warnings)
