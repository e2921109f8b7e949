"""From a running model to exact counts."""
