"""JUDGE: pure functions from a recording to findings. No I/O, no clock, no randomness, and nothing that knows Chaos Toolkit."""
