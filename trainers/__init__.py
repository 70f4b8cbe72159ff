"""How candidates are made: one thin module for each kind of stage, and the pipelines that chain them."""
