"""Benchmarks against peers in one run: python -m conformance.bench NAME."""
