from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

import analysis
from analysis.energy.lemaire import lemaire
from analysis.energy.lemaire_costs import access_pj
from analysis.records import (
    ElementwiseRecord,
    LayerShape,
    Moments,
    NeuronRecord,
    Run,
    SiteKey,
    SiteRecord,
)

# One sample, 2 steps: 2 -> 3 channels, 3x3, padding 1, 4x4 -> 4x4; 5 spikes come in, one of them
# in a corner: 4 * 27 + 12 = 120 synops. Dense: 48 outputs * 18 taps * 2 steps = 1,728.
CONV = SiteRecord(
    key=SiteKey(name="conv"),
    role="spiking",
    op="conv2d",
    operand="spike",
    origin="spikes",
    static=False,
    executions=2,
    dense_macs=1728,
    inside_macs=1200,
    synops=120,
    nonzeros=5,
    elements=2 * 2 * 16,
    synops_by_step=(66, 54),
    weights=54,
    shape=LayerShape(channels_in=2, channels_out=3, kernel=(3, 3), stride=(1, 1), biased=True),
)
# 10 -> 4 features; 6 spikes come in: 24 synops. Dense: 40 * 2 steps = 80.
FC = replace(
    CONV,
    key=SiteKey(name="fc"),
    role="readout",
    op="linear",
    dense_macs=80,
    inside_macs=80,
    synops=24,
    nonzeros=6,
    elements=20,
    weights=40,
    shape=LayerShape(channels_in=10, channels_out=4, biased=True),
)
NEURON = NeuronRecord(site="lif", call=0, neurons=48, spikes=7, outputs=96)


def run_of(*sites, neurons=(), elementwise=()):
    return Run(
        samples=1,
        steps=2,
        sites=sites,
        neurons=neurons,
        elementwise=elementwise,
        moments=Moments(columns=(), mean=(), scatter=()),
    )


def layer(run, *arguments, **choices):
    (found,) = lemaire(run, *arguments, **choices).layers
    return found


def test_a_spiking_convolution_by_hand():
    # Each access to packed memory costs 10 / (64 / 32) = 5 pJ. 5 spikes * 3 * 9 = 135 weights.
    found = layer(run_of(CONV), memory="packed")
    assert found.operations_pj == pytest.approx((135 + 2 * 48) * 0.1)  # updates, biases
    assert found.addressing_pj == pytest.approx(5 * 2 * 3.2 + 135 * 0.1)  # eqs. 16.2, 16.3
    assert found.input_pj == 5 * 5
    assert found.parameters_pj == (135 + 96) * 5
    assert found.potentials_pj == 2 * 135 * 5  # read and written
    assert found.output_pj == 0  # the neurons write it
    assert found.total_pj == pytest.approx(23.1 + 45.5 + 25 + 1155 + 1350)


def test_a_spiking_convolution_by_hand_in_memories_of_their_own_size():
    found = layer(run_of(CONV))
    assert found.input_pj == pytest.approx(5 * (1.09e-5 * 1000 * 32 + 13.2))  # a FIFO of 1,000
    weights, bias = 1.09e-5 * 54 * 32 + 13.2, 1.09e-5 * 3 * 32 + 13.2
    assert found.parameters_pj == pytest.approx(135 * weights + 96 * bias)
    assert found.potentials_pj == pytest.approx(2 * 135 * (1.09e-5 * 48 * 32 + 13.2))


def test_a_stride_divides_the_updates_but_not_the_weights_that_are_read():
    shape = replace(CONV.shape, stride=(2, 2))
    strided = replace(CONV, dense_macs=432, shape=shape)  # 2x2 outputs: 12 * 18 * 2
    found = layer(run_of(strided), memory="packed")
    # 5 spikes * ceil(3/2) * ceil(3/2) * 3 = 60 updates (eq. 1.4), 135 weights (eq. 7)
    assert found.operations_pj == pytest.approx((60 + 2 * 12) * 0.1)
    assert found.parameters_pj == (135 + 24) * 5


def test_groups_divide_the_fan_out():
    # 2 groups of 1 -> 3 channels: 54 weights for 6 outputs channels; each spike meets 27
    shape = replace(CONV.shape, channels_out=6)
    found = layer(run_of(replace(CONV, shape=shape)), memory="packed")
    assert found.potentials_pj == 2 * 5 * 27 * 5
    # 1,728 / 9 taps = 192 biases over both steps
    assert found.operations_pj == pytest.approx((135 + 192) * 0.1)


def test_a_spiking_matrix_by_hand():
    found = layer(run_of(FC), memory="packed")
    assert found.operations_pj == pytest.approx((6 * 4 + 2 * 4) * 0.1)  # eq. 2.4
    assert found.addressing_pj == pytest.approx(6 * 4 * 0.1)  # eq. 17.2
    assert found.input_pj == 6 * 5
    assert found.parameters_pj == (24 + 8) * 5
    assert found.potentials_pj == 2 * 24 * 5


def test_neurons_by_hand():
    run = run_of(neurons=(NEURON,))
    found = layer(run, memory="packed")
    # 48 neurons * 2 steps = 96 leaks at 3.2 pJ; 7 resets at 0.1
    assert found.operations_pj == pytest.approx(96 * 3.2 + 7 * 0.1)
    assert found.potentials_pj == 2 * 96 * 5
    assert found.output_pj == 7 * 5
    assert layer(run, leaky=False).operations_pj == pytest.approx(0.7)


def test_the_same_layers_without_spikes_by_hand():
    # One step: 864 MACs, 48 outputs, 32 inputs.
    conv = layer(run_of(CONV), "fnn", memory="packed")
    assert conv.operations_pj == pytest.approx(864 * 3.2 + 48 * 0.1)
    assert conv.addressing_pj == pytest.approx((32 + 48 + 3 * 9) * 0.1)
    assert conv.input_pj == 864 * 5  # eq. 3
    assert conv.parameters_pj == (864 + 48) * 5
    assert conv.output_pj == 48 * 5
    fc = layer(run_of(FC), "fnn", memory="packed")
    assert fc.operations_pj == pytest.approx(40 * 3.2 + 4 * 0.1)
    assert fc.addressing_pj == pytest.approx(40 * 0.1)
    assert fc.input_pj == 10 * 5  # eq. 4
    assert fc.memory_pj == (10 + 40 + 4 + 4) * 5


def test_a_layer_on_real_values_runs_dense_at_every_step_or_on_its_non_zeros():
    run = run_of(replace(FC, operand="real", origin="current"))
    dense = layer(run, memory="packed")
    assert dense.operations_pj == pytest.approx(80 * 3.2 + 8 * 0.1)
    assert dense.memory_pj == (20 + 80 + 8 + 8) * 5
    events = layer(run, memory="packed", real="events")
    assert events.operations_pj == pytest.approx(24 * 3.2 + 8 * 0.1)  # 80 at a rate of 6 / 20


def test_events_at_the_input_are_spikes_like_any_other():
    (work,) = lemaire(run_of(replace(CONV, origin="events"))).work
    assert work.kind == "spiking"


def test_a_black_and_white_picture_that_is_called_an_image_is_read_as_real_values():
    (work,) = lemaire(run_of(replace(CONV, origin="image", role="stem"))).work
    assert work.kind == "dense"


@pytest.mark.parametrize("network", ["snn", "fnn"])
@pytest.mark.parametrize("operand", ["real", "spike"])
def test_what_ran_once_for_both_steps_costs_as_much_as_if_it_had_run_twice(operand, network):
    twice = replace(CONV, operand=operand, static=True, synops=120, nonzeros=6)
    once = replace(
        twice, executions=1, stands_for=2, dense_macs=864, inside_macs=600, synops=60, nonzeros=3,
        elements=32, synops_by_step=None,
    )  # fmt: skip
    assert layer(run_of(once), network) == layer(run_of(twice), network)
    assert lemaire(run_of(once)).leaves_out == lemaire(run_of(twice)).leaves_out


def test_a_layer_that_ran_once_behind_a_mean_over_time_is_charged_once():
    once = replace(FC, operand="real", origin="current", executions=1, dense_macs=40, elements=10)
    assert layer(run_of(once)) == layer(run_of(once), "fnn")
    assert lemaire(run_of(once)).work[0].macs == 40


def test_the_gate_is_no_part_of_the_network_without_spikes():
    run = run_of(CONV, replace(FC, role="gate"))
    plain = lemaire(run, "fnn")
    assert [work.name for work in plain.work] == ["conv"]
    assert "the gate: fc" in plain.leaves_out
    assert len(lemaire(run).work) == 2


def test_folded_batch_norm_gives_a_layer_a_bias():
    bare = replace(FC, shape=replace(FC.shape, biased=False))
    norm = (ElementwiseRecord(site="bn", work="normalisation", elements=8),)
    assert layer(run_of(bare)).operations_pj == pytest.approx(2.4)
    assert layer(run_of(bare, elementwise=norm)).operations_pj == pytest.approx(3.2)


def test_what_no_equation_covers_is_named():
    product = replace(FC, key=SiteKey(name="attention"), shape=None, weights=0)
    assert any("attention" in text for text in lemaire(run_of(product)).leaves_out)


def test_a_static_site_is_charged_at_every_step_and_says_so():
    run = run_of(replace(FC, operand="real", origin="image", static=True))
    assert any("save: fc" in text for text in lemaire(run).leaves_out)
    assert lemaire(run).work[0].macs == 80


def test_energies_are_per_sample():
    twice = replace(
        run_of(replace(FC, dense_macs=160, nonzeros=12, elements=40, synops=48)), samples=2
    )
    assert layer(twice) == layer(run_of(FC))


@pytest.mark.parametrize(
    ("memory", "words", "expected"),
    [
        ("linear", 262144, 1.09e-5 * 8388608 + 13.2),
        ("packed", 262144, 5.0),
        ("interpolated", 2048, 10.0),  # 8 KiB: 2.5 pJ per byte
        ("interpolated", 8192, 20.0),
        ("interpolated", 5120, 15.0),  # halfway
        ("interpolated", 10**9, 100.0),  # flat beyond 1 MiB
    ],
)
def test_an_access_costs_by_the_size_of_its_memory(memory, words, expected):
    assert access_pj(words, 32, memory) == pytest.approx(expected)


def test_unknown_choices_are_told_with_the_known_ones():
    with pytest.raises(analysis.InputError, match=r"16 for bits .* allowed: 8, 32"):
        lemaire(run_of(FC), bits=16)


def test_the_frame_has_one_row_per_layer_and_adds_up():
    found = lemaire(run_of(CONV, FC, neurons=(NEURON,)))
    assert list(found.frame["name"]) == ["conv", "fc", "lif"]
    assert found.frame["total_pj"].sum() == pytest.approx(found.total_pj)


@pytest.mark.parametrize(
    ("made", "shape", "fan_out"),
    [
        (nn.Conv2d(4, 6, (3, 5), stride=2, groups=2), (1, 4, 9, 9), 3 * 15),
        (nn.Conv1d(4, 8, 3, padding=1), (1, 4, 7), 24),
        (nn.Linear(5, 7), (1, 3, 5), 7),
    ],
)
def test_sizes_derived_from_counts_are_those_of_the_layer(made, shape, fan_out):
    from analysis.energy.layers import layers

    images = torch.ones(shape)
    (found,) = layers(analysis.analyze(made, [images], steps=1).run)
    assert found.outputs == made(images).numel()
    assert found.inputs == images.numel()
    assert found.fan_out == fan_out
    assert found.shape.biased


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of a package that is not ours
def test_a_spiking_network_agrees_with_spikingjelly_but_for_where_biases_lie():
    counter = pytest.importorskip("spikingjelly.activation_based.op_counter")
    from spikingjelly.activation_based import functional, neuron
    from spikingjelly.activation_based import layer as layers

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            mode = {"step_mode": "m"}
            self.encoder = neuron.IFNode(**mode)
            self.conv = layers.Conv2d(2, 6, 3, stride=2, padding=1, groups=2, **mode)
            self.first = neuron.LIFNode(**mode)
            self.fc = layers.Linear(96, 4, **mode)
            self.second = neuron.LIFNode(**mode)

        def forward(self, x):  # (T, B, C, H, W)
            functional.reset_net(self)
            x = self.first(self.conv(self.encoder(x)))
            return self.second(self.fc(x.flatten(2)))

    torch.manual_seed(0)
    net = Net().eval()
    for made in (net.conv, net.fc):
        made.weight.data.abs_().mul_(4)
    images = torch.rand(3, 1, 2, 8, 8) * 1.5
    theirs = counter.estimate_lemaire_energy(net, images)
    run = analysis.analyze(net, [images], steps=3, time_layout="TB").run
    ours = lemaire(run, memory="interpolated")
    assert all(n.spikes for n in run.neurons)

    # They know that the encoder is no LIF; we are told for all neurons at once.
    encoder_leaks = 2 * 64 * 3 * 3.2
    frame = ours.frame.drop(columns=["name", "kind"]).sum()
    parts = theirs.breakdown_pj
    assert frame["operations_pj"] - encoder_leaks == pytest.approx(parts["ops_pj"])
    assert frame["addressing_pj"] == pytest.approx(parts["addressing_pj"])
    assert frame["input_pj"] + frame["output_pj"] == pytest.approx(parts["inout_pj"])
    assert frame["potentials_pj"] == pytest.approx(parts["potential_pj"])
    # Their weights and biases share one memory, ours have one each, as the equations say.
    shared = 0.0
    for work in ours.work:
        parameters = [a for a in work.accesses if a.item in ("weights", "bias")]
        words = float(sum(a.words for a in parameters))
        shared += sum(float(a.count) for a in parameters) * access_pj(words, 32, "interpolated")
    assert shared == pytest.approx(parts["params_pj"])
    assert frame["parameters_pj"] < parts["params_pj"]


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of a package that is not ours
def test_a_network_without_spikes_agrees_with_spikingjelly_but_for_matrix_addressing():
    counter = pytest.importorskip("spikingjelly.activation_based.op_counter")

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(2, 6, 3, padding=1)
            self.fc = nn.Linear(96, 4)

        def forward(self, x):
            return self.fc(self.conv(x).flatten(1))

    torch.manual_seed(0)
    net, images = Net().eval(), torch.randn(1, 2, 4, 4)
    parts = counter.estimate_lemaire_energy(net, images).breakdown_pj
    run = analysis.analyze(net, [images], steps=1).run
    frame = lemaire(run, "fnn", memory="interpolated").frame.set_index("name")
    sums = frame.drop(columns="kind").sum()
    assert sums["operations_pj"] == pytest.approx(parts["ops_pj"])
    assert sums["input_pj"] + sums["output_pj"] == pytest.approx(parts["inout_pj"])
    # A matrix is addressed Nin * Nout times in qualia-plugin-snn and here, Nin + Nout in theirs.
    difference = (96 * 4 - (96 + 4)) * 0.1
    assert sums["addressing_pj"] - difference == pytest.approx(parts["addressing_pj"])
