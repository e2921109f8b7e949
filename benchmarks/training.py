"""Inference and training against a straightforward implementation of the released scheme.

    python benchmarks/training.py [--pairs 9] [--threads 2] [--batch 8] [--model msresnet18-cifar]
        [--device cpu] [--precision float32]

Ours keeps channels innermost in memory, an option of the package (`--channels-last`).
Both run in turns; ratios are taken pair by pair, of processor time on a CPU and of wall time on a
GPU. Other work on the machine only ever adds time, so the least of both are compared as well. The
share inside convolutions is what no other code around them can save: with it stands how near this
is to the limit. Freed memory stays with the process, as in gac-train. Peak memory is what torch's
allocator gives out during a step, above the loaded network and its optimiser.
"""

import argparse
import statistics
import time
from contextlib import nullcontext

import torch
from peak import peak_mib
from straightforward import Straightforward
from torch import nn

import gac
from analysis.cli.allocator import keep_freed_memory
from gac.fast import fast
from gac.norms import take_statistics

HALVES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def network(name, device):
    """Statistics of noise, so that neurons fire."""
    torch.manual_seed(0)
    model = gac.build(name).eval()
    side = model.config.image_size
    take_statistics(model, torch.randn(4, 3, side, side))
    return model.to(device)


def plain_of(model):
    plain = Straightforward(model.config).to(next(model.parameters()).device)
    plain.load_state_dict(model.state_dict())
    return plain


def infer(model, images, casting):
    with torch.no_grad(), casting:
        return model(images)


def train(model, images, casting):
    """Forward, backward and update, as in training."""
    optimiser = model.__dict__.setdefault(
        "benchmark_optimiser", torch.optim.SGD(model.parameters(), 1e-6, momentum=0.9)
    )
    optimiser.zero_grad()
    with casting:
        logits = model(images).mean(1)
    labels = torch.arange(len(images), device=images.device)
    nn.functional.cross_entropy(logits.float(), labels).backward()
    optimiser.step()


def clock(device):
    if device == "cuda":
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


def spent(job, device):
    begin = clock(device)
    job()
    return clock(device) - begin


def in_convolutions(job, device):
    """Share of the time of a pass inside convolutions, forward and backward."""
    from torch.profiler import ProfilerActivity, profile

    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * (device == "cuda")
    with profile(activities=activities) as found:
        job()
    events = found.key_averages()
    field = "self_device_time_total" if device == "cuda" else "self_cpu_time_total"
    total = sum(getattr(event, field) for event in events)
    names = ("convolution", "conv2d", "cudnn", "implicit_gemm", "wgrad", "dgrad")
    inside = sum(getattr(e, field) for e in events if any(n in e.key.lower() for n in names))
    return inside / total


def compare(label, plain_job, our_job, device, pairs):
    for job in (plain_job, our_job):
        job()
    plains, ours = [], []
    for _ in range(pairs):
        plains.append(spent(plain_job, device))
        ours.append(spent(our_job, device))
    ratios = [a / b for a, b in zip(plains, ours, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    shares = [in_convolutions(job, device) for job in (plain_job, our_job)]
    print(
        f"{label:10} {statistics.median(plains):8.3f} s {statistics.median(ours):8.3f} s   "
        f"{middle:.2f} [{low:.2f}, {high:.2f}]   {min(plains) / min(ours):<13.2f} "
        f"{shares[0]:.2f}  {shares[1]:.2f}"
    )


def options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--model", default="msresnet18-cifar")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="float32", choices=["float32", *HALVES])
    return parser.parse_args()


def peak_of(job, device):
    """Peak memory of a training step, without what the network and its momentum hold."""
    job()
    if device != "cuda":
        return peak_mib(job)
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    job()
    return (torch.cuda.max_memory_allocated() - before) / 2**20


def prepared(chosen):
    torch.set_num_threads(chosen.threads)
    model = network(chosen.model, chosen.device)
    side = model.config.image_size
    images = torch.randn(chosen.batch, 3, side, side).to(chosen.device)
    half = HALVES.get(chosen.precision)
    casting = nullcontext() if half is None else torch.autocast(chosen.device, half)
    return model, images, casting


def main():
    chosen = options()
    keep_freed_memory()
    model, images, casting = prepared(chosen)
    device = chosen.device
    print(
        f"{chosen.model}, T={model.steps}, batch {chosen.batch}, {chosen.precision}, {device}, "
        f"{chosen.threads} threads, torch {torch.__version__}, {chosen.pairs} pairs"
    )
    print(
        "           straightforward   ours      ratio: median [quartiles]  least / least "
        "in convolutions: each"
    )
    plain, quick = plain_of(model).eval(), fast(model, channels_last=True)
    inner = images.to(memory_format=torch.channels_last)
    compare(
        "inference",
        lambda: infer(plain, images, casting),
        lambda: infer(quick, inner, casting),
        device,
        chosen.pairs,
    )
    plain.train()
    model = model.train().to(memory_format=torch.channels_last)
    jobs = lambda: train(plain, images, casting), lambda: train(model, inner, casting)
    compare("training", *jobs, device, chosen.pairs)
    peaks = [peak_of(job, device) for job in jobs]
    print(
        f"peak of a training step: {peaks[0]:,.0f} MiB, {peaks[1]:,.0f} MiB, ratio "
        f"{peaks[1] / peaks[0]:.2f}"
    )


if __name__ == "__main__":
    main()
