"""homing: every job comes home."""
