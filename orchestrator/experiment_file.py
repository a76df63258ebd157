"""An experiment as a file, read before Chaos Toolkit is asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from orchestrator.errors import PlanError, RefusedError


def read_experiment(path: Path) -> dict[str, Any]:
    """Its JSON object. Raises PlanError or RefusedError with one sentence."""
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise RefusedError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    except ValueError as error:
        raise RefusedError(f"{path} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise PlanError(str(path), "it is not a JSON object", "see experiments/full.json for the form")
    return content
