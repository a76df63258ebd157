"""`python -m sandbox.postgres primary|replica|follows`: prepare a data directory, then become the server; or look at a replica.

Environment of all: POD_IP and PORT (where it listens; LISTEN_HOST instead of POD_IP), POD_NAME, VOLUME_DATA (directory of the
data), POSTGRES_BIN (without it the wheel's programs), POSTGRES_HBA_FILE (who may connect; without it the seed's: loopback only).
primary: POSTGRES_SEED_DIR (a data directory to start from). replica and follows: PRIMARY_HOST and PRIMARY_PORT.
SIGINT stops the server at once ("fast"); SIGTERM waits until the last client has gone.
"""

import os
import signal
import sys
from collections.abc import Mapping

from sandbox.postgres.launch import follows, primary, replica

ROLES = {"primary": primary, "replica": replica, "follows": follows}


def main(arguments: list[str], environment: Mapping[str, str]) -> None:
    """Start the server that `arguments` name, or look at it; does not return."""
    if len(arguments) != 1 or arguments[0] not in ROLES:
        sys.exit("usage: python -m sandbox.postgres primary|replica|follows")
    # Python's own handler only leaves a note: a SIGINT just before we become the server would be forgotten with it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    ROLES[arguments[0]](environment)


if __name__ == "__main__":
    main(sys.argv[1:], os.environ)
