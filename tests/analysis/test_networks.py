"""Small networks whose answers are worked out by brute force in whole numbers.

Each case is a model, its input, and the expected (synops, inside MACs) of every site in the order
they run. Expectations come from loops over integer masks, never from the counting code.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode, flop_registry

import analysis

CASES = {}


def case(function):
    """Registers a function that returns (model, inputs, expected, options)."""
    CASES[function.__name__] = function
    return function


def spikes(*shape, rate=0.3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(shape, generator=generator) < rate).float()


def reals(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def mask(x):
    return (x.detach() != 0).numpy().astype(np.int64)


def conv_pairs(x, weight_shape, stride=1, padding=0, dilation=1, groups=1):
    """(synops, inside) of a 2-d convolution by loops over outputs and taps."""
    hit, ones = mask(x), np.ones(x.shape, np.int64)
    out_channels, _, kh, kw = weight_shape
    height, width = x.shape[2:]
    out_h = (height + 2 * padding - dilation * (kh - 1) - 1) // stride + 1
    out_w = (width + 2 * padding - dilation * (kw - 1) - 1) // stride + 1
    totals = []
    for values in (hit, ones):
        total = 0
        for oh in range(out_h):
            for ow in range(out_w):
                for ih in range(kh):
                    for iw in range(kw):
                        h = oh * stride - padding + ih * dilation
                        w = ow * stride - padding + iw * dilation
                        if 0 <= h < height and 0 <= w < width:
                            total += int(values[:, :, h, w].sum()) * (out_channels // groups)
        totals.append(total)
    return tuple(totals)


def matmul_pairs(a, b):
    """Pairs of non-zeros that meet in a (batched) matrix product, by loops over the shared axis."""
    left, right = mask(a), mask(b)
    return int(sum((left[..., :, k].sum(-1) * right[..., k, :].sum(-1)).sum()
                   for k in range(left.shape[-1])))  # fmt: skip


class Call(nn.Module):
    """Any function of the input and named submodules."""

    def __init__(self, function, **modules):
        super().__init__()
        self.function = function
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, x):
        return self.function(self, x)


def convolution(x, **settings):
    layer = nn.Conv2d(x.shape[1], 4, 3, **settings)
    known = {k: v for k, v in settings.items() if k != "bias"}
    return layer, x, [conv_pairs(x, layer.weight.shape, **known)], {}


@case
def borders():
    return convolution(spikes(2, 3, 5, 6), padding=1)


@case
def no_padding():
    return convolution(spikes(2, 3, 5, 6))


@case
def strided():
    return convolution(spikes(2, 3, 7, 6), stride=2, padding=1)


@case
def dilated():
    return convolution(spikes(2, 3, 7, 7), dilation=2, padding=2)


@case
def depthwise():
    return convolution(spikes(2, 4, 5, 5), padding=1, groups=4)


@case
def grouped():
    return convolution(spikes(2, 4, 5, 5), padding=1, groups=2)


@case
def one_by_one():
    layer, x = nn.Conv2d(3, 5, 1), spikes(2, 3, 4, 4)
    return layer, x, [(int(x.sum()) * 5, 2 * 3 * 16 * 5)], {}


@case
def real_input():
    return convolution(reals(2, 3, 5, 6), padding=1)


@case
def with_bias_counts_the_same():
    return convolution(spikes(1, 2, 5, 5), padding=1, bias=True)


@case
def transposed():
    layer = nn.ConvTranspose2d(2, 3, 3, stride=2)  # nothing is cut off: all taps are written
    x = spikes(2, 2, 4, 4)
    return layer, x, [(int(x.sum()) * 27, 2 * 2 * 16 * 27)], {}


@case
def transposed_and_cut():
    layer, x = nn.ConvTranspose1d(1, 1, 3, stride=2, padding=1), torch.ones(1, 1, 3)
    # inputs 0 1 2 write outputs -1..1, 1..3, 3..5 of 0..4: 2 + 3 + 2 taps
    return layer, x, [(7, 7)], {}


@case
def one_dimension():
    layer, x = nn.Conv1d(1, 2, 3, padding=1), torch.tensor([[[1.0, 0, 1, 0]]])
    return layer, x, [((2 + 3) * 2, (2 + 3 + 3 + 2) * 2)], {}


@case
def three_dimensions():
    layer, x = nn.Conv3d(1, 1, 3, padding=1), torch.ones(1, 1, 3, 3, 3)
    return layer, x, [(7**3, 7**3)], {}  # 2 + 3 + 2 taps per axis


@case
def padded_to_the_same_size():
    layer, x = nn.Conv2d(2, 2, 3, padding="same"), spikes(2, 2, 5, 5)
    return layer, x, [conv_pairs(x, layer.weight.shape, padding=1)], {}


@case
def even_kernel_padded_by_hand():
    pad, layer, x = nn.ZeroPad2d((1, 2, 1, 2)), nn.Conv2d(1, 1, 4), spikes(1, 1, 5, 5)
    inside = (3 + 4 + 4 + 3 + 2) ** 2  # taps per axis that meet a pixel: 16 of 20
    synops = conv_pairs(functional.pad(x, (1, 2, 1, 2)), layer.weight.shape)[0]
    return nn.Sequential(pad, layer), x, [(synops, inside)], {}


@case
def circular():
    layer, x = nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular"), spikes(2, 1, 4, 4)
    return layer, x, [(int(x.sum()) * 9, 2 * 16 * 9)], {}


@case
def reflected():
    layer = nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect")
    x = spikes(1, 1, 4, 4)
    copy = functional.pad(x, (1, 1, 1, 1), mode="reflect")
    return layer, x, [conv_pairs(copy, layer.weight.shape)], {}


@case
def two_levels():
    return convolution(0.5 * spikes(2, 3, 5, 5), padding=1)


@case
def ternary():
    return convolution(spikes(2, 3, 5, 5) - spikes(2, 3, 5, 5, seed=1), padding=1)


@case
def graded():
    x = spikes(2, 3, 5, 5) + spikes(2, 3, 5, 5, seed=1) + spikes(2, 3, 5, 5, seed=2)
    return convolution(x, padding=1)


@case
def silent():
    return convolution(torch.zeros(2, 3, 5, 5), padding=1)


@case
def shared_convolution_called_twice():
    layer, x = nn.Conv2d(2, 2, 3, padding=1, bias=False), spikes(1, 2, 4, 4)
    model = Call(lambda m, x: m.layer((m.layer(x) > 0).float()), layer=layer)
    second = (layer(x) > 0).float()
    pairs = [conv_pairs(v, layer.weight.shape, padding=1) for v in (x, second)]
    return model, x, pairs, {}


@case
def one_convolution_under_two_names():
    layer, x = nn.Conv2d(2, 2, 3), spikes(1, 2, 4, 4)
    model = Call(lambda m, x: m.first(x), first=layer, second=layer)
    return model, x, [conv_pairs(x, layer.weight.shape)], {}


@case
def two_products_in_one_module_call():
    x = spikes(3, 4)

    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Parameter(torch.rand(5, 4)), nn.Parameter(torch.rand(2, 5))

        def forward(self, x):
            return functional.linear(functional.linear(x, self.a), self.b)

    fed = int(x.any(1).sum())  # a row of zeros stays one
    return Twice(), x, [(int(x.sum()) * 5, 60), (fed * 5 * 2, 30)], {}


@case
def functional_convolution():
    weight, x = nn.Parameter(torch.rand(2, 2, 3, 3)), spikes(1, 2, 4, 4)
    model = Call(lambda m, x: functional.conv2d(x, m.weight, padding=1))
    model.weight = weight
    return model, x, [conv_pairs(x, weight.shape, padding=1)], {}


@case
def keyword_call():
    layer, x = nn.Linear(4, 3), spikes(2, 4)
    return Call(lambda m, x: m.layer(input=x), layer=layer), x, [(int(x.sum()) * 3, 24)], {}


@case
def changed_in_place_afterwards():
    def run(m, x):
        x = x.clone()
        y = m.layer(x)
        x.zero_()
        return y

    x = spikes(2, 4)
    return Call(run, layer=nn.Linear(4, 3)), x, [(int(x.sum()) * 3, 24)], {}


@case
def expanded_tensor():
    x = spikes(1, 3, 4, 4).expand(5, -1, -1, -1)
    return convolution(x, padding=1)


@case
def channels_last():
    return convolution(spikes(2, 4, 5, 5).to(memory_format=torch.channels_last), padding=1)


@case
def transposed_view():
    return convolution(spikes(2, 3, 6, 4).transpose(2, 3), padding=1)


@case
def more_than_two_to_the_24():
    layer, x = nn.Linear(4, 4, bias=False), torch.ones(1, 2**21 + 1, 4)
    return layer, x, [((2**21 + 1) * 16, (2**21 + 1) * 16)], {}


@case
def weight_on_the_left():
    model = Call(lambda m, x: (m.weight @ x.mT).mT)
    model.weight = nn.Parameter(torch.rand(3, 4))
    x = spikes(2, 4)
    return model, x, [(int(x.sum()) * 3, 24)], {}


@case
def batched_matmul_with_one_weight():
    model = Call(lambda m, x: x @ m.weight)
    model.weight = nn.Parameter(torch.rand(4, 3))
    x = spikes(2, 5, 4)
    return model, x, [(int(x.sum()) * 3, 2 * 5 * 12)], {}


@case
def einsum_with_a_weight():
    model = Call(lambda m, x: torch.einsum("blk,hkm->blhm", x, m.weight))
    model.weight = nn.Parameter(torch.rand(2, 4, 3))
    x = spikes(2, 5, 4)
    return model, x, [(int(x.sum()) * 6, 2 * 5 * 24)], {}


@case
def addmm_and_baddbmm():
    def run(m, x):
        flat = torch.addmm(m.bias, x[:, 0], m.weight)
        return torch.baddbmm(torch.zeros(1), x, m.weight.expand(2, -1, -1)), flat

    model = Call(run)
    model.weight, model.bias = nn.Parameter(torch.rand(4, 3)), nn.Parameter(torch.rand(3))
    x = spikes(2, 5, 4)
    first = int(x[:, 0].sum())
    return model, x, [(first * 3, 24), (int(x.sum()) * 3, 120)], {}


@case
def spike_queries_meet_spike_keys():
    x = spikes(2, 2, 5, 4)
    model = Call(lambda m, x: x @ x.mT)
    return model, x, [(matmul_pairs(x, x.mT), 2 * 2 * 5 * 4 * 5)], {}


@case
def spike_attention_meets_real_values():
    x, values = spikes(2, 3, 5, 5), reals(3, 5, 4)
    model = Call(lambda m, x: x @ m.values)
    model.register_buffer("values", values)
    return model, x, [(int(x.sum()) * 4, 2 * 3 * 5 * 5 * 4)], {}


@case
def two_real_activations():
    x = reals(2, 3, 4) * spikes(2, 3, 4)
    model = Call(lambda m, x: (x + 0.0) @ (2 * x).mT)
    return model, x, [(matmul_pairs(x, x.mT), 2 * 3 * 4 * 3)], {}


def attention_pairs(q, k, v, allowed):
    """(score pairs, inside), (value pairs, inside) by loops over query and key positions."""
    scores = values = 0
    rows, heads, length, width = q.shape
    for i in range(length):
        for j in range(k.shape[2]):
            if allowed[i, j]:
                scores += int((mask(q)[:, :, i] * mask(k)[:, :, j]).sum())
                values += int(mask(v)[:, :, j].sum())
    inside = int(allowed.sum()) * rows * heads
    return [(scores, inside * width), (values, inside * v.shape[3])]


def fused_attention(**settings):
    q, k, v = (spikes(2, 2, 4, 3, seed=s) for s in range(3))
    model = Call(lambda m, x: functional.scaled_dot_product_attention(
        x[:, 0], x[:, 1], x[:, 2], **settings))  # fmt: skip
    allowed = torch.ones(4, 4, dtype=torch.bool)
    if settings.get("is_causal"):
        allowed = allowed.tril()
    if settings.get("attn_mask") is not None:
        allowed = settings["attn_mask"]
    return model, torch.stack([q, k, v], 1), attention_pairs(q, k, v, allowed), {}


@case
def fused_attention_without_a_mask():
    return fused_attention()


@case
def fused_attention_with_a_mask():
    mask = torch.tensor([[1, 0, 0, 1], [1, 1, 0, 0], [0, 1, 1, 0], [1, 1, 1, 1]]).bool()
    return fused_attention(attn_mask=mask)


@case
def causal_fused_attention():
    return fused_attention(is_causal=True)


@case
def multihead_attention_with_bias():
    layer = nn.MultiheadAttention(4, 2, batch_first=True)
    x = reals(2, 3, 4)
    # in: 6 rows x 4 x 12; scores: 2 x 2 heads x 3 x 3 x 2; values the same; out: 6 x 4 x 4
    counts = [(288, 288), (72, 72), (72, 72), (96, 96)]
    return Call(lambda m, x: m.layer(x, x, x)[0], layer=layer), x, counts, {}


@case
def transformer_encoder_layer():
    layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True, activation="gelu")
    counts = [(288, 288), (72, 72), (72, 72), (96, 96), (192, 192), (192, 192)]
    return layer, reals(2, 3, 4), counts, {}


def recurrent(layer, gates):
    """Input product of every position; hidden product of all but the silent first state."""
    x = spikes(2, 3, 4)
    hidden = layer(x)[0].shape[-1]
    synops_in = int(x.sum()) * gates * hidden
    return layer, x, synops_in, 2 * 2 * hidden * gates * hidden, {}


@case
def lstm_with_a_silent_first_state():
    layer, x, fed, kept, options = recurrent(nn.LSTM(4, 3, batch_first=True), 4)
    return layer, x, [(fed, 6 * 4 * 12), (kept, 6 * 3 * 12)], options


@case
def gru_with_a_silent_first_state():
    layer, x, fed, kept, options = recurrent(nn.GRU(4, 3, batch_first=True), 3)
    one = kept // 2
    return layer, x, [(fed, 6 * 36), (0, 54), (one, 54), (one, 54)], options


@case
def lstm_cell():
    x = spikes(2, 4)
    model = Call(lambda m, x: m.cell(x), cell=nn.LSTMCell(4, 3))
    counts = [(0, 2 * 3 * 12), (int(x.sum()) * 12, 2 * 4 * 12)]
    return model, x, counts, {}


@case
def bfloat16():
    layer, x, expected, options = convolution(spikes(2, 300, 5, 5, rate=0.9), padding=1)
    return layer.bfloat16(), x, expected, options


@case
def autocast():
    layer, x, expected, options = convolution(spikes(2, 300, 5, 5, rate=0.9), padding=1)

    def run(m, x):
        with torch.autocast("cpu", torch.bfloat16):
            return m.layer(x)

    return Call(run, layer=layer), x, expected, options


@case
def frozen_batch_norm():
    norm, x = nn.BatchNorm2d(3).eval(), spikes(2, 3, 4, 4)
    layer = nn.Conv2d(3, 2, 1)
    return nn.Sequential(norm, layer), x, [(mask_size(norm(x)) * 2, 96 * 2)], {}


def mask_size(x):
    return int(mask(x).sum())


@case
def unbatched_input_of_a_functional_convolution():
    model = Call(lambda m, x: torch.stack([m.layer(sample) for sample in x]))
    model.layer = nn.Conv2d(1, 1, 3)
    x = spikes(1, 1, 4, 4)
    return model, x, [conv_pairs(x, (1, 1, 3, 3))], {}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_every_product_is_counted_exactly(name, mode):
    torch.manual_seed(0)
    model, inputs, expected, options = CASES[name]()
    model = model.eval()
    with mode():
        run = analysis.analyze(model, [inputs], steps=1, **options).run
    assert [(site.synops, site.inside_macs) for site in run.sites] == expected
    assert not run.uncounted
    assert not run.never_ran


OWN_RULES = ["lstm_with_a_silent_first_state"]  # for which torch's flop registry has nothing


FUSED = {  # which older torch has no figure for
    "fused_attention_without_a_mask", "fused_attention_with_a_mask", "causal_fused_attention",
    "transformer_encoder_layer",
}  # fmt: skip
REGISTERED = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu in flop_registry


@pytest.mark.parametrize("name", CASES if REGISTERED else [n for n in CASES if n not in FUSED])
def test_dense_counts_are_those_of_torchs_own_registry_where_it_has_any(name, monkeypatch):
    torch.manual_seed(0)
    model, inputs, _, options = CASES[name]()
    model = model.eval()
    run = analysis.analyze(model, [inputs], steps=1, **options).run
    dtype = next((p.dtype for p in model.parameters()), inputs.dtype)
    monkeypatch.setattr(torch.backends.mha, "_is_fastpath_enabled", False)  # hides products
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(inputs.to(dtype))
    dense = sum(site.dense_macs for site in run.sites)
    assert counter.get_total_flops() == (0 if name in OWN_RULES else 2 * dense)


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("borders", ["spike"]),
        ("two_levels", ["spike"]),
        ("ternary", ["ternary"]),
        ("graded", ["graded"]),
        ("silent", ["silent"]),
        ("real_input", ["real"]),
        ("spike_queries_meet_spike_keys", ["spike"]),
        ("spike_attention_meets_real_values", ["spike"]),
        ("two_real_activations", ["real"]),
        ("fused_attention_with_a_mask", ["spike", "spike"]),
        ("lstm_with_a_silent_first_state", ["spike", "real"]),
    ],
)
def test_the_operand_kinds_of_the_networks(name, kinds):
    torch.manual_seed(0)
    model, inputs, _, options = CASES[name]()
    run = analysis.analyze(model.eval(), [inputs], steps=1, **options).run
    assert [site.operand for site in run.sites] == kinds
