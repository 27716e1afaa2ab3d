"""What `barycode bench` and the scripts in `benchmarks/` measure: methods that take turns in one process."""
