"""`samples=N` runs the first N samples of the batches, in any layout, and cuts no mask."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import analysis
from analysis.errors import InputError

STEPS, SAMPLES, SIZE = 3, 5, 6
CLIPS = torch.rand(STEPS, SAMPLES, SIZE, generator=torch.Generator().manual_seed(0))
CODED = (CLIPS > 0.5).float()
CODED_CLIPS = [CODED, CODED]


class Fires(nn.Module):
    def forward(self, x):
        return (x > 0.2).float()


class TimeFirst(nn.Module):
    """Clips (T, B, C); remembers the step before."""

    def __init__(self):
        super().__init__()
        self.layer, self.fires = nn.Linear(SIZE, 4), Fires()

    def forward(self, clips):
        membrane, found = 0, []
        for frame in clips:
            membrane = membrane / 2 + self.layer(frame)
            found.append(self.fires(membrane))
        return torch.stack(found)


def counts(report):
    return [(s.key, s.synops, s.nonzeros, s.elements) for s in report.run.sites]


@pytest.mark.parametrize("n", [1, 2, 4, 5])
def test_time_first_clips_are_cut_along_their_samples(n):
    torch.manual_seed(0)
    model = TimeFirst()
    options = {"steps": STEPS, "time_layout": "TB"}
    cut = analysis.analyze(model, [CODED], samples=n, **options)
    assert cut.run.samples == n
    assert counts(cut) == counts(analysis.analyze(model, [CODED[:, :n]], **options))


class Masked(nn.Module):
    """A sequence (B, L, C) beside a mask (L, L) that all samples share."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(SIZE, 4, bias=False)

    def forward(self, x, mask):
        return self.layer(mask @ x).mean(1)


def test_a_mask_that_all_samples_share_stays_whole():
    batch = {"x": torch.ones(SAMPLES, 2, SIZE), "mask": torch.ones(2, 2)}
    report = analysis.analyze(Masked(), [batch], steps=1, samples=3)
    assert report.run.samples == 3
    layer = next(s for s in report.run.sites if s.key.name == "layer")
    assert layer.synops == 3 * 2 * SIZE * 4  # all non-zero: samples x places x in x out


class Nested(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(SIZE, 4, bias=False)

    def forward(self, parts):
        (left, right), more = parts["pair"], parts["more"]
        return self.layer(left + right + more)


ONES = torch.ones(SAMPLES, SIZE)


@pytest.mark.parametrize(
    "batch",
    [
        ({"parts": {"pair": (ONES, ONES), "more": ONES}},),
        [{"parts": {"pair": (ONES, ONES), "more": ONES}}, ["a", "b", "c", "d", "e"]],
        ({"parts": {"pair": [ONES, ONES], "more": ONES}}, torch.rand(SAMPLES, 4)),
        ({"parts": {"pair": [ONES, ONES], "more": torch.tensor(1.0)}}, torch.tensor(3)),
        {"parts": {"pair": [ONES, ONES], "more": torch.ones(SIZE)}},
    ],
)
def test_nests_are_cut_whatever_their_labels_are(batch):
    report = analysis.analyze(Nested(), [batch, batch], steps=1, samples=7)
    assert report.run.samples == 7
    assert report.run.sites[-1].synops == 7 * SIZE * 4


def test_labels_are_cut_with_their_samples():
    labels = torch.tensor([0, 1, 0, 1, 1])
    model = nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.eye(2))
    images = nn.functional.one_hot(labels, 2).float()
    report = analysis.analyze(model, [(images, 1 - labels), (images, labels)], steps=1, samples=8)
    assert (report.run.samples, report.run.correct) == (8, 3)  # none of five, then all of three


def test_no_batch_is_asked_for_beyond_the_last_sample():
    def batches():
        yield ONES
        raise AssertionError("asked for more")

    report = analysis.analyze(nn.Linear(SIZE, 4), batches(), steps=1, samples=SAMPLES)
    assert report.run.samples == SAMPLES


def test_no_samples_are_refused():
    with pytest.raises(InputError, match="samples must be at least 1, got 0"):
        analysis.analyze(nn.Linear(SIZE, 4), [ONES], steps=1, samples=0)


def test_the_command_line_cuts_time_first_clips(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(Path(__file__).parents[2])
    mine = "tests.analysis.test_first_samples"
    done = run("--model", f"{mine}:TimeFirst", "--data", f"{mine}:CODED_CLIPS", "--steps", STEPS,
               "--time-layout", "TB", "--samples", 2)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"{mine}:CODED_CLIPS, 2 samples, T = 3" in done.stdout
