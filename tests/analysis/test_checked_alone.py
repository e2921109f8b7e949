"""The check of every run: one sample alone has to have its share of the counts of the batch."""

from __future__ import annotations

import torch
from torch import nn

import analysis


class Function(nn.Module):
    """A layer without bias on four features, called as a function says."""

    def __init__(self, function):
        super().__init__()
        self.function, self.layer = function, nn.Linear(4, 3, bias=False)

    def forward(self, x):
        return self.function(self.layer, x)


def run_of(function, x):
    return analysis.analyze(Function(function), [x], steps=1, per_sample=True).run


def one_at_a_time(run):
    return [w for w in run.warnings if "one at a time" in w]


def test_samples_that_go_into_each_other_are_run_one_at_a_time():
    x = torch.tensor([[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 1]])
    run = run_of(lambda layer, x: layer(x + x.roll(1, 0)), x)
    (site,) = run.sites
    assert site.synops == 4 * 3  # alone a sample meets itself: 1, 1 and 2 non-zeros
    assert [c.counts for c in run.per_sample if c.kind == "site"] == [((3,), (3,), (6,))]
    assert one_at_a_time(run) == [
        "samples were run one at a time, which is slower: layer: its synaptic operations can't be "
        "divided among the samples of a batch"
    ]


def test_sizes_are_compared_where_random_numbers_make_values_differ():
    def noisy(layer, x):
        rows = 2 if len(x) == 1 else 1  # more of them for a sample alone
        return layer((x + torch.rand_like(x)).repeat_interleave(rows, 0))

    run = run_of(noisy, torch.rand(3, 4))
    assert sum(site.dense_macs for site in run.sites) == 3 * 2 * 12
    assert (
        "layer: the first sample has 4 elements in its batch and 8 alone" in one_at_a_time(run)[0]
    )


def test_statistics_of_the_batch_give_other_spikes_than_those_of_a_sample_alone():
    class Normalised(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm2d(1, affine=False, track_running_stats=False)
            self.layer = nn.Conv2d(1, 2, 1, bias=False)

        def forward(self, x):
            return self.layer((self.norm(x) > 0).to(x.dtype))

    # Of the batch the first picture lies below the mean; of itself only half of it does.
    x = torch.stack([torch.tensor([[[0.0, 1.0]]]), torch.tensor([[[8.0, 9.0]]])])
    run = analysis.analyze(Normalised().double(), [x.double()], steps=1, per_sample=True).run
    (site,) = run.sites
    assert [c.counts for c in run.per_sample if c.kind == "site"] == [((2,), (2,))]
    assert (
        "layer: the first sample has 0 non-zero inputs in its batch and 1 alone"
        in (one_at_a_time(run)[0])
    )
    assert (site.synops, site.dense_macs) == (4, 8)


def test_a_batch_that_holds_the_check_runs_as_one():
    calls = []

    def counted(layer, x):
        calls.append(len(x))
        return layer(x)

    assert not one_at_a_time(run_of(counted, torch.rand(3, 4)))
    assert calls == [3, 1]
