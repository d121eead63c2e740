"""The parts of `scripts/compare`: what is measured, how, and how it is shown."""
