"""SEE: read-only I/O. Samplers, the clients they read with, and the clock. Nothing here writes to a target."""
