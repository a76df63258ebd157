"""What the command lines of the programs share."""

from __future__ import annotations

import argparse


def at_least_one(text: str) -> int:
    """A number of runs, rows or placebos. Raises argparse.ArgumentTypeError or ValueError, which argparse reports."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("it must be 1 or more")
    return number
