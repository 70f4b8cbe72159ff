"""What a difference between two runs means: conditions, pairs, groups, margins and verdicts."""
