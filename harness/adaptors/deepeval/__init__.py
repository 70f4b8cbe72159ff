"""Support for deepeval (4.3): its metrics, with any engine as the judge. No telemetry, no files.

deepeval reads its settings when it is first imported, so they are set here, before that. Values the user has
set are left as they are.
"""

import os

from harness.adaptors.extras import need

QUIET = {
    "DEEPEVAL_TELEMETRY_OPT_OUT": "1",  # also keeps `.deepeval` folders out of the working folder and of home
    "DEEPEVAL_DISABLE_DOTENV": "1",  # would put what the user's .env files say into the environment
    "DEEPEVAL_DISABLE_TIMEOUTS": "1",  # a judge on this machine may take minutes, and is no hanging server
    "CONFIDENT_TRACING_ENABLED": "NO",  # traces of every call, for deepeval's own service
}
"""Environment variables of deepeval 4.3: see its `config/settings.py` and `constants.py`."""

need("deepeval")
for name, value in QUIET.items():
    os.environ.setdefault(name, value)
