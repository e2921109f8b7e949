"""The state-dict keys of the released code, side by side with ours.

The released wrappers register layers twice, so one tensor has up to four names there. The two
generators below are the whole knowledge of both layouts: each yields (released key, our key)
in the order of the released ``state_dict()``; reading and writing walk the same table.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from gac.config import MSResNetConfig
from gac.registry import ARCHITECTURES

Pairs = Iterator[tuple[str, str]]


def _fields(official: str, own: str, *fields: str) -> Pairs:
    for field in fields:
        yield f"{official}.{field}", f"{own}.{field}"


def _norm(official: str, own: str) -> Pairs:
    fields = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    yield from _fields(official, own, *fields)


def _gate(own: Collection[str]) -> Pairs:
    if "encoder.gate.temporal.squeeze.weight" in own:
        yield "encoding.TA.sharedMLP.0.weight", "encoder.gate.temporal.squeeze.weight"
        yield "encoding.TA.sharedMLP.2.weight", "encoder.gate.temporal.excite.weight"
        yield "encoding.SCA.sharedMLP.0.weight", "encoder.gate.spatial.conv1.weight"
        yield "encoding.SCA.sharedMLP.2.weight", "encoder.gate.spatial.conv2.weight"


def _head() -> Pairs:
    yield from _fields("fc1", "head", "weight", "bias")
    yield from _fields("fc1_s.layer.module", "head", "weight", "bias")


def _blocks(blocks: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    for stage, count in enumerate(blocks):
        for block in range(count):
            yield stage, block


def _cifar_norm(official: str, own: str) -> Pairs:
    yield from _norm(f"{official}.bn", own)
    yield from _norm(f"{official}.seqbn.module", own)


def _cifar_wrapper(official: str, conv: str, norm: str) -> Pairs:
    yield f"{official}.layer.module.weight", f"{conv}.weight"
    yield from _cifar_norm(f"{official}.bn", norm)


def _cifar(blocks: tuple[int, ...], own: Collection[str]) -> Pairs:
    yield "conv1.weight", "encoder.stem.conv.weight"
    yield from _cifar_norm("bn1", "encoder.stem.norm")
    yield from _cifar_wrapper("conv1_s", "encoder.stem.conv", "encoder.stem.norm")
    for stage, block in _blocks(blocks):
        theirs, ours = f"layer{stage + 1}.{block}", f"stages.{stage}.{block}"
        for k in (1, 2):
            yield f"{theirs}.conv{k}.weight", f"{ours}.conv{k}.weight"
            yield from _cifar_norm(f"{theirs}.bn{k}", f"{ours}.norm{k}")
        if f"{ours}.shortcut.conv.weight" in own:
            shortcut = f"{ours}.shortcut"
            yield from _cifar_wrapper(
                f"{theirs}.downsample", f"{shortcut}.conv", f"{shortcut}.norm"
            )
        for k in (1, 2):
            yield from _cifar_wrapper(f"{theirs}.conv{k}_s", f"{ours}.conv{k}", f"{ours}.norm{k}")
    yield from _head()
    yield from _gate(own)


def _imagenet(blocks: tuple[int, ...], own: Collection[str]) -> Pairs:
    yield "conv1.0.weight", "encoder.stem.conv.weight"
    yield from _norm("conv1.1.bn", "encoder.stem.norm")
    yield from _gate(own)
    for stage, block in _blocks(blocks):
        theirs, ours = f"conv{stage + 2}_x.{block}", f"stages.{stage}.{block}"
        for k in (1, 2):
            yield f"{theirs}.conv{k}.weight", f"{ours}.conv{k}.weight"
            yield from _norm(f"{theirs}.bn{k}.bn", f"{ours}.norm{k}")
        if f"{ours}.shortcut.conv.weight" in own:
            yield f"{theirs}.shortcut.0.weight", f"{ours}.shortcut.conv.weight"
            yield from _norm(f"{theirs}.shortcut.1.bn", f"{ours}.shortcut.norm")
    yield from _head()


@dataclass(frozen=True, kw_only=True)
class Layout:
    """One of the two layouts, with the network family whose weights have it.

    Attributes:
        name: For messages.
        family: Everything that keys and shapes do not tell: neuron, strides, padding.
        marker: A key that only this layout has.
        stage: Prefix of stage ``{}``.
        first_stage: Number of the first stage.
        data_sets: Those the released scripts train this family on.
        pairs: (stage depths, our keys) -> (released key, our key) in the released order.
    """

    name: str
    family: MSResNetConfig
    marker: str
    stage: str
    first_stage: int
    data_sets: tuple[str, ...]
    pairs: Callable[[tuple[int, ...], Collection[str]], Pairs]

    def strides(self, stages: int) -> tuple[int, ...]:
        """The family's strides for so many stages: the first one's, then 2."""
        return (self.family.strides[0],) + (2,) * (stages - 1)


LAYOUTS = (
    Layout(
        name="CIFAR",
        family=ARCHITECTURES["msresnet18-cifar"],
        marker="conv1_s.",
        stage="layer{}.",
        first_stage=1,
        data_sets=("cifar10", "cifar100"),
        pairs=_cifar,
    ),
    Layout(
        name="ImageNet",
        family=ARCHITECTURES["msresnet18"],
        marker="conv2_x.",
        stage="conv{}_x.",
        first_stage=2,
        data_sets=("imagenet",),
        pairs=_imagenet,
    ),
)
