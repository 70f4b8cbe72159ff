"""Models that run on this machine: with transformers, or with vLLM on the same tokens."""
