"""Starts the sync service."""

from sandbox.services.service import main
from sandbox.services.sync.app import Sync

if __name__ == "__main__":
    main(Sync)
