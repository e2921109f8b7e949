"""`gac-analyze`: the energy report of a network. Its help needs no torch."""

from __future__ import annotations

import sys
from typing import Any, cast, get_args

import typer

from analysis.cli import options as opt
from analysis.cli import output_options as out
from analysis.cli.early import check_data, check_inputs, check_place
from analysis.cli.errors import run
from analysis.cli.grouped_help import HELP_NAMES, GroupedHelp, Quiet, Version, application, speaking
from analysis.cli.idle import is_report, refuse_idle
from analysis.cli.question import Question, asked_of, parse_shape
from analysis.energy import conventions
from analysis.energy import technology as technologies
from analysis.errors import InputError
from analysis.records import InputKind, Role
from analysis.reporting.axes import Axis
from analysis.reporting.text import parse_share
from analysis.reporting.wanted import Wanted

# Plain help: typer's boxed one loads a Markdown renderer, half of the time it takes to answer.
app = application()


@app.command(
    cls=GroupedHelp,
    context_settings=HELP_NAMES,
    epilog="""Examples:
  gac-analyze                                                the network that comes with it
  gac-analyze seed0.pth seed1.pth --convention eq17 --output o one row per method, ± over seeds
  gac-analyze last.pth --budget budget.toml                  for continuous integration
  gac-analyze weights.pth --model my.net:build --data my.data:test --steps 4
  torchrun --no-python --nproc-per-node 2 gac-analyze last.pth
  gac-analyze --model my.net:build --rates 0.1 --input-shape 3,32,32
Exit status: 0 fine, 1 budget broken, 2 bad input, 70 an error in the model, its loader or here,
130 stopped by Ctrl-C.""",
)
def analyze(
    context: typer.Context,
    inputs: opt.Inputs = None,
    name: opt.Names = None,
    data: opt.Data = None,
    data_root: opt.DataRoot = None,
    model: opt.Model = None,
    role: opt.RoleOf = None,
    neurons: opt.NeuronPaths = None,
    time_layout: opt.TimeOrder = None,
    loop: opt.Loop = False,
    forward: opt.Forward = None,
    input_shape: opt.InputShape = None,
    kinds: opt.InputKinds = None,
    samples: opt.Samples = None,
    until_ci: opt.UntilCi = None,
    steps: opt.Steps = None,
    batch_size: opt.BatchSize = 64,
    dtype: opt.Dtype = opt.Precision.float32,
    device: opt.Device = "cpu",
    threads: opt.Threads = None,
    seed: opt.Seed = 0,
    convention: opt.ConventionName = "operand",
    technology: opt.TechnologyName = "45nm-fp32",
    explain: opt.Explain = False,
    stem: opt.Stem = None,
    stem_as: opt.StemAs = None,
    event_stem: opt.EventStem = None,
    readout: opt.Readout = None,
    pairs: opt.Pairs = None,
    gate: opt.Gate = None,
    gate_as: opt.GateAs = None,
    spike: opt.Spike = None,
    real: opt.Real = None,
    rate_at: opt.RateAt = None,
    graded: opt.Graded = None,
    silent: opt.Silent = None,
    norm: opt.Norm = None,
    elementwise: opt.Elementwise = None,
    output: out.Output = None,
    by: out.By = Axis.layer,
    top: out.Top = None,
    per_sample: out.PerSample = None,
    crosscheck: out.Crosscheck = False,
    flips: out.Flips = False,
    coding: out.Coding = False,
    against: out.Against = None,
    anyway: out.Anyway = False,
    baseline: out.Baseline = None,
    with_published: out.WithPublished = False,
    versus: out.Versus = None,
    memory: out.Memory = False,
    ann: out.Ann = None,
    budget: out.BudgetFile = None,
    write_budget: out.WriteBudget = None,
    force: out.Force = False,
    margin: out.Margin = None,
    junit: out.Junit = None,
    arch: out.Architecture = None,
    rates: out.Rates = None,
    solve_rate: out.SolveRate = None,
    quiet: Quiet = False,
    version: Version = False,
) -> None:
    """Counts spikes, synaptic operations and MACs of a network exactly, and prices them.

    Default: the network that comes with it. A checkpoint runs on the test data it was made for.
    """
    if explain:
        from analysis.cli.explain import explanation

        sys.stdout.write(explanation() + "\n")
        return
    # wrong names and files are told before torch is loaded
    fields = {
        "stem": stem, "stem_as": stem_as, "readout": readout, "pairs": pairs,
        "event_stem": event_stem, "gate": gate, "gate_as": gate_as, "spike": spike,
        "real": real, "rate_at": rate_at, "graded": graded, "silent": silent, "norm": norm,
        "elementwise": elementwise,
    }  # fmt: skip
    changes = {name: value for name, value in fields.items() if value is not None}
    rule = conventions.convention(convention, **changes)
    prices = technologies.technology(technology)
    other = None if versus is None else conventions.convention(versus)
    if ann is not None and not 0 <= ann <= 1:
        raise InputError(f"--ann takes a share of zero activations from 0 to 1, got {ann}")
    wanted = Wanted(memory=memory, zeros=ann, versus=other)
    files = tuple(inputs or ())
    roles = dict(_role(text) for text in role or ())
    inputs_are = dict(_kind(text) for text in kinds or ())
    if model is None and (neurons or time_layout or loop or forward):
        raise InputError(
            "--neurons, --time-layout, --loop and --forward are for a model of your own: --model"
        )
    layout = None if time_layout is None else time_layout.value
    shape = None if input_shape is None else parse_shape(input_shape)
    if arch is not None or rates is not None or solve_rate is not None:
        of, subject = asked_of(arch, model, files, rates, solve_rate)
        refuse_idle(context, files, without_data=of)
        options: dict[str, Any] = {
            "roles": roles, "neurons": tuple(neurons or ()), "time_layout": layout, "loop": loop,
            "inputs": inputs_are or "auto",
        }  # fmt: skip
        own_options = {"model": options, "arch": {"roles": roles}}
        question = Question(
            name=subject, of=of, shape=shape, options=own_options.get(of, {}), forward=forward,
            steps=steps, rates=rates, solve=solve_rate, wanted=wanted,
        )  # fmt: skip
        from analysis.cli.architecture import answer

        with speaking(quiet=quiet):
            answer(question, rule, prices, output)
        return
    refuse_idle(context, files)
    if shape is not None and not (model is not None and data == "random"):
        raise InputError("--input-shape needs --model with --data random, or --rates")
    if crosscheck and (loop or forward):
        raise InputError("--crosscheck runs the model once: leave out --loop and --forward")
    check_inputs(files)
    if model is not None:
        check_place(model, "--model")
    if forward is not None:
        check_place(forward, "--forward")
    if not files or not all(is_report(file) for file in files):
        check_data(data, data_root, own_model=model is not None)
    until = None if until_ci is None else _share(until_ci)
    from analysis.cli.gate import Gate
    from analysis.cli.job import Job
    from analysis.cli.present import Wish, present

    job = Job(
        data=data,
        data_root=data_root,
        samples=samples,
        batch_size=batch_size,
        steps=steps,
        dtype=dtype.value,
        device=device,
        threads=threads,
        seed=seed,
        until=until,
        crosscheck=crosscheck,
        flips=flips,
        coding=coding,
        model=model,
        roles=roles,
        neurons=tuple(neurons or ()),
        time_layout=layout,
        shape=shape,
        quiet=quiet,
        loop=loop,
        forward=forward,
        kinds=inputs_are,
        per_sample=per_sample,
    )
    wish = Wish(
        inputs=files,
        names=tuple(name or ()),
        output=output,
        axis=by,
        top=top,
        against=against,
        anyway=anyway,
        baseline=baseline,
        published=with_published,
        wanted=wanted,
        samples=bool(per_sample),
        gate=Gate(
            check=budget,
            write=write_budget,
            force=force,
            margin=margin,
            junit=junit,
            technology=technology,
        ),
    )
    with speaking(quiet=quiet):
        status = present(job, wish, rule, prices)
    if status:
        raise typer.Exit(status)


def _share(text: str) -> float:
    """A share such as 1% or 0.01.

    Raises:
        InputError: If it is none between 0 and 1.
    """
    try:
        share = float(parse_share(text))
    except ValueError:
        share = 0.0
    if not 0 < share < 1:
        raise InputError(
            f"--until-ci takes a share between 0 and 1 such as 1% or 0.01, not {text!r}"
        )
    return share


def _role(text: str) -> tuple[str, Role]:
    """A pattern of layers and their role, such as ``stem.*=stem``.

    Raises:
        InputError: If it is none.
    """
    pattern, mark, role = text.rpartition("=")
    if not (mark and pattern and role in get_args(Role)):
        known = ", ".join(get_args(Role))
        raise InputError(f"--role takes GLOB=ROLE with one of {known}, not {text!r}")
    return pattern, cast(Role, role)


def _kind(text: str) -> tuple[str, InputKind]:
    """A pattern of inputs and what they hold, such as ``frames=image``; all without a pattern.

    Raises:
        InputError: If it is none.
    """
    pattern, mark, kind = text.rpartition("=")
    if kind not in get_args(InputKind) or bool(mark) != bool(pattern):
        known = ", ".join(get_args(InputKind))
        raise InputError(f"--input takes [NAME=]KIND with one of {known}, not {text!r}")
    return pattern or "*", cast(InputKind, kind)


def main() -> None:
    """Entry point of the command."""
    run(app, "gac-analyze")


if __name__ == "__main__":
    main()
