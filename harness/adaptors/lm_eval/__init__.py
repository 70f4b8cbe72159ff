"""lm-eval both ways: its tasks on our engine, and our engine as a model inside it. Speaks lm_eval 0.4.13."""
