"""From counts and prices to frames, files and the terminal. Needs no torch."""
