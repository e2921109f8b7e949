"""Several processes train as one does on the same batches."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

import gac
from gac import group
from gac.errors import InputError
from gac.order import Draw, Order
from gac.recipes import TrainConfig

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(gac.__file__).parents[1])}
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone"]

# Five updates of a network on batches of 8, in as many processes as torchrun starts.
SCRIPT = """
import sys
import torch
from torch import distributed
from torch.utils.data import TensorDataset
from gac.metadata import Preprocessing
from gac.pictures import Samples
from gac.recipes import TrainConfig
from gac.registry import architecture
from gac.training import Trainer, fresh_model

file, accumulate = sys.argv[1], int(sys.argv[2])
torch.set_num_threads(1)
distributed.init_process_group("gloo")
shape = {"steps": 2, "stem_width": 4, "widths": (8, 8), "blocks": (1, 1), "strides": (1, 2)}
network = architecture("msresnet8", image_size=8, **shape)
pictures = torch.rand(45, 3, 8, 8, generator=torch.Generator().manual_seed(0))
how = Preprocessing(image_size=8, mean=(0.5,) * 3, std=(0.25,) * 3)
samples = Samples(TensorDataset(pictures, torch.arange(45) % 10), how)
settings = TrainConfig(
    epochs=1, batch_size=8, lr=0.1, shift=1, flip=True, label_smoothing=0.1,
    precision="float64", accumulate=accumulate, seed=3,
)
losses = []
model = fresh_model(network, 3)
trainer = Trainer(model, samples, samples, settings, on_update=lambda u: losses.append(u.loss))
(record,) = trainer.epochs()
if distributed.get_rank() == 0:
    torch.save({"state": model.state_dict(), "losses": losses, "record": record.row()}, file)
distributed.destroy_process_group()
"""


def _trained(tmp_path, processes, accumulate=1):
    script, file = tmp_path / "script.py", tmp_path / f"{processes}-{accumulate}.pt"
    script.write_text(SCRIPT)
    command = [*TORCHRUN, "--nproc-per-node", str(processes), script, file, str(accumulate)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    return torch.load(file, weights_only=True)


@pytest.mark.slow
def test_two_processes_give_the_weights_of_one(tmp_path):
    one, two = (_trained(tmp_path, processes) for processes in (1, 2))
    assert len(one["losses"]) == len(two["losses"]) == 5
    assert two["losses"] == pytest.approx(one["losses"], rel=1e-12)
    for name, tensor in one["state"].items():
        # The sums of float64 gradients and statistics are taken in another order, no more.
        torch.testing.assert_close(two["state"][name], tensor, rtol=0, atol=1e-12)
    assert two["record"] == pytest.approx(one["record"], rel=1e-12)


NORM_SCRIPT = """
import sys
import torch
from torch import distributed, nn
from gac.norms import BatchNorm2d, share_statistics

distributed.init_process_group("gloo")
rank, world = distributed.get_rank(), distributed.get_world_size()
generator = torch.Generator().manual_seed(0)
whole = torch.randn(7, 3, 4, 5, generator=generator, dtype=torch.float64) * 3 + 5
weights = torch.randn(7, 3, 4, 5, generator=generator, dtype=torch.float64)
mine = slice(0, 5) if rank == 0 else slice(5, 7)  # uneven
norm = BatchNorm2d(3).double()
nn.init.uniform_(norm.weight, generator=torch.Generator().manual_seed(1))
share_statistics(norm)
x = whole[mine].clone().requires_grad_()
y = norm(x, repeats=6)
(y * weights[mine]).sum().backward()
parts = [None] * world
distributed.all_gather_object(parts, (y.detach(), x.grad, norm.weight.grad, norm.bias.grad))
if rank == 0:
    ys, xs, gains, biases = zip(*parts)
    torch.save({"x": whole, "weights": weights, "y": torch.cat(ys), "dx": torch.cat(xs),
                "gain": sum(gains), "bias": sum(biases), "state": norm.state_dict()}, sys.argv[1])
distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_a_shared_norm_is_the_norm_of_the_whole_batch(tmp_path):
    script, file = tmp_path / "script.py", tmp_path / "norm.pt"
    script.write_text(NORM_SCRIPT)
    subprocess.run([*TORCHRUN, "--nproc-per-node", "2", script, file], check=True, env=ENVIRONMENT)
    found = torch.load(file, weights_only=True)
    norm = nn.BatchNorm2d(3).double()
    nn.init.uniform_(norm.weight, generator=torch.Generator().manual_seed(1))
    # What six equal steps are to plain torch, six times the gradient included.
    x = found["x"].clone().requires_grad_()
    y = norm(x.repeat(6, 1, 1, 1))
    (y * found["weights"].repeat(6, 1, 1, 1)).sum().backward()
    close = {"rtol": 1e-12, "atol": 1e-12}
    torch.testing.assert_close(found["y"], y[:7].detach(), **close)
    torch.testing.assert_close(found["dx"], x.grad / 6, **close)
    torch.testing.assert_close(found["gain"], norm.weight.grad / 6, **close)
    torch.testing.assert_close(found["bias"], norm.bias.grad / 6, **close)
    for name in ("running_mean", "running_var"):
        torch.testing.assert_close(found["state"][name], norm.state_dict()[name], **close)


@pytest.mark.parametrize(("world", "accumulate"), [(1, 1), (2, 1), (1, 4), (2, 2)])
def test_processes_and_parts_together_learn_from_every_batch_once(world, accumulate):
    config = TrainConfig(batch_size=8, accumulate=accumulate)
    whole = [sorted(batch) for batch in Order(35, replace(config, accumulate=1))]
    assert len(whole) == 4
    orders = [Order(35, config, rank, world) for rank in range(world)]
    shares = [list(order) for order in orders]
    for number, batch in enumerate(whole):
        parts = [
            part
            for share in shares
            for part in share[number * accumulate : (number + 1) * accumulate]
        ]
        assert sorted(draw for part in parts for draw in part) == batch
        assert {len(part) for part in parts} == {8 // world // accumulate}


def test_an_epoch_is_a_new_order_and_starts_anywhere():
    order = Order(16, TrainConfig(batch_size=4))
    first = list(order)
    order.start_at(1, 3)
    assert list(order) == first[3:]
    order.start_at(2, 0)
    second = list(order)
    assert [draw.sample for draw in second[0]] != [draw.sample for draw in first[0]]
    assert sorted(draw for batch in second for draw in batch) == [Draw(2, i) for i in range(16)]


@pytest.mark.parametrize(
    ("world", "settings", "message"),
    [
        (3, {"batch_size": 8}, "a batch of 8 can't be split evenly over 3 processes times 1 parts"),
        (2, {"batch_size": 8, "accumulate": 3}, "2 processes times 3 parts"),
        (2, {"batch_size": 8, "accumulate": 4}, "batch norm needs 2 images at a time"),
        (1, {"batch_size": 64}, "40 training images are less than one batch of 64"),
    ],
)
def test_batches_that_can_not_be_split_are_refused(world, settings, message):
    with pytest.raises(InputError, match=message):
        Order(40, TrainConfig(**settings), 0, world)


def test_one_process_is_a_group_of_its_own():
    assert (group.rank(), group.world()) == (0, 1)
    assert group.summed([1.5, 2.0], torch.device("cpu")) == [1.5, 2.0]
