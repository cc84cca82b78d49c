"""What every suite of benchmarks stands on: interpreters, rounds, figures and tables."""
