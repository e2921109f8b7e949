"""From counts to picojoules: conventions, price lists. Needs no torch."""
