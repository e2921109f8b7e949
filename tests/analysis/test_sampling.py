"""Stopping at a narrow interval, and what that interval is then worth."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import analysis
from analysis.counting.sampling import Stopping, Until
from analysis.estimates import student

# Student's t, two-sided, from printed tables: (level, degrees of freedom, quantile)
TABLE = [(0.95, 20, 2.086), (0.95, 60, 2.000), (0.99, 60, 2.660), (0.95, 10**9, 1.960)]


@pytest.mark.parametrize(("level", "freedom", "quantile"), TABLE)
def test_quantiles_are_those_of_the_tables(level, freedom, quantile):
    assert student(freedom, level) == pytest.approx(quantile, abs=1e-3)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.99, 0.9999])
def test_quantiles_are_those_of_scipy(level):
    stats = pytest.importorskip("scipy.stats")
    for degrees in (*range(1, 31), 99, 100, 1000, 1001, 49_999):
        theirs = stats.t.ppf((1 + level) / 2, degrees)
        assert student(degrees, level) == pytest.approx(theirs, rel=1e-9), degrees


@pytest.mark.parametrize(
    ("at_most", "looks"),
    [
        (1, (1,)), (64, (64,)), (65, (64, 65)), (128, (64, 128)), (200, (64, 128, 200)),
        (1000, (64, 128, 256, 512, 1000)),
    ],
)  # fmt: skip
def test_looks_double_from_64_and_end_with_the_data(at_most, looks):
    assert Until(0.01, at_most).looks == looks


def simulate(generator, until, draw, repeats):
    """Share of repeated runs whose last interval holds the true mean 1, and their sizes."""
    held, sizes = 0, []
    for _ in range(repeats):
        values, stopping = draw(generator, until.at_most), Stopping(until)
        for count in until.looks:
            if stopping.look(count, values[:count].mean(), values[:count].var(ddof=1)):
                break
        record = stopping.record()
        held += record.low <= 1 <= record.high
        sizes.append(count)
    return held / repeats, sizes


def skewed(generator, size):
    """Mean 1, standard deviation 0.53, skewness 1.8."""
    return generator.lognormal(-0.125, 0.5, size)


def very_skewed(generator, size):
    """Mean 1, standard deviation 0.95, skewness 3.7."""
    return generator.lognormal(-0.32, 0.8, size)


@pytest.mark.parametrize(
    ("draw", "target"),
    [
        (skewed, 0.07),
        (skewed, 0.1),
        pytest.param(very_skewed, 0.1, marks=pytest.mark.slow),
        (very_skewed, 0.15),
    ],
)
def test_the_interval_holds_the_truth_in_95_percent_of_repeated_runs(draw, target):
    generator = np.random.default_rng(0)
    share, sizes = simulate(generator, Until(target, at_most=1024), draw, repeats=3000)
    assert share >= 0.95
    assert len(set(sizes)) > 1  # the runs really stopped at different looks


def test_an_uncorrected_interval_would_hold_it_less_often():
    generator, looks, held = np.random.default_rng(0), (64, 128, 256, 512, 1024), 0
    for _ in range(3000):
        values = very_skewed(generator, 1024)
        for count in looks:
            mean, error = values[:count].mean(), values[:count].std(ddof=1) / count**0.5
            if 1.96 * error <= 0.15 * mean:
                break
        held += abs(mean - 1) <= 1.96 * error
    assert held / 3000 < 0.94


class Fires(nn.Module):
    def forward(self, x):
        return (x > 0.5).to(x.dtype)


def network():
    return nn.Sequential(Fires(), nn.Linear(4, 3, bias=False))


def sampled(images, batch_size=16, **options):
    loader = DataLoader(TensorDataset(images), batch_size=batch_size)
    return analysis.analyze(network(), loader, steps=1, neurons=[Fires], **options).run


def test_equal_samples_are_enough_at_the_first_look():
    run = sampled(torch.tensor([[1.0, 1, 0, 0]]).expand(1000, 4), until=0.01)
    found = run.sampling
    assert run.samples == 64
    assert (found.looks_planned, found.looks_used, found.reached) == (5, 1, True)
    assert found.mean == found.low == found.high == 6  # 2 spikes x 3 outputs
    assert found.level == pytest.approx(1 - 0.05 / 5)


def test_an_interval_that_stays_wide_runs_all_samples():
    images = (torch.arange(800).view(200, 4) % 7 < 2).float()
    run = sampled(images, until=0.001)
    assert run.samples == 200
    assert (run.sampling.looks_planned, run.sampling.looks_used) == (3, 3)
    assert not run.sampling.reached
    site = run.sites[0]
    assert run.sampling.mean == pytest.approx(site.synops / 200)


def test_the_interval_is_students_at_the_shared_level():
    images = torch.zeros(64, 4)
    images[:32, 0] = 1  # 3 synops or none, half and half
    found = sampled(images, until=0.5).sampling
    # one look: 95 %; variance 64 / 63 * 1.5 ** 2; t of 63 degrees of freedom is 1.99834
    half = 1.99834 * (64 / 63 * 2.25 / 64) ** 0.5
    assert found.high - found.mean == pytest.approx(half, rel=1e-5)
    assert found.looks_planned == 1


def test_looks_wait_for_the_end_of_a_batch():
    run = sampled(torch.ones(1000, 4), batch_size=100, until=0.01)
    assert (run.samples, run.sampling.looks_used) == (100, 1)


def test_data_of_unknown_length_may_end_before_the_next_look():
    batches = iter([torch.ones(50, 4), torch.eye(4)[:3]])
    run = analysis.analyze(network(), batches, steps=1, neurons=[Fires], until=0.001).run
    assert run.samples == 53
    assert (run.sampling.looks_planned, run.sampling.looks_used) == (17, 1)


def test_without_synops_or_with_one_sample_no_interval_is_narrow():
    assert not sampled(torch.zeros(100, 4), until=0.5).sampling.reached
    one = sampled(torch.ones(1, 4), until=0.5).sampling
    assert (one.low, one.high, one.reached) == (None, None, False)


def test_the_report_keeps_it(tmp_path):
    loader = DataLoader(TensorDataset(torch.ones(100, 4)), batch_size=64)
    until = analysis.Until(0.01, at_most=100)
    report = analysis.analyze(network(), loader, steps=1, neurons=[Fires], until=until)
    report.to_json(tmp_path / "report.json")
    assert analysis.read_report(tmp_path / "report.json") == report


@pytest.mark.parametrize("until", [0, 1, -0.1, float("nan")])
def test_a_target_is_a_share(until):
    with pytest.raises(analysis.InputError, match="share between 0 and 1"):
        sampled(torch.ones(2, 4), until=until)


def test_no_samples_are_bad_input():
    with pytest.raises(analysis.InputError, match="nothing to analyse"):
        sampled(torch.ones(0, 4), until=0.01)
    with pytest.raises(analysis.InputError, match="at least 1 sample"):
        Until(0.1, at_most=0)
