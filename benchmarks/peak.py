"""Memory of a job, by torch's own books: the same in every run."""

from torch.profiler import ProfilerActivity, profile


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
