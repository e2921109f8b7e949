"""Random reports: whatever a run of somebody's network can leave, and some that nobody had yet.

Counts are drawn per sample and step and added up, so that every number of a run fits the others.
"""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from analysis.energy.conventions import PRESETS
from analysis.energy.technology import Price, Technology, technology
from analysis.records import (
    RATE_BINS,
    Constant,
    ElementwiseRecord,
    InputRecord,
    Moments,
    NeuronDetail,
    NeuronRecord,
    Run,
    SampleCount,
    Sampling,
    SiteKey,
    SiteRecord,
    moment_column,
)
from analysis.reporting.report import Report

NAMES = (
    "", "conv", "layers.0.attn.qkv", "<script>alert(1)</script>", 'a "b" & <i>c</i>', "a|b_c*d`e",
    r"back\slash{}$x^2#~%", "übung.層.нейрон", "block." * 40 + "fc", "w" * 300, "]]>--%>{{ x }}",
)  # fmt: skip
TEXTS = st.sampled_from([*NAMES[1:], "digits, 12 of 360 samples", "a, b, c"])
FREE = Technology(
    name="free",
    description="nothing costs anything",
    operations={
        name: Price(pj=0.0, source="a test", status="seen") for name in ("ac", "mac", "neuron")
    },
)
PRICES = st.sampled_from([*map(technology, ("45nm-fp32", "loihi", "truenorth")), FREE])


@st.composite
def reports(draw):
    """A report on a run drawn at random."""
    run = draw(runs())
    rule = PRESETS[draw(st.sampled_from(["operand", "operand-once", "folk", "all-ac"]))]
    return Report(run, rule, draw(PRICES))


@st.composite
def runs(draw):
    """A run in which all numbers fit together."""
    samples, steps = draw(st.integers(1, 4)), draw(st.sampled_from([1, 2, 5]))
    silent = draw(st.booleans()) and draw(st.booleans())
    layers = draw(st.lists(st.sampled_from(NAMES), max_size=4, unique=True))
    spiking = draw(st.lists(st.sampled_from(NAMES), max_size=3, unique=True))
    kept: list[SampleCount] = []
    neurons = [draw(_neurons(name, samples, steps, kept, silent=silent)) for name in spiking]
    keys = tuple(neuron.key for neuron in neurons)
    sites = [draw(_sites(name, samples, steps, kept, keys, silent=silent)) for name in layers]
    answers = draw(_answers(samples, steps))
    per_sample = tuple(kept) if draw(st.booleans()) else ()
    return Run(
        samples=samples,
        steps=steps,
        sites=tuple(sites),
        neurons=tuple(neurons),
        elementwise=draw(_work(steps)),
        moments=_moments(kept) if draw(st.booleans()) else Moments(columns=(), mean=(), scatter=()),
        inputs=draw(_inputs()),
        constants=draw(_constants()),
        never_ran=tuple(draw(st.lists(TEXTS, max_size=2))),
        uncounted=draw(st.dictionaries(TEXTS, st.integers(1, 9), max_size=2)),
        warnings=tuple(draw(st.lists(TEXTS, max_size=2))),
        provenance=draw(_provenance()),
        per_sample=per_sample,
        sample_index=tuple(range(7, 7 + samples)) if per_sample and draw(st.booleans()) else (),
        flipped=draw(st.sampled_from([None, 0, samples])),
        sampling=draw(_sampling()),
        **answers,
    )


def _counts(samples, steps, most):
    row = st.lists(st.integers(0, most), min_size=steps, max_size=steps).map(tuple)
    return st.lists(row, min_size=samples, max_size=samples).map(tuple)


def _by_step(counts):
    return tuple(int(n) for n in np.array(counts).sum(0))


@st.composite
def _neurons(draw, name, samples, steps, kept, *, silent):
    neurons, known = draw(st.integers(1, 20)), draw(st.booleans())
    counts = draw(_counts(samples, steps if known else 1, 0 if silent else neurons * steps))
    by_step, outputs = _by_step(counts), neurons * samples
    kept.append(SampleCount(kind="neuron", key=SiteKey(name=name), counts=counts))
    dead = draw(st.integers(0, neurons))
    detail = NeuronDetail(
        channels=(sum(by_step),),
        dead=dead,
        saturated=0,
        histogram=(dead, *[0] * (RATE_BINS - 2), neurons - dead),
    )
    return NeuronRecord(
        site=name,
        call=0,
        neurons=neurons,
        spikes=sum(by_step),
        outputs=outputs * steps,
        spikes_by_step=by_step if known else None,
        outputs_by_step=(outputs,) * steps if known else None,
        found_by=draw(st.sampled_from(["known", "behaviour"])),
        detail=detail if draw(st.booleans()) else None,
    )


@st.composite
def _sites(draw, name, samples, steps, kept, neurons, *, silent):
    once, known = draw(st.booleans()), draw(st.booleans())
    fan_out, inputs = draw(st.integers(1, 9)), draw(st.integers(1, 30))
    own_steps = 1 if once or not known else steps
    counts = draw(_counts(samples, own_steps, 0 if silent else inputs))
    nonzeros, key = sum(_by_step(counts)), SiteKey(name=name, index=draw(st.integers(0, 1)))
    times = 1 if own_steps == steps else steps
    elements = inputs * samples * own_steps * (1 if once else times)
    synops = tuple(tuple(fan_out * n for n in row) for row in counts)
    kept.append(SampleCount(kind="site", key=key, counts=synops))
    kept.append(SampleCount(kind="input", key=key, counts=counts))
    shown = known and not once
    return SiteRecord(
        key=key,
        aliases=tuple(draw(st.lists(TEXTS, max_size=1))),
        role=draw(st.sampled_from(["stem", "gate", "spiking", "shortcut", "readout", "other"])),
        role_source=draw(st.sampled_from(["model", "user", "guess"])),
        op=draw(st.sampled_from(["conv2d", "linear", "matmul"])),
        operand="silent" if not nonzeros else draw(st.sampled_from(["spike", "ternary", "real"])),
        unit=1.0,
        origin=draw(st.sampled_from(["image", "events", "current", "spikes", "gated-spikes"])),
        static=once,
        executions=1.0 if once else float(steps),
        stands_for=steps if once else 1,
        mixes_steps=False,
        dense_macs=elements * fan_out + draw(st.integers(0, 5)),
        inside_macs=elements * fan_out,
        synops=fan_out * nonzeros,
        nonzeros=nonzeros,
        elements=elements,
        synops_by_step=_by_step(synops) if shown else None,
        nonzeros_by_step=_by_step(counts) if shown else None,
        upstream=neurons[:1],
        weights=inputs * fan_out,
        zero_weights=draw(st.integers(0, inputs)),
    )


def _moments(kept):
    names = {"site": "synops", "input": "nonzeros", "neuron": "spikes"}
    columns, rows = [], []
    for entry in kept:
        numbers = (entry.key.call,) if entry.kind == "neuron" else (entry.key.index, 0)
        columns.append(moment_column(names[entry.kind], entry.key.name, *numbers))
        rows.append(np.array(entry.counts).sum(1))
    if not rows:
        return Moments(columns=(), mean=(), scatter=())
    table = np.array(rows, dtype=float)
    apart = table - table.mean(1, keepdims=True)
    return Moments(
        columns=tuple(columns),
        mean=tuple(table.mean(1).tolist()),
        scatter=tuple(map(tuple, (apart @ apart.T).tolist())),
    )


@st.composite
def _answers(draw, samples, steps):
    """No labels, logits of every step, or one answer for all of them."""
    known = draw(st.sampled_from([0, 1, steps]))
    if not known:
        return {}
    labels = draw(st.lists(st.integers(0, 2), min_size=samples, max_size=samples))
    answers = [
        draw(st.lists(st.integers(0, 2), min_size=known, max_size=known)) for _ in range(samples)
    ]
    pairs = list(zip(labels, answers, strict=True))
    right = [sum(label == said[step] for label, said in pairs) for step in range(known)]
    return {
        "correct": right[-1],
        "correct_by_step": tuple(right),
        "labels": tuple(labels),
        "predicted": tuple(map(tuple, answers)),
    }


@st.composite
def _work(draw, steps):
    kinds = ["normalisation", "addition", "product", "activation", "pooling", "other", "bias"]
    drawn = draw(st.lists(st.sampled_from(kinds), max_size=3, unique=True))
    return tuple(
        ElementwiseRecord(
            site=draw(st.sampled_from(NAMES)),
            work=kind,
            elements=draw(st.integers(0, 1000)),
            stands_for=draw(st.sampled_from([1, steps])),
        )
        for kind in drawn
    )


@st.composite
def _inputs(draw):
    return tuple(
        InputRecord(
            name=name,
            kind=draw(st.sampled_from(["events", "image"])),
            said_by=draw(st.sampled_from(["user", "values"])),
            values=draw(st.sampled_from(["silent", "spike", "ternary", "graded", "real"])),
            nonzeros=draw(st.integers(0, 5)),
            elements=5,
        )
        for name in draw(st.lists(TEXTS, max_size=2, unique=True))
    )


@st.composite
def _constants(draw):
    names = draw(st.lists(st.sampled_from(NAMES), max_size=2, unique=True))
    return tuple(Constant(key=SiteKey(name=n), macs=draw(st.integers(0, 99))) for n in names)


@st.composite
def _provenance(draw):
    facts = {}
    for name in ("model", "data", "method", "precision", "device", "command", "commit"):
        if draw(st.booleans()):
            facts[name] = draw(TEXTS)
    if draw(st.booleans()):
        facts |= {"parameters": draw(st.integers(0, 10**9)), "notes": [draw(TEXTS)]}
    return facts


@st.composite
def _sampling(draw):
    if draw(st.booleans()):
        return None
    ends = draw(st.sampled_from([(None, None), (1.5, 2.5)]))
    return Sampling(
        target=0.01, looks_planned=4, looks_used=2, level=0.98, mean=2.0, low=ends[0],
        high=ends[1], reached=draw(st.booleans()),
    )  # fmt: skip
