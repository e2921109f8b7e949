"""One self-contained page: figures as SVG, no network, readable in the dark and on paper."""
