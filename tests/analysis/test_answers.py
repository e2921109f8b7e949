from __future__ import annotations

import torch
from torch import nn

import analysis


class Logits(nn.Module):
    """Gives out its inputs as logits (B, T, classes), after a weight layer that changes nothing."""

    steps = 3

    def __init__(self):
        super().__init__()
        self.same = nn.Linear(2, 2, bias=False)
        self.same.weight.data = torch.eye(2)

    def forward(self, x):
        return self.same(x)


# class 1 first, then 0 ever more; always 1
CLIP = torch.tensor([[[0.0, 1.0], [3.0, 0.0], [3.0, 0.0]], [[0.0, 1.0], [0.0, 1.0], [0.0, 1.0]]])


def run(labels, per_sample=True, **options):
    batches = [(CLIP[:1], labels[:1]), (CLIP[1:], labels[1:])]
    return analysis.analyze(
        Logits(), batches, time_layout="BT", per_sample=per_sample, **options
    ).run


def test_answers_are_those_of_the_mean_of_the_logits_so_far():
    found = run(torch.tensor([0, 1]))
    assert found.predicted == ((1, 0, 0), (1, 1, 1))
    assert found.correct_by_step == (1, 2, 2)
    assert found.correct == 2
    assert found.labels == (0, 1)


def test_answers_of_single_samples_are_kept_on_request_only():
    found = run(torch.tensor([1, 1]), per_sample=False)
    assert found.correct_by_step == (2, 1, 1)
    assert found.labels == found.predicted == ()


def test_answers_follow_the_places_of_the_samples():
    found = run(torch.tensor([0, 1]), sample_index=[7, 3])
    assert found.labels == (1, 0)
    assert found.sample_index == (3, 7)
    assert found.predicted == ((1, 1, 1), (1, 0, 0))


def test_without_labels_there_are_no_answers():
    found = analysis.analyze(Logits(), [CLIP], time_layout="BT", per_sample=True).run
    assert found.correct is None
    assert found.correct_by_step == found.predicted == ()


def test_outputs_that_are_no_logits_are_not_all_wrong():
    layer = nn.Conv2d(1, 1, 1)
    batch = (torch.ones(1, 1, 2, 2), torch.zeros(1, dtype=torch.long))
    assert analysis.analyze(layer, [batch], steps=1).run.correct is None
