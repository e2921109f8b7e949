"""``gac-train``: trains a GAC MS-ResNet, writes its checkpoints, goes on after interruptions.

Only names and settings are imported up here, so that the help answers without torch.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, NoReturn

from analysis.cli.early import check_data
from analysis.cli.errors import run
from analysis.cli.grouped_help import HELP_NAMES, GroupedHelp, Quiet, Version, application, speaking
from analysis.cli.train_options import option, with_settings
from analysis.cli.training_plan import Plan
from gac.config import MSResNetConfig
from gac.data import DATASETS, data_source, preprocessing_for
from gac.errors import InputError
from gac.metadata import EventValues
from gac.plain import from_plain, to_plain
from gac.recipes import RECIPES, Recipe, recipe
from gac.registry import ARCHITECTURES, architecture

PROGRAM = "gac-train"
TRAINABLE = [name for name, source in DATASETS.items() if source.trainable]


def _by_architecture() -> str:
    """The encoders of the named architectures, for the help."""
    found: dict[str, list[str]] = {}
    for name, known in ARCHITECTURES.items():
        found.setdefault(known.encoder, []).append(name)
    return "; ".join(f"{encoder} ({', '.join(names)})" for encoder, names in found.items())


app = application()

_WHAT, _RUN = "What to train", "The run"


@app.command(
    cls=GroupedHelp,
    context_settings=HELP_NAMES,
    epilog="Examples:\n"
    "  gac-train --recipe digits --epochs 5 --output runs/quick\n"
    "  gac-train --recipe cifar100 --data-root DATA --device cuda --precision bf16 --dry-run\n"
    "  torchrun --no-python --nproc-per-node 8 gac-train --recipe imagenet-r34 --data-root DATA "
    "--device cuda --workers 8 --resume\n"
    "Exit status: 0 trained, or stopped by Ctrl-C or SIGTERM with everything saved (the last "
    "line says how to go on); 2 bad input; 70 an error in this package; 130 a second Ctrl-C.",
)
@with_settings
def train(
    recipe_name: Annotated[
        str | None,
        option(
            f"Network, data and settings: {', '.join(RECIPES)}. Default digits, or the one for "
            "--data.",
            _WHAT, "--recipe",
        ),
    ] = None,
    as_released: Annotated[
        bool,
        option(
            "Also what is better left behind of the released scripts: CutMix decided once per "
            "epoch (CIFAR), no flip (ImageNet).",
            _WHAT, "--as-released",
        ),
    ] = False,
    data: Annotated[
        str | None, option(f"Data set: {', '.join(TRAINABLE)}. Default the recipe's.", _WHAT)
    ] = None,
    data_root: Annotated[
        Path | None,
        option(
            "Folder that holds the data set's own folder: cifar-10-batches-py, cifar-100-python, "
            "imagenet/{train,val}/nXXXXXXXX, nmnist, dvs128gesture or cifar10dvs. CIFAR's files "
            "are pickles: trust them.",
            _WHAT, metavar="DIR",
        ),
    ] = None,
    model: Annotated[
        str | None,
        option(f"Architecture: {', '.join(ARCHITECTURES)}. Default the recipe's.", _WHAT),
    ] = None,
    encoder: Annotated[
        str | None,
        option(
            "gac (gated attention coding), direct (plain current), poisson or latency (pixels "
            f"become spikes first). Default the architecture's: {_by_architecture()}.",
            _WHAT,
        ),
    ] = None,
    gate: Annotated[
        str,
        option(
            "Of the gac encoder: full, or an ablation (temporal, spatial, off, frozen, permuted).",
            _WHAT,
        ),
    ] = "full",
    steps: Annotated[
        int | None,
        option("Simulation steps T per image. Default the architecture's.", _WHAT, metavar="N"),
    ] = None,
    event_values: Annotated[
        EventValues | None,
        option(
            "What frames of events hold: binary (1 where there was an event) or counts. Default "
            "binary.",
            _WHAT,
        ),
    ] = None,
    network: Annotated[
        list[str] | None,
        option(
            "Any other field of the network, such as --network widths=[32,64,128]; can be given "
            "several times.",
            _WHAT, metavar="FIELD=VALUE",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        option(
            "Folder for last.pth, best.pth, log.csv, run.json and snapshots/. Default "
            "runs/RECIPE.",
            _RUN, "--output", "-o", metavar="DIR",
        ),
    ] = None,
    resume: Annotated[
        bool,
        option(
            "Go on where the run in --output stands, exactly; start it where there is none. "
            "Settings have to be the same.",
            _RUN, "--resume",
        ),
    ] = False,
    restart: Annotated[
        bool, option("Throw away the run in --output and start again.", _RUN, "--restart")
    ] = False,
    save_every: Annotated[
        int,
        option(
            "Updates between two snapshots; there is one after every epoch, too.", _RUN, min=1
        ),
    ] = 500,
    keep: Annotated[int, option("Snapshots to keep.", _RUN, min=1)] = 2,
    rates_on: Annotated[
        int,
        option(
            "Test images on which firing rates and energy are counted after every epoch, for the "
            "log; 0 for none.",
            _RUN, min=0,
        ),
    ] = 64,
    tensorboard: Annotated[
        bool,
        option(
            "Write events for TensorBoard, too: pip install 'gac-energy[tensorboard]'.",
            _RUN, "--tensorboard",
        ),
    ] = False,
    device: Annotated[
        str, option("cpu or cuda; with torchrun each process takes a GPU.", _RUN)
    ] = "cpu",
    channels_last: Annotated[
        bool,
        option(
            "Keep channels innermost in memory: faster on most GPUs. Changes the last bits.",
            _RUN, "--channels-last",
        ),
    ] = False,
    workers: Annotated[
        int, option("Processes that prepare images; they change no result.", _RUN, min=0)
    ] = 0,
    threads: Annotated[
        int | None,
        option(
            "CPU threads; they change the last bits. Default torch's choice.", _RUN, min=1
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        option(
            "Check everything, print the resolved settings, size, steps and memory; train "
            "nothing.",
            _RUN, "--dry-run",
        ),
    ] = False,
    quiet: Quiet = False,
    version: Version = False,
    **settings: Any,
) -> None:  # fmt: skip
    """Train a GAC MS-ResNet and write its checkpoints.

    A recipe says what to train and how; every option below changes one thing of it. A run may be
    killed at any moment: the same command with --resume goes on from the last snapshot, and ends
    with the weights of a run that never stopped, bit for bit on the same machine.
    """
    known = _recipe_of(recipe_name, data)
    known = known.as_released() if as_released else known
    data = data or known.data
    name = model or known.model
    given = {
        "classes": data_source(data).classes, "gate": gate,
        **({} if steps is None else {"steps": steps}),
        **({} if encoder is None else {"encoder": encoder}),
    }  # fmt: skip
    config = _changed(architecture(name, **given), network or [])
    changes = {key: value for key, value in settings.items() if value is not None}
    plan = Plan(
        data=data,
        root=data_root,
        model=name,
        network=config,
        settings=replace(known.config, **changes),
        preprocessing=preprocessing_for(data, config, event_values),
        output=output or Path("runs") / (recipe_name or data),
        device=device,
        channels_last=channels_last,
        workers=workers,
        threads=threads,
        resume=resume,
        restart=restart,
        save_every=save_every,
        keep=keep,
        rates_on=rates_on,
        tensorboard=tensorboard,
        quiet=quiet,
    )
    check_data(data, data_root)
    from analysis.cli.training_run import dry_run as describe
    from analysis.cli.training_run import run_plan

    with speaking(quiet=quiet):
        (describe if dry_run else run_plan)(plan)


def _recipe_of(name: str | None, data: str | None) -> Recipe:
    """The recipe asked for, else the first one for the data."""
    if name is not None or data is None:
        return recipe(name or "digits")
    data_source(data)  # an unknown name is told with the known ones
    fitting = [known for known in RECIPES.values() if known.data == data]
    if not fitting:
        raise InputError(f"no recipe to train on {data!r}; give one of {', '.join(RECIPES)}")
    return fitting[0]


def _changed(config: MSResNetConfig, assignments: list[str]) -> MSResNetConfig:
    """A network with some fields set by ``FIELD=VALUE``, the value as in JSON or a bare word."""
    plain = to_plain(config)
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals or name not in plain:
            raise InputError(
                f"--network takes FIELD=VALUE with one of {', '.join(plain)}, got {assignment!r}"
            )
        try:
            plain[name] = json.loads(text)
        except ValueError:
            plain[name] = text
    return from_plain(MSResNetConfig, plain)


def main() -> NoReturn:
    """Entry point of ``gac-train``."""
    run(app, PROGRAM)


if __name__ == "__main__":
    main()
