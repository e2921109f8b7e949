"""Whether this processor trains a network with channels innermost, tried in a child process.

On some processors torch's own backward pass of a convolution with few channels ends the process,
without an exception that could be told. So one update runs in a child process first.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import torch

from gac.config import MSResNetConfig
from gac.errors import InputError
from gac.plain import from_plain, to_plain
from gac.recipes import TrainConfig
from gac.training import fresh_model
from gac.updates import Updater

CHILD = "from analysis.cli.channels_last import one_update; one_update()"


def try_channels_last(network: MSResNetConfig, settings: TrainConfig, shape: list[int]) -> None:
    """One update in a child process.

    Args:
        network: What is going to be trained.
        settings: How.
        shape: Of one part of a batch, images or clips.

    Raises:
        InputError: If the child was ended by a signal: this process would be, too.
    """
    wanted = {"network": to_plain(network), "settings": to_plain(settings), "shape": shape}
    here = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))
    done = subprocess.run(  # noqa: S603 - this Python, on our own code
        [sys.executable, "-P", "-c", CHILD],
        input=json.dumps(wanted), env=_alone() | {"PYTHONPATH": path}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    if done.returncode < 0:
        raise InputError(
            f"torch {torch.__version__} ends with {signal.Signals(-done.returncode).name} on this "
            "processor when it trains this network with --channels-last; leave --channels-last "
            "out, or give every layer at least 8 channels (--network stem_width, widths)"
        )


def _alone() -> dict[str, str]:
    """The environment without torchrun's variables: the child is the only process of its run."""
    torchrun = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
    return {name: value for name, value in os.environ.items() if name not in torchrun}


def one_update() -> None:
    """What the child does: an update of fresh weights on noise, from what stdin says."""
    wanted = json.load(sys.stdin)
    settings = from_plain(TrainConfig, wanted["settings"])
    model = fresh_model(from_plain(MSResNetConfig, wanted["network"]), settings.seed)
    updater = Updater(model.to(memory_format=torch.channels_last), settings)
    images = torch.rand(wanted["shape"])
    part = images, torch.zeros(len(images), dtype=torch.long)
    updater.update(iter([part] * settings.accumulate), (1, 0), 0.0, None, stop=False)
