"""Starts the API gateway."""

from sandbox.services.gateway.app import Gateway
from sandbox.services.service import main

if __name__ == "__main__":
    main(Gateway)
