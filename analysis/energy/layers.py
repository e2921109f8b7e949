"""A site seen as a layer: what memory models ask of it, derived from its counts and sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, prod

from analysis.records import LayerShape, Run, SiteRecord


@dataclass(frozen=True, kw_only=True)
class Range:
    """A quantity whose constants are only known to lie between bounds."""

    low: float
    nominal: float
    high: float

    @classmethod
    def over(cls, low: float, nominal: float, high: float) -> Range:
        """A result at the three values of a constant; its ends may come in either order."""
        values = (low, nominal, high)
        return cls(low=min(values), nominal=nominal, high=max(values))

    @classmethod
    def of(cls, value: float) -> Range:
        """A quantity that is known."""
        return cls(low=value, nominal=value, high=value)

    def times(self, factor: float) -> Range:
        """The same, so many times (``factor`` >= 0)."""
        return Range(low=self.low * factor, nominal=self.nominal * factor, high=self.high * factor)


def reads_spikes(site: SiteRecord) -> bool:
    """Whether the values of its input are spikes, of one or both signs, and no image.

    Events at the input are spikes; a black and white picture that somebody calls an image is not,
    unless the layer is called spiking. An input that was always zero is none of them: what it
    stands for is up to the caller.
    """
    may_be = site.origin != "image" or site.role == "spiking"
    return site.operand in ("spike", "ternary") and may_be


def is_spiking(site: SiteRecord) -> bool:
    """Whether a site works on events: spikes, or nothing at all."""
    return reads_spikes(site) or site.operand == "silent"


def executions(site: SiteRecord, run: Run) -> Fraction:
    """How often a site ran per sample, exactly."""
    return Fraction(round(site.executions * run.samples), run.samples)


def steps_covered(site: SiteRecord, run: Run) -> Fraction:
    """Steps that the counts of a site are of, per sample: those it ran at, or all that it mixes."""
    return Fraction(run.steps) if site.mixes_steps else executions(site, run) or Fraction(1)


@dataclass(frozen=True)
class Layer:
    """A site with weights; counts are per sample, summed over steps.

    Attributes:
        site: Its exact counts over the whole run, at every step that it stands for.
        shape: Its sizes.
        samples: Of the run.
        steps: Steps that the counts are of, per sample; see `steps_covered`.
    """

    site: SiteRecord
    shape: LayerShape
    samples: int
    steps: Fraction

    @property
    def is_convolution(self) -> bool:
        """Else it is fully connected: a product with a matrix."""
        return bool(self.shape.kernel)

    @property
    def input_spikes(self) -> Fraction:
        """Theta_in: non-zero input elements that enter the layer in one inference."""
        return Fraction(self.site.nonzeros, self.samples)

    @property
    def inputs(self) -> Fraction:
        """Input elements over all steps, ``T * Cin * Hin * Win``."""
        return Fraction(self.site.elements, self.samples)

    @property
    def macs(self) -> Fraction:
        """Dense MACs over all steps, ``T * Cout * Hout * Wout * Cin / groups * Kh * Kw``."""
        return Fraction(self.site.dense_macs, self.samples)

    @property
    def taps(self) -> int:
        """Weight elements behind one output: ``Cin / groups * Kh * Kw``, or Nin."""
        if self.is_convolution:
            return self.site.weights // self.shape.channels_out
        return self.shape.channels_in

    @property
    def outputs(self) -> Fraction:
        """Output elements over all steps: every one takes `taps` of the dense MACs."""
        return self.macs / self.taps

    @property
    def fan_out(self) -> int:
        """Weight elements of one input element, stride and borders ignored.

        ``Cout / groups * Kh * Kw``, or Nout.
        """
        if self.is_convolution:
            return self.site.weights // self.shape.channels_in
        return self.shape.channels_out

    @property
    def strided_fan_out(self) -> int:
        """Outputs that one input element feeds: ``Cout/groups * ceil(Kh/sh) * ceil(Kw/sw)``."""
        if not self.is_convolution:
            return self.fan_out
        channels = self.fan_out // prod(self.shape.kernel)
        pairs = zip(self.shape.kernel, self.shape.stride, strict=True)
        return channels * prod(ceil(kernel / stride) for kernel, stride in pairs)


def layers(run: Run) -> tuple[Layer, ...]:
    """The sites that are layers with weights, in the order they ran, as if at every step."""
    return tuple(
        Layer(site, site.shape, run.samples, steps_covered(site, run))
        for site in run.at_every_step.sites
        if site.shape is not None and site.dense_macs
    )


def not_layers(run: Run) -> tuple[str, ...]:
    """The other sites: products of two activations and transposed convolutions."""
    return tuple(str(s.key) for s in run.sites if s.shape is None and s.dense_macs)


def folds_normalisation(run: Run) -> bool:
    """Whether there is batch norm to fold: then every layer gets a bias by it."""
    return any(work.work == "normalisation" for work in run.elementwise)


def static_sites(run: Run) -> tuple[str, ...]:
    """Sites whose input was the same at all of several steps."""
    sites = run.at_every_step.sites
    return tuple(str(s.key) for s in sites if s.static and s.executions > 1)


def some(names: Sequence[str], most: int = 3) -> str:
    """A list of names in words, the first ones only if it is long.

    Example:
        >>> some(["a", "b", "c", "d", "e"]), some(["a", "b"])
        ('a, b, c and 2 more', 'a, b')
    """
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
