"""Machinery of the experiments in the checkout: sweeps of runs, result files, tables in documents."""
