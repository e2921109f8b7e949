"""The command lines: thin, and the only place that joins gac and analysis."""
