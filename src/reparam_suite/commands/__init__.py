"""Shared parts of the commands: options, help and error messages."""
