from __future__ import annotations

import pytest
import torch

from analysis.counting.values import OperandReader, kind_of, widen


def read(values, **options):
    return OperandReader().read(torch.tensor(values, **options))


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([[0.0, 0.0]], "silent"),
        ([[-0.0, 0.0]], "silent"),
        ([[0.0, 1.0]], "spike"),
        ([[1.0, 1.0]], "spike"),
        ([[0.0, 0.3]], "spike"),
        ([[-0.7, 0.7]], "ternary"),
        ([[0.0, -1.0]], "ternary"),
        ([[0.0, 1.0, 2.0]], "graded"),
        ([[0.0, 0.25, 0.75]], "graded"),
        ([[2.0, 3.0]], "graded"),
        ([[1.0, 17.0]], "real"),
        ([[0.1, 0.37]], "real"),
        ([[0.0, 1.0, float("nan")]], "real"),
        ([[0.0, 0.99999994, 1.0]], "real"),
    ],
)
def test_the_kind_follows_from_the_values(values, kind):
    assert kind_of(read(values).levels) == kind


def test_a_single_value_among_a_million_spikes_is_found():
    x = torch.zeros(2, 3, 500, 500)
    x[0, 0, 0, :100] = 1
    x[1, 2, 499, 499] = 0.99999994
    assert kind_of(OperandReader().read(x).levels) == "real"


def test_many_values_behind_the_first_few_make_an_operand_real():
    x = torch.zeros(1, 1, 100, 100)
    x[0, 0, 99] = torch.arange(100)
    assert OperandReader().read(x).levels is None


def test_non_zeros_are_counted_per_row_and_position():
    x = torch.tensor([[[1.0, 0.0], [1.0, 1.0]], [[0.0, 0.0], [0.0, -3.0]]])  # (N, C, W)
    assert OperandReader().read(x).nonzeros.tolist() == [[2, 1], [0, 1]]


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_every_precision_gives_the_same_counts(dtype):
    x = (torch.rand(4, 300, 5, 5) < 0.3).to(dtype)
    reading = OperandReader().read(x)
    assert reading.nonzeros.sum() == (x != 0).sum()
    assert kind_of(reading.levels) == "spike"


@pytest.mark.parametrize("layout", ["channels_last", "expanded", "transposed"])
def test_the_memory_layout_changes_nothing(layout):
    x = (torch.rand(4, 6, 5, 5) < 0.3).float()
    same = {
        "channels_last": lambda: x.to(memory_format=torch.channels_last),
        "expanded": lambda: x[:1].expand(4, -1, -1, -1),
        "transposed": lambda: x.transpose(2, 3),
    }[layout]()
    assert torch.equal(
        OperandReader().read(same).nonzeros, OperandReader().read(same.contiguous()).nonzeros
    )


def test_an_operand_changed_in_place_is_read_again():
    reader, x = OperandReader(), torch.zeros(1, 1, 4)
    assert kind_of(reader.read(x).levels) == "silent"
    x += 0.5
    assert kind_of(reader.read(x).levels) == "spike"


def test_kinds_only_widen():
    silent, spike = read([[0.0]]).levels, read([[0.0, 1.0]]).levels
    assert kind_of(widen(silent, spike)) == "spike"
    assert kind_of(widen(spike, read([[0.0, 2.0]]).levels)) == "graded"
    assert kind_of(widen(spike, None)) == "real"


def test_an_empty_operand_is_silent():
    assert kind_of(OperandReader().read(torch.zeros(0, 3, 2)).levels) == "silent"
