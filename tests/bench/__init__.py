"""Benchmarks: ``make bench``. They judge nothing and belong to no test; figures are compared as ratios of one run."""
