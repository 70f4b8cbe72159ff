"""Silences other libraries' progress bars and banners, but not their errors.

Most of the settings must be in the environment before a library is first imported, so this runs before any
verb is loaded. A value the user has set is left as it is. Warnings of this project are not silenced.
"""

import logging
import os
import warnings

ENVIRONMENT = {
    "TOKENIZERS_PARALLELISM": "false",  # forked workers would warn about deadlocks
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",  # ours are shown instead; the hub's, of downloads, stay
    "TRANSFORMERS_VERBOSITY": "error",
    "DATASETS_VERBOSITY": "error",
    "HF_HUB_VERBOSITY": "error",  # a missing network is reported once, by us
    "HF_HUB_DISABLE_TELEMETRY": "1",  # what is evaluated here is nobody's business
    "DISABLE_TELEMETRY": "1",
    "TRL_EXPERIMENTAL_SILENCE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "LOGLEVEL": "ERROR",  # lm-eval's
}


def silence_third_parties() -> None:
    """Set what the libraries read, and drop warnings meant for developers rather than users."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    warnings.filterwarnings(
        "ignore", category=UserWarning, module=r"(torch|transformers|trl|datasets|lm_eval)\b"
    )
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
