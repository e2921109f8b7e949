"""What counting costs: time and memory of each counter against the plain forward pass.

    python benchmarks/counting.py [--pairs 15] [--threads 2] [--batch 8]
    python benchmarks/counting.py --growth 200    # resident memory over that many batches

Each counter's run on a batch is paired with a plain forward right before it; the ratio of
processor times is taken pair by pair. The plain forward runs stem and gate at every step, as the
released code does. Other work on the machine only ever adds time, so the least times of both are
compared as well. Ours streams the batches through one analysis, as over a data set; "with set-up"
analyses each batch anew. Freed memory stays with the process, as in gac-analyze. Memory is the
peak of what torch's allocator had given out during one pass. Peers that are not installed are
named and left out.
"""

import argparse
import copy
import statistics
import time
from pathlib import Path
from statistics import mean

import torch
from peak import peak_mib

import analysis
import gac
from analysis.cli.allocator import keep_freed_memory
from gac.norms import take_statistics

STEPS = 6


def network():
    torch.manual_seed(0)
    model = gac.build("msresnet18-cifar", steps=STEPS).eval()
    take_statistics(model, torch.randn(4, 3, 32, 32))  # so that neurons fire
    return model


def clip(images):
    """The same images at every step, so that stem and gate run at each."""
    return images.unsqueeze(1).repeat(1, STEPS, 1, 1, 1)


def plain(model, images):
    with torch.no_grad():
        return model(clip(images))


def ours(model, images):
    return analysis.analyze(model, [images], per_sample=True)


def ours_on_clips(model, images):
    return analysis.analyze(model, [clip(images)], per_sample=True)


def streamed(model, batch, pairs):
    """Seconds of one analysis for each of many batches, and of a plain forward before it."""
    found, since = [], [0.0]

    def batches():
        for _ in range(pairs + 1):
            base = spent(plain, model, batch if batch.dim() == 4 else batch[:, 0])
            begin = time.process_time()
            yield batch
            found.append((since[0] - begin, base))

    def note_end(_samples):
        since[0] = time.process_time()

    analysis.analyze(model, batches(), per_sample=True, on_batch=note_end)
    return found[1:]  # the first also sets up


def spikingjelly(model, images):
    from spikingjelly.activation_based.op_counter import (
        DispatchCounterMode,
        MACCounter,
        SynOpCounter,
    )

    with torch.no_grad(), DispatchCounterMode([SynOpCounter(), MACCounter()]):
        model(clip(images))


def flop_counter(model, images):
    from torch.utils.flop_counter import FlopCounterMode

    with torch.no_grad(), FlopCounterMode(display=False):
        model(clip(images))


def fvcore(model, images):
    from fvcore.nn import FlopCountAnalysis

    counter = FlopCountAnalysis(copy.deepcopy(model), clip(images))
    counter.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    counter.total()


COUNTERS = {
    "ours (still images)": ours,
    "ours (stem at every step)": ours_on_clips,
    "ours (with set-up)": ours_on_clips,
    "spikingjelly": spikingjelly,
    "torch FlopCounterMode": flop_counter,
    "fvcore": fvcore,
}


def spent(function, model, images):
    begin = time.process_time()
    function(model, images)
    return time.process_time() - begin


def seconds(name, model, images, pairs):
    if name == "ours (still images)":
        return streamed(model, images, pairs)
    if name == "ours (stem at every step)":
        return streamed(model, clip(images), pairs)
    function = COUNTERS[name]
    function(model, images)  # warm-up
    return [(spent(function, model, images), spent(plain, model, images)) for _ in range(pairs)]


def growth(batches, batch):
    """Resident memory during one analysis of many batches, in MiB, at ten places."""
    model, seen = network(), []
    analysis.analyze(
        model,
        (torch.randn(batch, 3, 32, 32) for _ in range(batches)),
        on_batch=lambda _: seen.append(resident("VmRSS")),
    )
    print(f"batches of {batch}: " + ", ".join(f"{n:.0f}" for n in seen[:: max(1, batches // 10)]))
    half = len(seen) // 2
    print(
        f"mean of the second half - of the first: {mean(seen[half:]) - mean(seen[:half]):+.1f} MiB"
    )


def resident(field):
    """Resident memory of this process in MiB, from Linux's own books."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--only", default="")
    parser.add_argument("--growth", type=int, metavar="BATCHES")
    options = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(options.threads)
    if options.growth:
        growth(options.growth, options.batch)
        return
    model, images = network(), torch.randn(options.batch, 3, 32, 32)
    plain(model, images)
    print(
        f"msresnet18-cifar, T={STEPS}, batch {options.batch}, {options.threads} threads, "
        f"torch {torch.__version__}, {options.pairs} pairs"
    )
    base = peak_mib(lambda: plain(model, images))
    times = f"{'time / plain: median [quartiles]':34} {'least / least':14}"
    print(f"{'counter':28} {times} peak memory / plain")
    for name in COUNTERS:
        if options.only not in name:
            continue
        try:
            found = seconds(name, model, images, options.pairs)
        except ImportError as error:
            print(f"{name:28} not installed: {error}")
            continue
        low, middle, high = statistics.quantiles([own / base for own, base in found], n=4)
        least = min(own for own, _ in found) / min(base for _, base in found)
        memory = peak_mib(lambda name=name: COUNTERS[name](model, images)) / base
        print(f"{name:28} {middle:.3f} [{low:.3f}, {high:.3f}]{'':14} {least:<14.3f} {memory:.2f}")


if __name__ == "__main__":
    main()
