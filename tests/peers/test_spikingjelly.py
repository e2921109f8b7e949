"""Networks of SpikingJelly 2.0, counted by its own counters and by ours."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

import analysis
from analysis.energy.lemaire import lemaire

pytestmark = [
    pytest.mark.slow,
    pytest.mark.peers,
    pytest.mark.filterwarnings("ignore"),  # raised by the peer itself
]
activation_based = pytest.importorskip("spikingjelly.activation_based")

from spikingjelly.activation_based import functional, neuron, op_counter  # noqa: E402
from spikingjelly.activation_based.model import (  # noqa: E402
    maxformer,
    qkformer,
    sew_resnet,
    spike_driven_transformer,
    spikformer,
    spiking_resnet,
)

STEPS, SAMPLES = 3, 2


def resnet():
    return spiking_resnet.spiking_resnet18(spiking_neuron=neuron.LIFNode, num_classes=10)


def sew():
    return sew_resnet.sew_resnet18(spiking_neuron=neuron.IFNode, num_classes=10, cnf="ADD")


SMALL = {"T": STEPS, "num_classes": 10}
LIVELY = {"spiking_neuron": neuron.IFNode, "v_threshold": 0.2}  # else their attention stays silent


def spikformer_net():
    size = {"img_size_h": 32, "img_size_w": 32, "embed_dims": 32, "num_heads": 4, "depths": 2}
    return spikformer.Spikformer(**SMALL, **size, **LIVELY)


def spike_driven():
    size = {"embed_dims": 32, "num_heads": 4, "depths": 2}
    return spike_driven_transformer.SpikeDrivenTransformer(**SMALL, **size, **LIVELY)


def maxformer_net():
    return maxformer.MaxFormer(**SMALL, embed_dims=48, depths=(1, 1, 1), cifar=True, **LIVELY)


def qkformer_net():
    size = {"embed_dims": 48, "num_heads": (1, 2, 2), "depths": (1, 1, 1)}
    return qkformer.QKFormer(**SMALL, **size, **LIVELY)


TRANSFORMERS = [spikformer_net, spike_driven, maxformer_net, qkformer_net]


@pytest.fixture(params=[resnet, sew, *TRANSFORMERS])
def network(request):
    """A multi-step network in float64 whose batch norms fit its input, so that all layers fire."""
    torch.manual_seed(0)
    model = request.param()
    functional.set_step_mode(model, "m")
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        model.train()(torch.rand(STEPS, SAMPLES, 3, 32, 32))
    functional.reset_net(model)
    return model.eval().double()


@pytest.fixture
def clip():
    """(T, B, C, H, W), as SpikingJelly has it."""
    generator = torch.Generator().manual_seed(1)
    return torch.rand(STEPS, SAMPLES, 3, 32, 32, generator=generator).double()


def theirs(model, clip, *counters, mode=torch.no_grad):
    with mode(), op_counter.DispatchCounterMode(list(counters)):
        model(clip)
    functional.reset_net(model)
    return [counter.get_total() for counter in counters]


def is_spiking(site):
    return site.operand in ("spike", "silent")


def test_accumulates_equal_those_of_the_synop_counter(network, clip):
    (synops,) = theirs(network, clip, op_counter.SynOpCounter())
    run = analysis.analyze(network, [clip], steps=STEPS).run
    assert run.samples == SAMPLES
    assert sum(s.synops for s in run.sites if is_spiking(s)) == synops > 0


def test_multiply_accumulates_differ_by_batch_norm_which_they_count_and_we_list(network, clip):
    (macs,) = theirs(network, clip, op_counter.MACCounter())
    run = analysis.analyze(network, [clip], steps=STEPS).run
    norms = sum(e.elements for e in run.elementwise if e.work == "normalisation")
    assert sum(s.dense_macs for s in run.sites if not is_spiking(s)) == macs - norms


def test_under_inference_mode_they_count_nothing_and_we_the_same(network, clip):
    expected = analysis.analyze(network, [clip], steps=STEPS).run.sites
    assert theirs(network, clip, op_counter.SynOpCounter(), mode=torch.inference_mode) == [0]
    with torch.inference_mode():
        assert analysis.analyze(network, [clip], steps=STEPS).run.sites == expected


def test_neuron_layers_are_found_and_their_rates_are_the_means_of_their_outputs(network, clip):
    outputs, handles = {}, []
    for path, module in network.named_modules():
        if isinstance(module, neuron.BaseNode):
            hook = lambda m, i, out, path=path: outputs.setdefault(path, out)  # noqa: E731
            handles.append(module.register_forward_hook(hook))
    with torch.no_grad():
        network(clip)
    for handle in handles:
        handle.remove()
    functional.reset_net(network)
    run = analysis.analyze(network, [clip], steps=STEPS).run
    assert {n.site for n in run.neurons} == set(outputs)
    for found in run.neurons:
        by_step = outputs[found.site].flatten(1).sum(1)  # (T,)
        assert list(found.spikes_by_step) == by_step.tolist()


def test_one_sample_alone_and_batches_in_a_row_give_the_counts_they_have_together(network, clip):
    run = analysis.analyze(network, [clip], steps=STEPS, per_sample=True).run
    parts = analysis.analyze(network, clip.split(1, dim=1), steps=STEPS, per_sample=True).run
    assert parts.sites == run.sites
    assert parts.neurons == run.neurons
    assert parts.per_sample == run.per_sample


def without_norms(model):
    """The same network with its batch norms folded into the convolutions: Lemaire knows none."""
    for module in list(model.modules()):
        previous = None
        for name, child in list(module.named_children()):
            if isinstance(child, nn.BatchNorm2d) and isinstance(previous, nn.Conv2d):
                statistics = (child.running_mean, child.running_var, child.eps)
                previous.weight, previous.bias = fuse_conv_bn_weights(
                    previous.weight, previous.bias, *statistics, child.weight, child.bias
                )
                setattr(module, name, nn.Identity())
            previous = child
    return model


def test_counts_after_lemaire_equal_theirs_but_for_two_choices(clip):
    torch.manual_seed(0)
    model = resnet()
    functional.set_step_mode(model, "m")
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        model.train()(clip.float())
    functional.reset_net(model)
    model, images = without_norms(model.eval()), clip[:, :1].float()
    settings = op_counter.LemaireEnergyConfig(strict=False)  # pooling is in neither
    theirs = op_counter.estimate_lemaire_energy(model, images, config=settings).counts
    functional.reset_net(model)
    run = analysis.analyze(model, [images], steps=STEPS).run
    work = lemaire(run, memory="interpolated").work

    def words(*items):
        return sum(a.count for layer in work for a in layer.accesses if a.item in items)

    assert sum(layer.macs for layer in work) == theirs["mac"]
    assert sum(layer.acs for layer in work) == theirs["ac"]
    assert sum(layer.address_macs for layer in work) == theirs["mac_addr"]
    assert words("input") == theirs["read_in_bytes"] / 4
    assert words("weights", "bias") == theirs["read_params_bytes"] / 4
    assert words("potential read") == theirs["read_potential_bytes"] / 4
    assert words("potential write") == theirs["write_potential_bytes"] / 4
    # The first layer reads real values at every step. Its kernel is found anew at each of them
    # here, once in theirs; what it gives out is written here, and not in theirs.
    kernel, outputs = 64 * 7 * 7, 64 * 16 * 16
    addresses = sum(layer.address_acs for layer in work)
    assert addresses == theirs["acc_addr"] + (STEPS - 1) * kernel
    assert words("output") == theirs["write_out_bytes"] / 4 + STEPS * outputs


def test_attention_between_spikes_is_made_of_pairs():
    torch.manual_seed(0)
    model = spikformer_net().eval()
    functional.set_step_mode(model, "m")
    clip = torch.rand(STEPS, SAMPLES, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    run = analysis.analyze(model, [4 * clip], steps=STEPS).run
    products = [site for site in run.sites if site.other_operand is not None]
    assert len(products) == 4  # two blocks, two products each
    assert all(0 <= site.synops <= site.one_sided_synops for site in products if site.nonzeros)


class Products(nn.Module):
    def __init__(self, function, layers=()):
        super().__init__()
        self.layers, self.function = nn.ModuleList(layers), function

    def forward(self, x):
        return self.function(x, *self.layers)


def counted(model, x, steps=1):
    """(their accumulates, their multiply-accumulates), and our sites."""
    with torch.no_grad():
        found = [op_counter.SynOpCounter(), op_counter.MACCounter()]
        theirs(model.eval(), x, *found)
        return tuple(c.get_total() for c in found), analysis.analyze(model, [x], steps=steps).run


# Eight inputs, four outputs: 32 products if none is zero; six inputs are not.
LINEAR = nn.Linear(8, 4, bias=False)
PATTERN = torch.tensor([[1.0, 0, 1, 1, 0, 1, 1, 1]])
SIGNS = torch.tensor([[1.0, 1, -1, 1, 1, -1, 1, -1]])


@pytest.mark.parametrize(
    ("x", "operand", "their_acs", "their_macs"),
    [
        (PATTERN, "spike", 24, 0),  # the case both agree on
        (PATTERN / 2, "spike", 0, 32),  # two levels: the scale folds into the weights
        (PATTERN * SIGNS, "ternary", 0, 32),
        (PATTERN + PATTERN.roll(1), "graded", 0, 32),
    ],
)
def test_only_zeros_and_ones_are_spikes_to_them(x, operand, their_acs, their_macs):
    (acs, macs), run = counted(Products(lambda x, layer: layer(x), [LINEAR]), x)
    assert (acs, macs) == (their_acs, their_macs)
    assert (run.sites[0].operand, run.sites[0].synops) == (operand, int((x != 0).sum()) * 4)


def test_fused_attention_is_nothing_to_them():
    spikes = (torch.rand(1, 2, 5, 4, generator=torch.Generator().manual_seed(0)) < 0.5).float()
    fused = nn.functional.scaled_dot_product_attention
    (acs, macs), run = counted(Products(lambda x: fused(x, x, x)), spikes)
    assert (acs, macs) == (0, 0)
    assert [site.dense_macs for site in run.sites] == [2 * 5 * 5 * 4] * 2


def test_multi_head_attention_with_a_bias_is_nothing_to_them():
    layer = nn.MultiheadAttention(8, 2, batch_first=True)
    (acs, macs), run = counted(
        Products(lambda x, layer: layer(x, x, x)[0], [layer]),
        torch.rand(1, 7, 8, generator=torch.Generator().manual_seed(0)),
    )
    assert (acs, macs) == (0, 0)  # torch's fast path hides it
    assert sum(s.dense_macs for s in run.sites) == 7 * 8 * 32 + 2 * 7 * 7 * 8


def test_a_real_operand_that_is_zero_at_one_call_is_binary_to_them_and_real_to_us():
    def twice(x, layer):
        return layer(torch.zeros_like(x)) + layer(x)

    x = torch.rand(1, 8, generator=torch.Generator().manual_seed(0))
    (acs, macs), run = counted(Products(twice, [LINEAR]), x)
    assert (acs, macs) == (0, 32)
    assert [site.dense_macs for site in run.sites] == [32, 32]
    assert [site.operand for site in run.sites] == ["silent", "real"]  # two calls, two sites
