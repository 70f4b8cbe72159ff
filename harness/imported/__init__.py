"""Other tools' results as tasks of ours: one file per format."""
