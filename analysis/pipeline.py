"""The whole flow on one page. First file to read.

    model, batches -> counting.run.count -> Run        exact integers
    Run, Convention, Technology -> Energy              accumulates, multiply-accumulates, pJ
    Report                                             frames, files, summary

Counting knows nothing of prices, and everything after `Run` works without the model or torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

from analysis.energy import conventions
from analysis.energy import technology as technologies
from analysis.energy.conventions import Convention
from analysis.energy.estimate import at_rates
from analysis.energy.technology import Technology
from analysis.records import Role
from analysis.reporting.compare import NAME, PARAMETERS
from analysis.reporting.report import Report

if TYPE_CHECKING:
    from torch import nn

    from analysis.counting.sampling import Until


def analyze(
    model: nn.Module,
    batches: Iterable[Any],
    *,
    steps: int | None = None,
    convention: str | Convention = "operand",
    technology: str | Technology = "45nm-fp32",
    roles: Mapping[str, Role] | None = None,
    neurons: Iterable[type[nn.Module] | str] = (),
    time_layout: Literal["BT", "TB", "loop"] | None = None,
    inputs: Literal["auto", "events", "image"] | Mapping[str, str] = "auto",
    forward: Callable[..., Any] | None = None,
    loop: bool = False,
    per_sample: bool = False,
    neuron_detail: bool = False,
    levels: bool = False,
    name: str | None = None,
    provenance: Mapping[str, Any] | None = None,
    on_batch: Callable[[int], None] | None = None,
    samples: int | None = None,
    until: float | Until | None = None,
    sample_index: Sequence[int] | None = None,
    across_processes: bool = True,
    flips: bool = False,
) -> Report:
    """Counts what a model does on batches of samples, and prices it.

    The model runs in evaluation mode without gradients and is left as it was. In a group of
    `torch.distributed` every process gives its own samples and gets the report on all of them.

    Args:
        model: Any torch model whose leading axis holds samples, or samples x steps.
        batches: Tensors ``(B, ...)``, dictionaries or tuples of arguments, or any of these with
            labels for the accuracy as well. All tensors in them are inputs.
        steps: Simulation steps T; by default what the model has as ``steps``, ``T``,
            ``time_step``, ``time_steps``, ``num_steps``, ``time_window`` or ``timesteps``.
        convention: How operations are booked, by name or as a record.
        technology: Price list, by name, as a record, or the path of a TOML file.
        roles: Patterns of module paths -> role, before what the model itself declares.
        neurons: Spiking neuron classes, their names, module paths or patterns of them, besides
            those of known frameworks and those that behave like one.
        time_layout: Whether clips of inputs hold samples, then steps (``BT``), the other way
            round (``TB``), or the model runs once per step (``loop``).
        inputs: Whether the inputs hold ``events`` or an ``image``; ``auto`` goes by their values
            over the whole run: {0, 1}, ternary and small whole numbers are events. One word for
            all, or by the name of an argument, where ``*`` stands for anything.
        forward: Called with the inputs instead of the model, to loop over steps, say.
        loop: Call the model ``steps`` times per batch, for one that is written for a single step:
            with the frames of a clip, or with the same picture again; what neurons remember
            lasts as long. A state that it hands out as ``(output, state)`` goes back in as
            ``forward(x, state=None)``. The accuracy is that of the mean over the steps.
        per_sample: Whether to keep the exact counts of every sample.
        neuron_detail: Whether to count single neurons: channels, dead and saturated ones.
        levels: Whether to count how often each value of an operand occurs.
        name: What to call this network in a comparison.
        provenance: Anything the report should say about how the run was made.
        on_batch: Called after each batch with its number of samples.
        samples: Run only so many, the first ones; the last batch is cut. Default all.
        until: Stop early, once half of the interval of the total synops is this share of them,
            0.01 say. The batches must come in random order; see `counting.sampling`.
        sample_index: Place of each of these samples in the data, for the rows of ``per_sample``.
        across_processes: False counts in this process alone, also inside a group.
        flips: Whether to run a copy in float64 as well and say how many samples have other
            counts there; it takes three times as long.

    Raises:
        InputError: If an argument can't be used, or no batch had a sample in it.

    Examples:
        >>> import torch
        >>> layer = torch.nn.Linear(4, 4, bias=False)
        >>> report = analyze(layer, [torch.tensor([[1.0, 0.0, 0.0, 1.0]])], steps=1)
        >>> int(report.sites.synops[0])  # 2 inputs are not zero, each meets 4 weights
        8
    """
    from analysis.counting.run import Options, count
    from analysis.counting.sampling import until_of

    if isinstance(convention, str):
        convention = conventions.convention(convention)
    if isinstance(technology, str):
        technology = technologies.technology(technology)
    options = Options(
        steps=steps,
        roles=roles or {},
        neurons=neurons,
        time_layout=time_layout,
        inputs=inputs,
        forward=forward,
        loop=loop,
        per_sample=per_sample,
        neuron_detail=neuron_detail,
        levels=levels,
        provenance={**(provenance or {}), **({} if name is None else {NAME: name})},
        on_batch=on_batch,
        samples=samples,
        until=until_of(until, batches),
        sample_index=sample_index,
        across_processes=across_processes,
        flips=flips,
    )
    return Report(count(model, batches, options), convention, technology)


def estimate(
    model: nn.Module,
    shape: Sequence[int],
    rates: float | Fraction | Mapping[str, float | Fraction] = 0,
    *,
    convention: str | Convention = "operand",
    technology: str | Technology = "45nm-fp32",
    provenance: Mapping[str, Any] | None = None,
    **options: Any,
) -> Report:
    """What an architecture costs at stated rates, without any data.

    One image of noise goes through the model, which tells what operations there are; how often
    something was zero in that pass is thrown away, and the weights play no part.

    Args:
        model: As for `analyze`; trained or not.
        shape: Of one image, ``(C, H, W)``.
        rates: Non-zero share of the input of each layer behind the stem, in [0, 1]: one for all,
            or by module path, where ``*`` stands for anything and the first match counts.
        convention: How operations are booked.
        technology: Price list.
        provenance: Anything the report should say; the number of parameters is in it anyway.
        **options: Further arguments of `analyze`, such as ``steps`` and ``roles``.

    Returns:
        The report on one sample, marked as an estimate.

    Raises:
        InputError: As `analyze`, or if a rate can't be used or names no layer.

    Examples:
        >>> import torch
        >>> layer = torch.nn.Linear(4, 4, bias=False)
        >>> report = estimate(layer, (4,), 0.5, steps=1, roles={"*": "spiking"})
        >>> int(report.sites.synops[0])  # half of 4 inputs, each meets 4 weights
        8
    """
    import torch

    noise = torch.randn(1, *shape, generator=torch.Generator().manual_seed(0))
    noise = noise.to(next(model.parameters(), noise))
    facts = {PARAMETERS: sum(p.numel() for p in model.parameters()), **(provenance or {})}
    report = analyze(
        model,
        [noise],
        convention=convention,
        technology=technology,
        provenance=facts,
        **options,
    )
    return replace(report, run=at_rates(report.run, _exactly(rates)))


def _exactly(
    rates: float | Fraction | Mapping[str, float | Fraction],
) -> Fraction | dict[str, Fraction]:
    """The decimal numbers that were written, not the binary ones nearest to them."""
    if isinstance(rates, Mapping):
        return {pattern: Fraction(str(rate)) for pattern, rate in rates.items()}
    return Fraction(str(rates))
