"""The same run, whether one process counts all samples or several count some each."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import distributed, nn

import analysis
from analysis.counting import distributed as ours
from analysis.counting.run import Counting, Options
from tests.analysis.models import OnTheEdge

ROOT = Path(analysis.__file__).parents[1]
SAMPLES = 7  # three batches of two and one of one: uneven for two processes and for batches


class Fires(nn.Module):
    def forward(self, x):
        return (x > 0.5).to(x.dtype)


def network():
    return nn.Sequential(nn.Linear(4, 4, bias=False), Fires(), nn.Linear(4, 3, bias=False))


def images(number=SAMPLES):
    return torch.randn(number, 4, generator=torch.Generator().manual_seed(0)).double()


def parts(model, shards, **options):
    """What each of several processes would send to the others."""
    found = []
    for shard, index in shards:
        settings = Options(steps=1, sample_index=index, provenance={"rank": len(found)}, **options)
        counting = Counting(model, settings)
        with torch.no_grad():
            for batch in shard:
                counting.add(batch)
        found.append(pickle.loads(pickle.dumps(ours.Part.of(counting))))  # noqa: S301 - its own
    return found


def joined(model, found, **options):
    counting = Counting(model, Options(steps=1, **options))
    ours._take_over(counting, ours._checked(found))
    return counting.result()


@pytest.mark.parametrize("world", [1, 2, 3, 9])
def test_any_number_of_parts_makes_the_same_run(world):
    torch.manual_seed(0)
    model, data = network().double(), images()
    options = {"per_sample": True, "neuron_detail": True, "levels": True}
    alone = analysis.analyze(model, [data], steps=1, **options).run
    shards = [(data[rank::world].split(2), range(rank, SAMPLES, world)) for rank in range(world)]
    shards = [([batch for batch in shard if len(batch)], index) for shard, index in shards]
    run = joined(model, parts(model, shards, **options), **options)
    assert run.samples == SAMPLES
    for what in ("sites", "neurons", "elementwise", "per_sample", "never_ran", "uncounted"):
        assert getattr(run, what) == getattr(alone, what), what
    assert run.moments.columns == alone.moments.columns
    assert run.moments.mean == pytest.approx(alone.moments.mean)


def test_samples_are_in_the_order_of_the_ranks_unless_their_places_are_known():
    model, data = Fires(), torch.tensor([[1.0, 1], [0, 0], [1, 0]])  # 2, 0 and 1 spikes
    for index, expected in (([0, 2], (2, 0, 1)), (None, (2, 1, 0))):
        shards = [([data[0::2]], index), ([data[1::2]], index and [1])]
        options = {"neurons": [Fires], "per_sample": True}
        (counts,) = joined(model, parts(model, shards, **options), **options).per_sample
        assert counts.counts == tuple((n,) for n in expected)


def test_accuracy_is_of_all_samples_and_unknown_if_any_lack_a_label():
    labelled, bare = (torch.eye(2), torch.tensor([0, 0])), torch.eye(2)
    for shards, correct in (([[labelled], [labelled]], 2), ([[labelled], []], 1),
                            ([[labelled], [bare]], None)):  # fmt: skip
        found = parts(nn.Identity(), [(shard, None) for shard in shards])
        assert joined(nn.Identity(), found).correct == correct


class Sometimes(nn.Module):
    """Gives out 0 and 1 only for small inputs: no neuron in the end."""

    def forward(self, x):
        return (x > 0.5).to(x.dtype) if x.max() < 10 else x


def test_a_neuron_that_another_process_refutes_is_none():
    model = nn.Sequential(Sometimes(), nn.Linear(2, 2))
    small, large = torch.tensor([[0.7, 0.2]]), torch.tensor([[70.0, 20]])
    for shards in ([small, large], [large, small]):
        run = joined(model, parts(model, [([batch], None) for batch in shards]))
        assert run.neurons == ()
        assert [site.operand for site in run.sites] == ["real"]


def test_a_layer_that_ran_for_some_samples_only_has_zeros_for_the_others():
    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2, 3, bias=False)

        def forward(self, x):
            return self.layer(x) if x.max() > 1 else x

    ones, twos = torch.ones(2, 2), 2 * torch.ones(1, 2)
    run = analysis.analyze(Branches(), [ones, twos, ones], steps=1, per_sample=True).run
    assert run.per_sample[0].counts == ((0,), (0,), (6,), (0,), (0,))


def test_processes_that_count_differently_are_refused():
    model, batch = nn.Linear(2, 2), torch.ones(1, 2)
    one, other = (parts(model, [([batch], None)], levels=levels)[0] for levels in (True, False))
    with pytest.raises(analysis.InputError, match="processes 0 and 1 count differently"):
        ours._checked([one, other])


def test_samples_that_flip_add_up_over_the_parts():
    x = torch.arange(1.0, 41).unsqueeze(1) / 7
    alone = analysis.analyze(OnTheEdge(), [x], steps=1, flips=True).run
    shards = [([x[:8]], range(8)), ([x[8:]], range(8, 40))]
    found = parts(OnTheEdge(), shards, flips=True)
    assert joined(OnTheEdge(), found, flips=True).flipped == alone.flipped > 0


@pytest.mark.parametrize("index", [[0, 0], [0]])
def test_places_must_name_every_sample_once(index):
    with pytest.raises(analysis.InputError, match="sample_index must name 2 different samples"):
        analysis.analyze(Fires(), [torch.ones(2, 2)], steps=1, sample_index=index, per_sample=True)


@pytest.fixture
def group(tmp_path):
    """A group of this process alone."""
    distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path / 'meet'}", rank=0, world_size=1
    )
    yield
    distributed.destroy_process_group()


@pytest.mark.usefixtures("group")
def test_a_group_of_one_is_like_no_group():
    torch.manual_seed(0)
    model, data = network().double(), images()
    shared, alone = (
        analysis.analyze(model, [data], steps=1, across_processes=across).run
        for across in (True, False)
    )
    assert shared == alone


@pytest.mark.usefixtures("group")
def test_in_a_group_errors_stay_errors():
    with pytest.raises(analysis.InputError, match="nothing to analyse"):
        analysis.analyze(Fires(), [], steps=1)
    with pytest.raises(RuntimeError, match="shapes"):
        analysis.analyze(network(), [torch.ones(1, 3)], steps=1)
    with pytest.raises(analysis.InputError, match="one process"):
        analysis.analyze(Fires(), [torch.ones(1, 3)], steps=1, until=0.01)


WORKER = """
import pickle, sys, torch, analysis, gac
from torch import distributed
rank, world, folder, batch = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
torch.set_num_threads(1)
distributed.init_process_group(
    "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=world
)
torch.manual_seed(0)
model = gac.build("msresnet8", steps=2).double()
data = 3 * torch.randn(7, 3, 16, 16).double()
def run(samples, **options):
    mine = data[:samples][rank::world]
    batches = [b for b in mine.split(batch) if len(b)]
    index = range(rank, samples, world)
    return analysis.analyze(
        model, batches, per_sample=True, sample_index=index, provenance={"rank": rank}, **options
    ).run
found = {"all": run(7, neuron_detail=True), "one": run(1)}
def forward(images):
    if rank == world - 1:
        raise ValueError("broken")
    return model(images)
try:
    run(7, forward=forward)
except Exception as error:
    found["error"] = repr(error)
pickle.dump(found, open(f"{folder}/{rank}.pickle", "wb"))
distributed.destroy_process_group()
"""


def launch(world, folder, batch):
    """What several real processes found."""
    folder.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", WORKER]
    workers = [
        subprocess.Popen([*command, str(rank), str(world), str(folder), str(batch)],
                         env=environment)
        for rank in range(world)
    ]  # fmt: skip
    assert [worker.wait(300) for worker in workers] == [0] * world
    return [pickle.loads((folder / f"{r}.pickle").read_bytes()) for r in range(world)]  # noqa: S301


@pytest.mark.slow
def test_one_and_two_processes_give_equal_runs(tmp_path):
    ((one,), two) = launch(1, tmp_path / "one", 7), launch(2, tmp_path / "two", 3)
    assert two[0]["all"] == two[1]["all"]
    assert two[0]["one"] == two[1]["one"]  # the second process had no sample
    for which in ("all", "one"):
        a, b = one[which], two[0][which]
        assert sum(site.synops for site in a.sites) > 0
        for what in ("samples", "sites", "neurons", "elementwise", "per_sample", "provenance"):
            assert getattr(a, what) == getattr(b, what), what
        assert a == replace(b, moments=a.moments)  # means may differ in the last bit
    assert two[0]["error"] == "InputError('process 1 failed: ValueError: broken')"
    assert two[1]["error"] == "ValueError('broken')"
