"""The products in each weight operation, in all the forms that it can be written in."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from analysis.counting.operations import is_composite, register_operation, run_parts
from analysis.counting.origins import DataFlow, Trace
from analysis.counting.rules import products_in
from analysis.counting.values import OperandReader

aten = torch.ops.aten
SPIKES = torch.tensor([[1.0, 0, 0, 1, 1], [0, 0, 1, 0, 0], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]])
V, W = torch.randn(5), torch.randn(5, 3)  # 9 spikes meet one weight each, or three


class Counting(TorchDispatchMode):
    """Finds the products in everything that runs, as the counter does."""

    def __init__(self, weights):
        super().__init__()
        self.flow, self.found = DataFlow(1), []
        for weight in weights:
            self.flow.mark(weight, Trace("weight"))

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if is_composite(func):
            return run_parts(self, func, args, kwargs)
        result = func(*args, **kwargs)
        products = products_in(self.flow, func, args, kwargs, result) or []
        self.found += [(p, p.count(OperandReader(), ())) for p in products]
        return result


def found(function, *weights, mode=torch.no_grad):
    with mode(), Counting(weights) as counting:
        function()
    return counting.found


def macs(function, *weights, mode=torch.no_grad):
    """(synops, dense MACs) of each product."""
    return [(int(c.operand.synops.sum()), c.dense) for _, c in found(function, *weights, mode=mode)]


def by_rule(func, *args, result=None, weights=()):
    """What a rule alone counts, of an operation that does not run here."""
    flow = Counting(weights).flow
    products = products_in(flow, func, args, {}, result)
    return None if products is None else [p.count(OperandReader(), ()) for p in products]


VECTOR = {
    "@": lambda: SPIKES @ V,
    "vector first": lambda: V @ SPIKES.mT,
    "linear": lambda: F.linear(SPIKES, V),
    "linear of a sequence": lambda: F.linear(SPIKES.view(2, 2, 5), V),
    "einsum": lambda: torch.einsum("bi,i->b", SPIKES, V),
    "mv": lambda: torch.mv(SPIKES, V),
    "mv with out": lambda: torch.mv(SPIKES, V, out=torch.empty(4)),
    "mm with out": lambda: torch.mm(SPIKES, V[:, None], out=torch.empty(4, 1)),
    "mm by keyword": lambda: aten.mm.default(SPIKES, mat2=V[:, None]),
    "one row by keywords": lambda: [aten.dot.default(self=x, tensor=V) for x in SPIKES],
    "vdot": lambda: [torch.vdot(x, V) for x in SPIKES],
    "vecdot": lambda: [torch.linalg.vecdot(x, V) for x in SPIKES],
    "inner": lambda: torch.inner(SPIKES, V),
    "tensordot": lambda: torch.tensordot(SPIKES, V, 1),
    "addmv": lambda: torch.addmv(torch.zeros(4), SPIKES, V),
    "addmv in place": lambda: torch.zeros(4).addmv_(SPIKES, V),
}


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("way", VECTOR)
def test_a_vector_of_weights_is_a_layer_of_one_output(way, mode):
    totals = [sum(x) for x in zip(*macs(VECTOR[way], V, mode=mode), strict=True)]
    assert totals == [9, 4 * 5]


MATRIX = {
    "mm": lambda: SPIKES @ W,
    "mm with weights first": lambda: W.mT @ SPIKES.mT,
    "linear": lambda: F.linear(SPIKES, W.mT),
    "linear into a tensor": lambda: aten.linear.out(SPIKES, W.mT, out=torch.empty(4, 3)),
    "addmm": lambda: torch.addmm(torch.zeros(3), SPIKES, W, alpha=2),
    "addmm in place by keywords": lambda: torch.zeros(4, 3).addmm_(mat1=SPIKES, mat2=W),
    "with an activation": lambda: aten._addmm_activation(torch.zeros(3), SPIKES, W),
    "bmm": lambda: torch.bmm(SPIKES.view(2, 2, 5), W.expand(2, 5, 3)),
    "addbmm": lambda: torch.addbmm(torch.zeros(2, 3), SPIKES.view(2, 2, 5), W.expand(2, 5, 3)),
    "multi_dot": lambda: torch.linalg.multi_dot([SPIKES, W]),
}


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("way", MATRIX)
def test_a_matrix_of_weights_is_met_by_every_spike_in_each_of_its_outputs(way, mode):
    assert macs(MATRIX[way], W, mode=mode) == [(9 * 3, 4 * 5 * 3)]


def test_a_beta_of_zero_says_that_no_bias_is_added():
    for beta, biased in ((1, 12), (0.5, 12), (0, 0)):
        ((one, _),) = found(lambda b=beta: torch.addmm(torch.zeros(4, 3), SPIKES, W, beta=b), W)
        assert (one.biased_outputs, one.shape.biased) == (biased, biased > 0)


def test_a_product_of_two_activations_counts_the_pairs_that_meet():
    # x @ x.T: sum over k of (non-zeros in column k) squared = 4 + 1 + 4 + 4 + 4
    ((_, counted),) = found(lambda: SPIKES @ SPIKES.mT)
    assert (int(counted.pairs.sum()), counted.dense) == (17, 4 * 5 * 4)


def test_an_outer_product_pairs_every_element_with_every_other():
    one, other = SPIKES[0], SPIKES[3]
    ((_, counted),) = found(lambda: torch.addr(torch.zeros(5, 5), one, other))
    assert (int(counted.pairs.sum()), counted.dense) == (3 * 5, 25)


def test_whole_numbers_of_eight_bits_are_multiplied_as_others():
    left = torch.tensor([[1, 0], [2, 3]] * 16, dtype=torch.int8)
    right = torch.ones(2, 8, dtype=torch.int8)
    assert macs(lambda: torch._int_mm(left, right), right) == [(16 * 3 * 8, 32 * 2 * 8)]


def test_packed_weights_of_eight_bits_meet_their_inputs():
    weights, result = torch.ones(3, 5, dtype=torch.int8), torch.empty(4, 3)
    func, scales = aten._weight_int8pack_mm.default, torch.ones(3)
    (counted,) = by_rule(func, SPIKES, weights, scales, result=result, weights=[weights])
    assert (int(counted.operand.synops.sum()), counted.dense) == (9 * 3, 4 * 5 * 3)


@pytest.mark.skipif(not hasattr(aten, "_grouped_mm"), reason="this torch has no such operation")
def test_rows_in_groups_meet_the_weights_of_their_group():
    experts = torch.randn(2, 16, 8).bfloat16()
    rows = torch.ones(5, 16).bfloat16()
    ends = torch.tensor([1, 4], dtype=torch.int32)  # the last row belongs to none
    func, result = aten._grouped_mm.default, torch.empty(5, 8)
    (counted,) = by_rule(func, rows, experts, ends, result=result, weights=[experts])
    assert (int(counted.operand.synops.sum()), counted.dense) == (4 * 16 * 8, 4 * 16 * 8)


def test_a_bilinear_layer_is_a_product_with_weights_and_one_with_the_second_input():
    layer = nn.Bilinear(5, 2, 3)
    other = torch.tensor([[1.0, 0], [1, 1], [0, 0], [1, 1]])
    first, second = found(lambda: layer(SPIKES, other), layer.weight, layer.bias)
    assert (int(first[1].operand.synops.sum()), first[1].dense) == (9 * 6, 4 * 5 * 6)
    assert (int(second[1].other.synops.sum()), second[1].dense) == (5 * 3, 4 * 2 * 3)


def test_rows_of_an_embedding_that_are_scaled_are_a_product_and_others_are_none():
    table, tokens = torch.randn(10, 6), torch.tensor([[1, 2], [3, 3]])
    scales = torch.tensor([[0.0, 1], [0.5, 1]])
    bag = lambda **more: F.embedding_bag(tokens, table, mode="sum", **more)  # noqa: E731
    assert macs(bag, table) == []
    assert macs(lambda: bag(per_sample_weights=scales), table) == [(3 * 6, 4 * 6)]


CONVOLUTION = torch.randn(4, 2, 3)
FRAMES = torch.tensor([[[1.0, 0, 0, 1], [0, 1, 0, 0]]])  # taps that read each pixel: 1 2 2 1
CONVOLUTIONS = {
    "conv1d": lambda: F.conv1d(FRAMES, CONVOLUTION),
    "unbatched": lambda: F.conv1d(FRAMES[0], CONVOLUTION),
    "conv_tbc": lambda: torch.conv_tbc(
        FRAMES.permute(2, 0, 1), CONVOLUTION.permute(2, 1, 0), torch.zeros(4)
    ),
    "oneDNN": lambda: aten.mkldnn_convolution(FRAMES, CONVOLUTION, None, [0], [1], [1], 1),
    "into a tensor": lambda: aten.convolution.out(
        FRAMES, CONVOLUTION, None, [1], [0], [1], False, [0], 1, out=torch.empty(1, 4, 2)
    ),
}


@pytest.mark.parametrize("way", CONVOLUTIONS)
def test_a_convolution_is_counted_in_all_its_forms(way):
    # (1 + 1 + 2) taps, each in 4 outputs; 2 positions * 3 taps * 2 * 4 channels
    assert macs(CONVOLUTIONS[way], CONVOLUTION) == [(16, 48)]


def test_a_depthwise_operation_has_as_many_groups_as_channels():
    weight = torch.randn(2, 1, 3, 3)
    args = (torch.ones(1, 2, 3, 3), weight, [3, 3], None, [1, 1], [0, 0], [1, 1])
    (counted,) = by_rule(aten._conv_depthwise2d.default, *args, result=torch.empty(1, 2, 1, 1))
    assert (int(counted.operand.synops.sum()), counted.dense) == (18, 18)


def test_an_operation_by_another_devices_name_is_counted_by_its_shapes():
    args = (FRAMES[:, :, None], CONVOLUTION[:, :, None], [0, 0], [1, 1], [1, 1], 1, False, False)
    result = torch.empty(1, 4, 1, 2)
    (counted,) = by_rule(aten.cudnn_convolution.default, *args, False, result=result)
    assert (int(counted.operand.synops.sum()), counted.dense) == (16, 48)


def test_attention_with_heads_last_is_the_same_and_packed_sequences_are_listed():
    query = torch.ones(1, 3, 2, 4)  # three positions of two heads of four features
    func, three, tail = aten._flash_attention_forward.default, [query] * 3, (3, 3, 0.0, True, False)
    counted = by_rule(func, *three, None, None, *tail)  # causal: 1 + 2 + 3 pairs of positions
    assert [c.inside for c in counted] == [2 * 6 * 4] * 2
    ends = torch.tensor([0, 3])
    assert by_rule(func, *three, ends, ends, *tail) is None


def lstm(layers=1, **options):
    return nn.LSTM(5, 3, layers, **options)


def test_a_fused_recurrent_layer_meets_its_weights_with_input_and_state():
    layer = lstm()
    x = SPIKES.view(4, 1, 5)
    first, second = found(lambda: layer(x), *layer.parameters())
    assert (int(first[1].operand.synops.sum()), first[1].dense) == (9 * 12, 4 * 5 * 12)
    # the first state is zero, the three after it are not
    assert (int(second[1].operand.synops.sum()), second[1].dense) == (9 * 12, 4 * 3 * 12)


@pytest.mark.parametrize("both", [False, True])
def test_a_recurrent_layer_on_a_gpu_is_told_by_its_shapes_and_a_deep_one_is_listed(both):
    layer, x = lstm(bidirectional=both), SPIKES.view(4, 1, 5)
    weights, ways = list(layer.parameters()), 2 if both else 1
    outputs = layer(x)[0].detach()
    zeros = torch.zeros(ways, 1, 3)

    def run(layers):
        args = (x, weights, 4, None, zeros, zeros, 2, 3, 0, layers, False, 0.0, False, both, [])
        return by_rule(aten._cudnn_rnn.default, *args, None, result=(outputs,), weights=weights)

    counted = run(1)
    assert [c.dense for c in counted] == [4 * 5 * 12, 4 * 3 * 12] * ways
    assert [int(c.operand.synops.sum()) for c in counted] == [9 * 12, 9 * 12] * ways
    assert run(2) is None


def test_sparse_weights_are_left_to_the_list_of_what_is_not_counted():
    assert by_rule(aten.mm.default, SPIKES, W.to_sparse(), result=torch.empty(4, 3)) is None


def test_an_operation_of_another_library_is_counted_once_it_is_registered():
    @torch.library.custom_op("gac_test_products::pooled_linear", mutates_args=())
    def pooled_linear(x: torch.Tensor, w: torch.Tensor, scale: float = 1.0) -> torch.Tensor:
        return x @ w * scale

    run = lambda: pooled_linear(SPIKES, w=W)  # noqa: E731
    assert macs(run, W) == []

    def rule(flow, result, *, x, w, scale):
        assert scale == 1.0
        return products_in(flow, aten.mm.default, (x, w), {}, result)

    register_operation(pooled_linear, kind="product", rule=rule)
    assert macs(run, W) == [(9 * 3, 4 * 5 * 3)]
