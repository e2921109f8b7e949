"""Models, batches and answers as a caller has them: made ready, or refused in words."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from itertools import zip_longest
from typing import Any, Literal, cast, get_args

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from analysis.errors import InputError
from analysis.records import InputKind
from analysis.torch_internals import (
    MappingKey,
    keystr,
    tree_flatten_with_path,
    tree_leaves,
    tree_map,
)

TimeLayout = Literal["BT", "TB", "loop"]

# Most leaves are of these types, and looking them up is ten times as fast as asking pytree.
_PLAIN = frozenset(
    {int, float, bool, str, type(None), torch.dtype, torch.device, torch.layout}
    | {torch.memory_format}
)

_EVENTS = (torch.bool, torch.uint8, torch.int8, torch.int16)  # token ids are longer


def tensors_in(value: Any) -> list[Tensor]:
    """All tensors in nested arguments or results, from left to right.

    Example:
        >>> len(tensors_in((torch.ones(1), {"states": [torch.ones(2), None]}, 3)))
        2
    """
    if isinstance(value, Tensor):
        return [value]
    if type(value) in _PLAIN:
        return []
    if type(value) in (tuple, list):
        return [tensor for part in value for tensor in tensors_in(part)]
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]


def countable(model: nn.Module) -> nn.Module:
    """The model itself; of a compiled one the original, which runs while operations are watched.

    Raises:
        InputError: If it can't be counted, or has parameters whose values can't be looked at.
    """
    if not isinstance(model, nn.Module):
        raise InputError(f"the model must be a torch module, got {type(model).__name__}")
    if isinstance(model, nn.DataParallel):
        raise InputError(
            "nn.DataParallel runs the model in threads that can't be counted; give its .module"
        )
    model = getattr(model, "_orig_mod", model)  # torch.compile wraps it in a module
    for name, parameter in model.named_parameters():
        if problem := _uncountable(parameter):
            raise InputError(f"parameter {name!r} is {problem}; only dense real ones are counted")
    return model


def _uncountable(tensor: Tensor) -> str:
    """Why the values of a tensor can't be read; empty where they can."""
    if is_lazy(tensor):
        return "not initialised yet (a lazy layer: run the model once on a batch before)"
    if tensor.is_meta:
        return "on the meta device, without values"
    if tensor.is_nested:
        return "nested, without one dense shape"
    if tensor.layout != torch.strided:
        return f"{str(tensor.layout).removeprefix('torch.')}, without dense values"
    if type(tensor).__name__ == "DTensor":
        return "a DTensor, spread over processes"
    return "complex" if tensor.is_complex() else ""


@contextmanager
def words_for_what_is_hidden() -> Iterator[None]:
    """Says in words what can't be followed: tensors without a storage, operators of operators.

    Raises:
        InputError: Instead of torch's error about it.
    """
    try:
        yield
    except NotImplementedError as error:
        if "storage" not in str(error):
            raise
        raise InputError(
            "the model makes tensors that have no storage of their own, sparse ones or those "
            "inside torch.vmap, and can't be counted"
        ) from error


@dataclass(frozen=True)
class Batch:
    """One batch, ready for a forward pass.

    Attributes:
        args: Positional arguments of the model, nested as they came.
        kwargs: Those by name.
        samples, steps: B and T.
        layout: How samples and steps lie in clips of inputs.
        told: Whether somebody said so, or it is inferred from the sizes.
        names: Of its tensors, one after another.
    """

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    samples: int
    steps: int
    layout: TimeLayout | None = None
    told: bool = False
    names: tuple[str, ...] = ()

    @property
    def tensors(self) -> list[Tensor]:
        """All tensors in it, which are all inputs."""
        return [*tensors_in(self.args), *tensors_in(dict(self.kwargs))]

    def copied(self) -> Batch:
        """The same with copies of all tensors."""
        return self._mapped(lambda x: x.clone() if isinstance(x, Tensor) else x)

    def sample(self, place: int) -> Batch:
        """One sample alone; what belongs to no sample stays."""

        def of(x: Any) -> Any:
            dim = self.sample_dim(x) if isinstance(x, Tensor) else None
            return x if dim is None else x.narrow(dim, place, 1)

        return replace(self._mapped(of), samples=1)

    def first(self, most: int) -> Batch:
        """The first samples, no more than so many; what belongs to no sample stays."""
        if most >= self.samples:
            return self

        def of(x: Any) -> Any:
            dim = self.sample_dim(x) if isinstance(x, Tensor) else None
            return x if dim is None else x.narrow(dim, 0, most)

        return replace(self._mapped(of), samples=most)

    def at_step(self, step: int) -> Batch:
        """One frame of every clip; what has no steps stays."""

        def of(x: Any) -> Any:
            dim = self.step_dim(x) if isinstance(x, Tensor) else None
            return x if dim is None else x.select(dim, step)

        return self._mapped(of)

    def twice(self) -> Batch:
        """Every sample two times."""

        def of(x: Any) -> Any:
            dim = self.sample_dim(x) if isinstance(x, Tensor) else None
            return x if dim is None else torch.cat([x, x], dim)

        return replace(self._mapped(of), samples=2 * self.samples)

    def _mapped(self, function: Any) -> Batch:
        args, kwargs = tree_map(function, (self.args, dict(self.kwargs)))
        return replace(self, args=args, kwargs=kwargs)

    def sample_dim(self, x: Tensor) -> int | None:
        """The dimension of an input that runs over samples, if one does."""
        dim = 1 if self.layout == "TB" and self.is_clip(x) else 0
        return dim if x.dim() > dim and x.shape[dim] == self.samples else None

    def step_dim(self, x: Tensor) -> int | None:
        """The dimension of an input that runs over steps, if one does."""
        if not self.is_clip(x):
            return None
        return 0 if self.layout == "TB" else 1

    def is_clip(self, x: Tensor) -> bool:
        """Whether an input holds an axis of steps; channels of a picture are not taken for it."""
        said = self.layout in ("BT", "TB") and self.told
        sizes = (self.steps, self.samples) if self.layout == "TB" else (self.samples, self.steps)
        likely = x.dim() in (3, 5) or said
        return self.steps > 1 and likely and tuple(x.shape[:2]) == sizes


def split(batch: Any, model: nn.Module, run: Any) -> tuple[tuple[Any, ...], dict[str, Any], Any]:
    """Positional and named inputs in the device and precision of the model, and labels if any.

    A pair is inputs and labels, unless the model wants as many arguments as the tuple holds.
    """
    inputs, labels = batch, None
    if isinstance(batch, list | tuple) and not isinstance(batch, nn.utils.rnn.PackedSequence):
        wanted = _arguments_wanted(run)
        if wanted > 1 and len(batch) == wanted and all(isinstance(x, Tensor) for x in batch):
            inputs = tuple(batch)
        elif batch:
            inputs, *rest = batch
            labels = rest[0] if rest and isinstance(rest[0], Tensor) else None
    if isinstance(inputs, nn.utils.rnn.PackedSequence):
        raise InputError("a packed sequence has no axis of samples; give the padded tensor")
    suited = _suited(inputs, model)
    if isinstance(inputs, Mapping):
        return (), dict(suited), labels
    if isinstance(inputs, list | tuple):
        several = _arguments_wanted(run) == len(inputs) > 1
        return (tuple(suited) if several else (suited,)), {}, labels
    if not isinstance(inputs, Tensor):
        raise InputError(
            f"a batch must be a tensor, a dictionary, a tuple of inputs, or (inputs, labels), "
            f"got {type(inputs).__name__}"
        )
    return (suited,), {}, labels


def _arguments_wanted(run: Any) -> int:
    """How many positional arguments without a default a model takes; 1 where that can't be told."""
    try:
        parameters = inspect.signature(getattr(run, "forward", run)).parameters.values()
    except (TypeError, ValueError):
        return 1
    places = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(p.kind in places and p.default is p.empty for p in parameters)


def input_names(args: tuple[Any, ...], kwargs: Mapping[str, Any], run: Any) -> tuple[str, ...]:
    """Names of all tensors among some arguments, in the order of `Batch.tensors`.

    Example:
        >>> from torch import nn
        >>> input_names(({"left": torch.ones(1), "right": [torch.ones(1)]},), {}, nn.ReLU())
        ('input.left', 'input.right[0]')
    """
    parameters: list[str] = []
    with suppress(TypeError, ValueError):
        parameters = [*inspect.signature(getattr(run, "forward", run)).parameters]
    leaves, _ = tree_flatten_with_path((args, dict(kwargs)))
    names = []
    for (_, top, *rest), value in leaves:  # the first key is that of args or kwargs
        if isinstance(value, Tensor):
            names.append(f"{_argument(top, parameters)}{_path(rest)}")
    return tuple(names)


def _argument(key: Any, parameters: Sequence[str]) -> str:
    """The name of an argument that came by name or by position."""
    if isinstance(key, MappingKey):
        return str(key.key)
    known = key.idx < len(parameters)
    return parameters[key.idx] if known else f"input {key.idx}"


def _path(keys: Sequence[Any]) -> str:
    """The way to a tensor inside a nest of arguments."""
    return "".join(f".{k.key}" if isinstance(k, MappingKey) else keystr((k,)) for k in keys)


def kinds_said(said: str | Mapping[str, str], names: Sequence[str]) -> dict[str, InputKind]:
    """What the caller says of inputs by name; nothing of those whose values are to decide.

    Raises:
        InputError: If a kind or an input is unknown.

    Example:
        >>> kinds_said({"dvs*": "events", "frames": "auto"}, ["dvs", "frames"])
        {'dvs': 'events'}
    """
    by_pattern = {"*": said} if isinstance(said, str) else dict(said)
    found: dict[str, InputKind] = {}
    for pattern, kind in by_pattern.items():
        if kind not in ("auto", *get_args(InputKind)):
            raise InputError(f"unknown kind of input {kind!r}; known: auto, events, image")
        fitting = [name for name in names if fnmatchcase(name, pattern)]
        if not (fitting or isinstance(said, str)):
            raise InputError(f"no input is called {pattern!r}; inputs: {', '.join(names)}")
        if kind != "auto":
            found |= dict.fromkeys(fitting, cast(InputKind, kind))
    return found


def made_batch(
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    labels: Tensor | None,
    steps: int,
    layout: TimeLayout | None,
    *,
    told: bool,
    names: tuple[str, ...] = (),
) -> Batch:
    """The batch that some inputs make.

    Raises:
        InputError: If none of them is a dense real tensor with an axis of samples.
    """
    batch = Batch(args, kwargs, 1, steps, layout, told, names)
    tensors = [x for x in batch.tensors if x.dim()]
    if not tensors:
        raise InputError("a batch holds no tensor whose first axis could run over samples")
    for x in tensors:
        if problem := _uncountable(x):
            raise InputError(f"the inputs are {problem}; give dense real tensors")
    return replace(batch, samples=_samples(tensors, labels, steps, layout))


def _samples(
    tensors: Sequence[Tensor], labels: Tensor | None, steps: int, layout: TimeLayout | None
) -> int:
    """The number of samples: the size along the axis that most inputs share.

    An input with a size of 1 there serves all samples; the labels are one of the voices.
    """

    def size(x: Tensor) -> int:
        time_first = layout == "TB" and x.dim() > 2 and len(x) == steps
        return x.shape[1 if time_first else 0]

    voices = Counter({size(x): 0 for x in tensors})
    for x in tensors:
        voices[size(x)] += 1
    if labels is not None and labels.dim() and len(labels) in voices:
        voices[len(labels)] += len(tensors)
    several = {n: votes for n, votes in voices.items() if n != 1} or voices
    most = max(several.values())
    largest = max((x for x in tensors if several.get(size(x)) == most), key=lambda x: x.dim())
    return size(largest)


def class_numbers(labels: Tensor | None, samples: int) -> Tensor | None:
    """Labels that are one whole number per sample; None where they are something else.

    Raises:
        InputError: If there are more or fewer of them than samples.
    """
    if labels is None or labels.dim() != 1 or labels.is_floating_point():
        return None
    if len(labels) != samples:
        raise InputError(f"a batch of {samples} samples came with {len(labels)} labels")
    return labels


def _suited(inputs: Any, model: nn.Module) -> Any:
    """Inputs in the device and precision of the model; events that came as small integers too."""
    parameter = next((p for p in model.parameters() if p.is_floating_point()), None)
    names_masks = isinstance(inputs, Mapping)

    def suit(x: Any) -> Any:
        if not isinstance(x, Tensor):
            return x
        events = x.dtype in _EVENTS and not (names_masks and x.dtype == torch.bool)
        if parameter is None:
            return x.float() if events else x
        numbers = x.is_floating_point() or events
        return x.to(parameter.device, parameter.dtype if numbers else x.dtype)

    if not any(isinstance(x, Tensor) for x in tree_leaves(inputs)):
        return inputs
    return tree_map(suit, inputs)


@dataclass
class Answers:
    """The most likely class of every sample, by the mean of the logits up to each step.

    Attributes:
        keep: Whether to keep label and classes of every sample.
        known: False once a batch had no labels, or outputs that are no logits.
        unread: Whether labels came with outputs that are no logits.
        right: Correct answers, one entry per step read (a single one where logits hold no steps).
        labels, classes: Of every sample, if they are kept; ``classes`` one entry per step read.
    """

    keep: bool
    known: bool = True
    unread: bool = False
    right: tuple[int, ...] = ()
    labels: list[int] = field(default_factory=list)
    classes: list[tuple[int, ...]] = field(default_factory=list)

    def add(self, outputs: Any, labels: Tensor | None, steps: int) -> None:
        """Takes in one batch."""
        found = None if labels is None else classes_by_step(outputs, len(labels), steps)
        if found is None or labels is None:
            self.known = False
            self.unread = self.unread or labels is not None
            return
        labels = labels.cpu()
        right = (found == labels.unsqueeze(1)).sum(0).tolist()
        self._count(tuple(right))
        if self.keep:
            self.labels += labels.tolist()
            self.classes += map(tuple, found.tolist())

    def merge(self, other: Answers) -> None:
        """Takes in what another process heard; its samples come after those that are here."""
        self.known = self.known and other.known
        self.unread = self.unread or other.unread
        self._count(other.right)
        self.labels += other.labels
        self.classes += other.classes

    def _count(self, right: tuple[int, ...]) -> None:
        if self.right and right and len(self.right) != len(right):
            self.known = False  # logits held steps in one batch and none in another
            return
        pairs = zip_longest(self.right, right, fillvalue=0)
        self.right = tuple(known + new for known, new in pairs)


def classes_by_step(outputs: Any, samples: int, steps: int) -> Tensor | None:
    """The most likely class after each step, ``(B, T)``; ``(B, 1)`` of logits without steps.

    Args:
        outputs: Logits ``(B, T, classes)``, ``(T, B, classes)`` or ``(B, classes)``; None of
            anything else.
        samples: B.
        steps: T.

    Example:
        >>> logits = torch.tensor([[[0.0, 1.0], [3.0, 0.0]]])  # class 1 at first, 0 on average
        >>> classes_by_step(logits, samples=1, steps=2).tolist()
        [[1, 0]]
    """
    if not isinstance(outputs, Tensor) or outputs.dim() not in (2, 3):
        return None
    logits = outputs.unsqueeze(1) if outputs.dim() == 2 else outputs
    if outputs.dim() == 3 and len(outputs) == steps != samples:
        logits = outputs.transpose(0, 1)
    if len(logits) != samples:
        return None
    means = [logits[:, :step].mean(1) for step in range(1, logits.shape[1] + 1)]
    return torch.stack([mean.argmax(1) for mean in means], dim=1).cpu()
