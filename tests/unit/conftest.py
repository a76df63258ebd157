"""Makes `virtual_time` importable from every folder of unit tests (pytest puts this folder on the path)."""
