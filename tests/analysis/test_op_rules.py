from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import analysis
from analysis.counting.products import axis_fan


def analysed(layer, x):
    (site,) = analysis.analyze(layer, [x], steps=1).run.sites
    return site


def test_inner_pixels_are_read_by_every_tap_and_corners_by_fewer():
    fan = axis_fan(5, 5, kernel=3, stride=1, padding=1, dilation=1, transposed=False)
    assert fan.tolist() == [2, 3, 3, 3, 2]


def test_a_stride_of_two_reads_pixels_once_or_twice():
    # outputs 0, 1 with taps at 0 1 2 and 2 3 4
    fan = axis_fan(5, 2, kernel=3, stride=2, padding=0, dilation=1, transposed=False)
    assert fan.tolist() == [1, 1, 2, 1, 1]


def test_a_transposed_convolution_writes_every_tap_inside_the_output():
    # inputs 0, 1 write outputs 0 1 2 and 2 3 4; padding 1 cuts outputs 0 and 4 off
    fan = axis_fan(2, 3, kernel=3, stride=2, padding=1, dilation=1, transposed=True)
    assert fan.tolist() == [2, 2]


@st.composite
def convolutions(draw):
    axes = draw(st.integers(1, 3))
    transposed = draw(st.booleans())
    groups = draw(st.sampled_from([1, 2]))
    stride = draw(st.integers(1, 3))
    kernel = draw(st.integers(1, 4))
    dilation = draw(st.integers(1, 2))
    reach = dilation * (kernel - 1) + 1
    options = {
        "stride": stride,
        "padding": draw(st.integers(0, (reach - 1) // 2 if transposed else 2)),
        "dilation": dilation,
        "groups": groups,
        "bias": draw(st.booleans()),
    }
    name = f"Conv{'Transpose' * transposed}{axes}d"
    channels = groups * draw(st.integers(1, 2))
    layer = getattr(nn, name)(channels, groups * draw(st.integers(1, 3)), kernel, **options)
    size = [draw(st.integers(reach, reach + 3)) for _ in range(axes)]
    generator = torch.Generator().manual_seed(draw(st.integers(0, 1000)))
    x = torch.randn(draw(st.integers(1, 3)), channels, *size, generator=generator)
    return layer, x * (torch.rand(x.shape, generator=generator) < 0.4)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(drawn=convolutions())
def test_any_convolution_is_counted_as_brute_force_counts_it(ones_convolution, drawn):
    layer, x = drawn
    site = analysed(layer, x)
    assert (site.synops, site.inside_macs) == tuple(ones_convolution(layer, x))
    with FlopCounterMode(display=False) as flops, torch.no_grad():
        layer(x)
    assert site.dense_macs == flops.get_total_flops() // 2


@pytest.mark.parametrize("mode", ["circular", "reflect", "replicate"])
def test_copied_borders_count_as_inputs(mode):
    layer = nn.Conv2d(1, 1, 3, padding=1, padding_mode=mode, bias=False)
    # every output sees 9 inputs, none of them a zero of the padding
    assert analysed(layer, torch.ones(1, 1, 4, 4)).synops == 16 * 9


def test_an_even_kernel_padded_to_the_same_size_leaves_out_the_padding():
    layer = nn.Sequential(nn.ZeroPad2d((1, 2, 1, 2)), nn.Conv2d(1, 1, 4, bias=False))
    site = analysed(layer, torch.ones(1, 1, 4, 4))
    # per axis, taps that meet a pixel: 3 + 4 + 3 + 2 outputs' worth = 12 of 16
    assert (site.synops, site.inside_macs, site.dense_macs) == (144, 144, 256)
    assert site.in_rate == 1


def test_a_linear_layer_meets_every_weight_of_its_non_zero_inputs():
    layer = nn.Linear(4, 3)
    site = analysed(layer, torch.tensor([[1.0, 0, 0, 1], [0, 0, 0, 1]]))
    assert (site.synops, site.dense_macs) == (9, 24)


def test_counts_above_two_to_the_24_stay_exact():
    layer = nn.Linear(3, 2, bias=False)
    x = torch.ones(1, 2**23 + 1, 3)
    assert analysed(layer, x).synops == (2**23 + 1) * 6
