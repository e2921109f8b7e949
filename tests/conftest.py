"""Settings of all tests."""

import os

# Networks this small gain nothing from a second thread, and wait for it where a machine is busy.
# Read by torch when it is imported, here and in the commands that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")
