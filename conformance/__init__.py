"""Shoal judged from outside: benchmarks, answers, smoke tests. Run from the repository's root; not installed."""
