"""What surrounds a computation: random streams, processes, errors."""
