"""lm-eval (0.4.13) both ways: its tasks on our engine, and our engine as a model inside it."""
