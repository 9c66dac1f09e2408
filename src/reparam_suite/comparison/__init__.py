"""What `python -m reparam_suite.compare` does, one module for each thing that it compares."""
