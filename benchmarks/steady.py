"""What makes timings and memory figures of one run comparable with those of another."""

import os
import sys

from torch.profiler import ProfilerActivity, profile

_KEEPS_FREED_MEMORY = {
    "MALLOC_TRIM_THRESHOLD_": "4294967296",
    "MALLOC_MMAP_THRESHOLD_": "4294967296",
}


def keep_freed_memory():
    """Starts the script anew with an allocator that gives nothing back to the system.

    By default glibc returns freed memory when it lies at the end of the heap, and each later use
    then costs page faults: none or 600 MiB a pass, by chance of the layout.
    """
    if not _KEEPS_FREED_MEMORY.items() <= os.environ.items():
        environment = os.environ | _KEEPS_FREED_MEMORY
        os.execve(sys.executable, [sys.executable, *sys.argv], environment)  # noqa: S606


def peak_mib(job):
    """Most memory that torch's allocator had given out at a time during a job, from zero."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as found:
        job()
    events = [e for e in found.profiler.kineto_results.events() if e.name() == "[memory]"]
    held = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak / 2**20
