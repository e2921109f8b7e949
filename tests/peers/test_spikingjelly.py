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
from spikingjelly.activation_based.model import sew_resnet, spiking_resnet  # noqa: E402

STEPS, SAMPLES = 3, 2


def resnet():
    return spiking_resnet.spiking_resnet18(spiking_neuron=neuron.LIFNode, num_classes=10)


def sew():
    return sew_resnet.sew_resnet18(spiking_neuron=neuron.IFNode, num_classes=10, cnf="ADD")


@pytest.fixture(params=[resnet, sew])
def network(request):
    """A multi-step network in float64 whose batch norms fit its input, so that all layers fire."""
    torch.manual_seed(0)
    model = request.param()
    functional.set_step_mode(model, "m")
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
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
        if isinstance(module, nn.BatchNorm2d):
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
