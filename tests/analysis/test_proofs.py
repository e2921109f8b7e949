"""Spikes known by how they were made: a proof must end with the first write."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

import analysis
import gac.neurons  # noqa: F401 - registers its operation
from analysis.counting.values import BinaryProofs

X = torch.tensor([[0.5417, -1.0, 2.0, 3.1]])  # fires at three of four


class Watching(TorchDispatchMode):
    """Tells proofs of every operation, as a capture does."""

    def __init__(self, proofs):
        super().__init__()
        self.proofs = proofs

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        self.proofs.note(func, args, kwargs or {}, result)
        return result


class Fires(nn.Module):
    """Spikes, changed by a function before a layer of three outputs reads them."""

    def __init__(self, change):
        super().__init__()
        self.change, self.layer = change, nn.Linear(4, 3, bias=False)

    def forward(self, x):
        return self.layer(self.change((x > 0).to(x.dtype)))


def read(change, mode=torch.no_grad):
    with mode():
        (site,) = analysis.analyze(Fires(change), [X], steps=1).run.sites
    return site.operand, site.synops


def through(*functions):
    def change(spikes):
        for function in functions:
            spikes = function(spikes)
        return spikes

    return change


def halved_behind_the_back(spikes):
    spikes.data.mul_(0.5).add_(0.25)
    return spikes


MOVES = [
    lambda s: s.clone(),
    lambda s: torch.stack([s, s])[0],
    lambda s: torch.cat([s, s], 1)[:, :4],
    lambda s: s.repeat(2, 1)[:1],
    lambda s: s.double().float(),
    lambda s: s.view(2, 2).view(1, 4),
]
CHANGES = {
    "scaled in place": (lambda s: s.mul_(0.3).add_(0.137), "real", 12),
    "scaled by its data": (halved_behind_the_back, "graded", 12),
    "overwritten by out=": (lambda s: torch.add(X, 0, out=s), "real", 12),
    "partly overwritten": (lambda s: s.index_fill_(1, torch.tensor([1]), 0.37), "real", 12),
    "one row filled": (lambda s: (s[:, 1:2].fill_(7.3), s)[1], "real", 12),
    "copied over": (lambda s: s.copy_(X), "real", 12),
    "padded with another value": (
        lambda s: nn.functional.pad(s, (1, 0), value=0.37)[:, :4], "real", 9,
    ),
    "joined with real values": (lambda s: torch.cat([s[:, :2], X[:, :2] * 0.37], 1), "real", 9),
    "joined over itself": (lambda s: torch.cat([X[:, :2], X[:, 2:]], 1, out=s), "real", 12),
}  # fmt: skip


def by_step(spikes):
    """The same spikes, written into a tensor column by column, as a loop over steps does."""
    result = torch.empty_like(spikes)
    for column, out in zip(spikes.unbind(1), result.unbind(1), strict=True):
        torch.gt(column, 0.5, out=out)
    return result


def copied_by_step(spikes):
    result = torch.empty_like(spikes)
    for column in range(4):
        result[:, column] = (spikes[:, column] > 0.5).to(spikes.dtype)
    return result


def all_but_one(spikes):
    result = torch.full_like(spikes, 0.37)
    torch.eq(spikes[:, 1:], spikes[:, 1:], out=result[:, 1:])
    return result


def first_steps_only(spikes):
    result = torch.full_like(spikes, 0.37)
    for column, out in zip(spikes.unbind(1)[:2], result.unbind(1), strict=False):
        torch.gt(column, 0.5, out=out)
    return result


def fired_at_once(spikes):
    """By the operation of the package's own neuron: 0.6, 0, 0.6, 0.6 fire at every step."""
    return torch.ops.gac.fire(spikes.unsqueeze(1) * 0.6, 0.5, 0.0).squeeze(1)


MOVES += [by_step, copied_by_step, fired_at_once]
CHANGES |= {
    "only the first steps written": (first_steps_only, "real", 9),
    "scaled after it fired": (lambda s: fired_at_once(s).mul_(0.3).add_(0.137), "real", 12),
    "one step not written": (all_but_one, "real", 12),
    "one step written otherwise": (
        lambda s: (r := by_step(s), torch.mul(X[:, 2], 0.37, out=r[:, 2]))[0], "real", 9,
    ),
    "the same step written over and over": (
        lambda s: (r := torch.full_like(s, 0.37),
                   [torch.gt(s[:, 0], 0.5, out=r[:, 1]) for _ in range(4)])[0], "real", 12,
    ),
}  # fmt: skip


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("move", range(len(MOVES)))
def test_what_only_moves_spikes_keeps_them(move, mode):
    assert read(MOVES[move], mode) == ("spike", 9)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("name", CHANGES)
def test_what_is_written_to_is_read_again(name, mode):
    change, operand, synops = CHANGES[name]
    assert read(change, mode) == (operand, synops)
    assert read(through(MOVES[0], change), mode) == (operand, synops)


def test_spikes_need_not_be_read_however_they_were_made():
    proofs = BinaryProofs()
    with Watching(proofs):
        for move in MOVES:
            assert proofs.hold(move((X > 0).float()))
        assert not proofs.hold(X * 1)


def test_memory_used_again_is_proven_anew():
    def many(spikes):
        for _ in range(50):
            spikes = (spikes > 0).to(spikes.dtype)  # the one before is free at once
            real = X * 0.37 + 0 * spikes
        return real

    assert read(many) == ("real", 12)
