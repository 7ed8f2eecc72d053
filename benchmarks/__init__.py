"""Measurements of scmd against named peers; `python -m benchmarks` prints a table."""
