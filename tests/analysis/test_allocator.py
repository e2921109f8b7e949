"""Freed memory stays with a command, so that its pages are not paid for again."""

import platform
import subprocess
import sys

import pytest

SCRIPT = """
import resource, torch
from analysis.cli.allocator import keep_freed_memory
keep_freed_memory()
def pages():
    for _ in range(3):
        parts = [torch.zeros(2**21) for _ in range(8)]  # 8 MiB each
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        parts = None
        parts = [torch.zeros(2**21) for _ in range(8)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(pages())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_memory_that_was_freed_is_used_again_without_new_pages():
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 2000  # of 163,840 pages that were written
