"""Starts the discovery service."""

from sandbox.services.discovery.app import Discovery
from sandbox.services.service import main

if __name__ == "__main__":
    main(Discovery)
