"""Operations, addressing and memory accesses of every layer, after Lemaire et al. 2022.

Lemaire et al., "An analytical estimation of spiking neural networks energy efficiency", 2022,
arXiv 2210.13107. Equation numbers are those that the code of qualia-plugin-snn (same group)
cites; the paper itself was not read. Where that code departs from its own equations, the
equations are followed: addressing of a spiking convolution has the factor Cout of eq. 16.3,
that of a spiking fully connected layer counts spikes and not a rate (eq. 17.2), and biases are
read at every step.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import prod
from typing import Literal, get_args

from analysis.energy.layers import (
    Layer,
    folds_normalisation,
    is_spiking,
    layers,
    not_layers,
    some,
    static_sites,
)
from analysis.energy.lemaire_costs import (
    ADD_MULTIPLY_PJ,
    FIFO_WORDS,
    Access,
    LayerWork,
    LemaireEnergy,
    Memory,
    Network,
)
from analysis.errors import InputError
from analysis.records import NeuronRecord, Run


def lemaire(
    run: Run,
    network: Network = "snn",
    *,
    memory: Memory = "linear",
    bits: int = 32,
    leaky: bool = True,
    real: Literal["dense", "events"] = "dense",
    fifo_words: int = FIFO_WORDS,
) -> LemaireEnergy:
    """Energy per inference after Lemaire et al. 2022; batch norm is folded into the weights.

    A layer's spikes in, theta_in, are its own measured non-zero inputs. Its spikes out,
    theta_out, and what its neurons do belong to the neuron layer that fires them, which has a
    row of its own: one neuron layer may serve several sites (residual networks), or none. In a
    chain of layers both rows together are the paper's layer.

    Args:
        run: The counts; static sites are charged at every step.
        network: ``snn``, or ``fnn``: the same layers without the gate and without spikes at one
            step.
        memory: See `access_pj`.
        bits: Width of every word, 8 or 32.
        leaky: Whether neurons multiply their potential by a leak at every step (LIF, eqs. 1.3
            and 2.3); integrate-and-fire neurons don't.
        real: Layers of an SNN that read real values run as dense ones at every step, or work
            on ``events`` only, their non-zero inputs, as the first layer in qualia-plugin-snn.
        fifo_words: Messages that the FIFO between two spiking layers holds.

    Raises:
        InputError: If a choice is unknown.
    """
    _check(network, memory, bits, real)
    biased = folds_normalisation(run)
    found: list[LayerWork] = []
    for layer in layers(run):
        bias = biased or layer.shape.biased
        if network == "fnn":
            if layer.site.role != "gate":
                found.append(dense_work(layer, bias=bias, steps=1))
        elif is_spiking(layer.site) or real == "events":
            found.append(spiking_work(layer, bias=bias, fifo_words=fifo_words))
        else:
            found.append(dense_work(layer, bias=bias, steps=layer.steps))
    if network == "snn":
        found += [
            neuron_work(neuron, run.samples, leaky=leaky, fifo_words=fifo_words)
            for neuron in run.neurons
        ]
    return LemaireEnergy(
        network=network,
        memory=memory,
        bits=bits,
        work=tuple(found),
        leaves_out=tuple(_left_out(run, network)),
    )


def dense_work(layer: Layer, *, bias: bool, steps: int | Fraction) -> LayerWork:
    """A layer without spikes that runs at so many steps: the FNN equations, once per step."""
    share = steps / layer.steps
    macs, outputs, inputs = (share * count for count in (layer.macs, layer.outputs, layer.inputs))
    biases = outputs if bias else Fraction(0)
    weights, channels = Fraction(layer.site.weights), Fraction(layer.shape.channels_out)
    addressing = macs  # fully connected: Nin * Nout
    if layer.is_convolution:  # Cin*Hin*Win + Cout*Hout*Wout + Cout*Kh*Kw
        addressing = inputs + outputs + steps * layer.shape.channels_out * prod(layer.shape.kernel)
    return LayerWork(
        name=str(layer.site.key),
        kind="dense",
        macs=macs,  # eqs. 1.1, 2.1
        acs=biases,  # eqs. 1.2, 2.2
        address_acs=addressing,
        accesses=(
            Access("input", macs if layer.is_convolution else inputs, inputs / steps),  # 3, 4
            Access("weights", macs, weights),  # eqs. 6.1, 6.2
            Access("bias", biases, channels),
            Access("output", outputs, outputs / steps),  # eqs. 11, 12
        ),
    )


def spiking_work(layer: Layer, *, bias: bool, fifo_words: int) -> LayerWork:
    """A layer that works on events: the SNN equations without the parts of its neurons.

    Real values, if they come here, take MACs: dense MACs at their rate (qualia-plugin-snn).
    """
    spikes, outputs = layer.input_spikes, layer.outputs
    fetched = spikes * layer.fan_out  # eqs. 7, 8: theta_in * Cout*Kh*Kw, theta_in * Nout
    updates = spikes * layer.strided_fan_out  # first term of eqs. 1.4, 2.4
    biases = outputs if bias else Fraction(0)
    potentials = outputs / layer.steps
    spiking = is_spiking(layer.site)
    return LayerWork(
        name=str(layer.site.key),
        kind="spiking" if spiking else "events",
        macs=Fraction(0) if spiking else layer.macs * spikes / layer.inputs,
        acs=(updates if spiking else Fraction(0)) + biases,
        address_macs=2 * spikes if layer.is_convolution else Fraction(0),  # eq. 16.2
        address_acs=fetched,  # eqs. 16.3, 17.2
        accesses=(
            Access("input", spikes, Fraction(fifo_words)),  # eq. 5
            Access("weights", fetched, Fraction(layer.site.weights)),
            Access("bias", biases, Fraction(layer.shape.channels_out)),
            Access("potential read", fetched, potentials),  # first term of eqs. 9, 10
            Access("potential write", fetched, potentials),  # first term of eqs. 14, 15
        ),
    )


def neuron_work(neuron: NeuronRecord, samples: int, *, leaky: bool, fifo_words: int) -> LayerWork:
    """A neuron layer: the parts of the SNN equations with T * Cout*Hout*Wout and theta_out."""
    updates, spikes = Fraction(neuron.outputs, samples), Fraction(neuron.spikes, samples)
    size = Fraction(neuron.neurons)
    return LayerWork(
        name=neuron.site + (f" #{neuron.call}" if neuron.call else ""),
        kind="neurons",
        macs=updates if leaky else Fraction(0),  # eqs. 1.3, 2.3
        acs=spikes,  # resets, last term of eqs. 1.4, 2.4
        accesses=(
            Access("potential read", updates, size),  # second term of eqs. 9, 10
            Access("potential write", updates, size),  # second term of eqs. 14, 15
            Access("output", spikes, Fraction(fifo_words)),  # eq. 13
        ),
    )


def _left_out(run: Run, network: Network) -> Iterator[str]:
    yield "pooling, residual additions, gate products and softmax"
    yield "spikes sent over a network between layers, and static (leakage) power"
    if folds_normalisation(run):
        yield "batch norm, folded: its bias is charged to every layer"
    if network == "fnn":
        yield "activation functions of the counterpart, and its accuracy"
        gates = [str(s.key) for s in run.sites if s.role == "gate"]
        if gates:
            yield f"the gate: {some(gates)}"
    else:
        yield "borders: a spike is charged its whole kernel, as in the equations"
    if network == "snn" and static_sites(run):
        yield f"what one execution for all steps would save: {some(static_sites(run))}"
    if not_layers(run):
        yield f"no equation covers: {some(not_layers(run))}"


def _check(network: str, memory: str, bits: int, real: str) -> None:
    choices: tuple[tuple[str, object, tuple[object, ...]], ...] = (
        ("network", network, get_args(Network)),
        ("memory", memory, get_args(Memory)),
        ("bits", bits, tuple(ADD_MULTIPLY_PJ)),
        ("real", real, ("dense", "events")),
    )
    for name, value, allowed in choices:
        if value not in allowed:
            raise InputError(
                f"unknown value {value!r} for {name} of the model of Lemaire et al.; "
                f"allowed: {', '.join(map(str, allowed))}"
            )
