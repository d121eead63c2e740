"""The parts of `scripts/profile` that are more than drawing."""
