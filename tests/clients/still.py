"""`govgate`, for whose rate limits no time passes.

    python -m tests.clients.still serve --port 8080

What a key has used up stays so: whoever asks again is refused again, however long a test takes, and
is told to wait as long as before.
"""

from __future__ import annotations

from functools import partial
from unittest.mock import patch

from gateway import wiring
from gateway.adapters.rate_limits import LocalRateLimits
from gateway.cli import main

NOW = 0.0

if __name__ == "__main__":
    with patch.object(wiring, "LocalRateLimits", partial(LocalRateLimits, now=lambda: NOW)):
        main(prog_name="govgate")
