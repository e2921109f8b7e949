"""Along what the counts of a report can be broken down. Needs nothing."""

from enum import StrEnum


class Axis(StrEnum):
    """What the rows of a breakdown stand for."""

    layer = "layer"
    role = "role"
    stage = "stage"
    step = "step"
    channel = "channel"
