"""Reads and writes the state dicts of the released code (bollossom/GAC), both layouts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from gac.config import MSResNetConfig
from gac.errors import InputError
from gac.msresnet import MSResNet
from gac.official_keys import LAYOUTS, Layout
from gac.saved import without_prefixes
from gac.state import assemble, check_names, check_tensors, listed, skeleton


def load_state(state_dict: Mapping[str, Tensor], steps: int | None = None) -> MSResNet:
    """The network whose weights a released state dict holds, in eval mode.

    Classes, steps, encoder, kernels, widths and depth follow from keys and shapes. What does
    not (strides, neuron, input size) is that of the layout's family, CIFAR or ImageNet. All
    names of a tensor must be there and agree. What data parallelism
    and the like put in front of every key is dropped.

    Args:
        state_dict: Released keys to tensors; left as it is. 16-bit weights are widened.
        steps: Simulation steps; needed without the encoder, the only part whose weights
            depend on them.

    Raises:
        InputError: If the keys, shapes, types or values are not those of such a network, or
            the steps are unknown or contradict the weights.
    """
    if not isinstance(state_dict, Mapping):
        raise InputError(f"expected a state dict, got {type(state_dict).__name__}")
    state = without_prefixes(check_tensors(state_dict))
    layout = find_layout(state)
    model = skeleton(_infer_config(layout, state, steps))
    pairs = list(_pairs(layout, model))
    check_names(state, dict(_official_tensors(layout, model)))
    _check_aliases(state, pairs)
    own = model.state_dict()
    return assemble(model, {name: state[key].reshape(own[name].shape) for key, name in pairs})


def export_official(model: MSResNet) -> dict[str, Tensor]:
    """The state dict the released code would save: every alias key, in its order.

    Args:
        model: Of the CIFAR or the ImageNet family.

    Returns:
        Copies; the names of one tensor share one copy.

    Raises:
        InputError: If the released layouts cannot hold this network.
    """
    _check_encoder(model.config)
    neuron = model.config.neuron
    layout = next((layout for layout in LAYOUTS if layout.family.neuron == neuron), None)
    if layout is None:
        raise InputError(
            f"the official format knows two neurons, CIFAR's and ImageNet's, not {neuron}"
        )
    _check_strides(layout, model.config)
    return dict(_official_tensors(layout, model))


def find_layout(state: Mapping[str, object]) -> Layout:
    """Which of the two released layouts these keys have.

    Raises:
        InputError: If neither.
    """
    for layout in LAYOUTS:
        if any(str(key).startswith(layout.marker) for key in state):
            return layout
    markers = " nor ".join(f"{layout.marker}* ({layout.name})" for layout in LAYOUTS)
    raise InputError(
        f"not a GAC MS-ResNet: the state dict has neither {markers}; its keys are "
        f"{listed(map(str, state)) or 'none'}; a network of your own is built by --model "
        "package.module:function, which takes this file for its weights"
    )


def _pairs(layout: Layout, model: MSResNet) -> Iterator[tuple[str, str]]:
    return layout.pairs(model.config.blocks, model.state_dict())


def _official_tensors(layout: Layout, model: MSResNet) -> Iterator[tuple[str, Tensor]]:
    """The model's tensors under every released name, shaped as there."""
    own = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for key, name in _pairs(layout, model):
        # The temporal perceptron is a pair of 1x1x1 Conv3d there: (out, in, 1, 1, 1).
        yield key, own[name][..., None, None, None] if ".TA." in key else own[name]


def _infer_config(layout: Layout, state: Mapping[str, Tensor], steps: int | None) -> MSResNetConfig:
    """Reads sizes where most tensors agree, so that a single odd one is reported by name."""

    def size(prefix: str, axis: int, default: int) -> int:
        sizes = Counter(
            tensor.shape[axis]
            for key, tensor in state.items()
            if key.startswith(prefix) and tensor.dim() > axis
        )
        return sizes.most_common(1)[0][0] if sizes else default

    blocks = _count_blocks(layout, state)
    stages = [layout.stage.format(layout.first_stage + k) for k in range(len(blocks))]
    has_gate = any(key.startswith("encoding.") for key in state)
    family = layout.family
    return replace(
        family,
        encoder="gac" if has_gate else "direct",
        steps=_find_steps(state, steps) if has_gate else _require(steps),
        classes=size("fc1", 0, family.classes),
        in_channels=size("conv1", 1, family.in_channels),
        stem_width=size("conv1", 0, family.stem_width),
        stem_kernel=size("conv1", 2, family.stem_kernel),
        gate_kernel=size("encoding.SCA.", 2, family.gate_kernel),
        widths=tuple(size(stage, 0, 1) for stage in stages),
        blocks=blocks,
        strides=layout.strides(len(blocks)),
    )


def _count_blocks(layout: Layout, state: Mapping[str, Tensor]) -> tuple[int, ...]:
    """Blocks of each stage, at least one; indices that leave gaps show up as missing keys."""
    pattern = re.compile(layout.stage.replace(".", r"\.").format(r"(\d+)") + r"(\d+)\.")
    found = {(int(m[1]), int(m[2])) for key in state if (m := pattern.match(key))}
    stages = max(len({stage for stage, _ in found}), 1)
    numbers = range(layout.first_stage, layout.first_stage + stages)
    return tuple(max(sum(stage == number for stage, _ in found), 1) for number in numbers)


def _find_steps(state: Mapping[str, Tensor], steps: int | None) -> int:
    """Steps of the temporal attention: its second layer has T outputs, its first T inputs."""
    layers = (("encoding.TA.sharedMLP.2.weight", 0), ("encoding.TA.sharedMLP.0.weight", 1))
    found = [
        state[key].shape[axis] for key, axis in layers if key in state and state[key].dim() > axis
    ]
    # Without both layers the keys do not fit, whatever the steps: any number gets that said.
    known = found[0] if found else 2
    if steps is not None and steps != known:
        raise InputError(f"the weights are for {known} steps, asked for {steps}")
    return known


def _require(steps: int | None) -> int:
    if steps is None:
        raise InputError(
            "without the gac encoder the weights do not tell the number of steps; "
            "say it: steps=..., on the command line --steps"
        )
    return steps


def _check_aliases(state: Mapping[str, Tensor], pairs: list[tuple[str, str]]) -> None:
    first: dict[str, str] = {}
    differing = []
    for key, name in pairs:
        original = first.setdefault(name, key)
        same_type = state[key].dtype == state[original].dtype
        if not (same_type and torch.equal(state[key], state[original])):
            differing.append(f"{key} (differs from {original})")
    if differing:
        raise InputError(f"names of one tensor disagree: {listed(differing)}")


def _check_encoder(config: MSResNetConfig) -> None:
    """Refuses encoders that the released code does not have: read back they would be others."""
    if config.encoder not in ("gac", "direct") or config.gate != "full":
        raise InputError(
            "the official format knows the gac encoder with its full gate and the direct one, not "
            f"encoder {config.encoder!r} with gate {config.gate!r}"
        )


def _check_strides(layout: Layout, config: MSResNetConfig) -> None:
    """Refuses to write what could not be read back: the keys do not tell strides."""
    expected = replace(
        config,
        strides=layout.strides(len(config.strides)),
        stem_stride=layout.family.stem_stride,
        gate_reduction=layout.family.gate_reduction,
    )
    if expected != config:
        raise InputError(
            f"the official {layout.name} format implies strides {expected.strides}, stem stride "
            f"{expected.stem_stride} and gate reduction {expected.gate_reduction}; this network "
            f"has {config.strides}, {config.stem_stride} and {config.gate_reduction}"
        )
