"""Makes the helpers of this folder importable (pytest puts it on the path), and sets hypothesis up.

The same examples on every machine, unless HYPOTHESIS_PROFILE=fuzz asks for fresh ones (and more of them).
"""

import os

from hypothesis import HealthCheck, settings

SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]

settings.register_profile("fixed", derandomize=True, deadline=None, suppress_health_check=SLOW)
settings.register_profile("fuzz", max_examples=500, deadline=None, suppress_health_check=SLOW, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))
