"""An explanation of the core as the JSON object that RExplain sends; docs/scmd-interface.md."""

from __future__ import annotations

import json
from dataclasses import asdict

from scmd.core.why import Explanation


def explanation_json(explanation: Explanation) -> bytes:
    """UTF-8; lone surrogates of a name are escaped as JSON has it."""
    return json.dumps(asdict(explanation), separators=(",", ":")).encode()
