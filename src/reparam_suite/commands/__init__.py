"""What the commands share: options, help and error messages."""
