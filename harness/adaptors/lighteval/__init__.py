"""lighteval (0.13) both ways: its tasks on our engine, and our engine as a model inside it."""

from harness.adaptors.extras import need

need("lighteval")
