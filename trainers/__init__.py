"""How candidates come to be: one thin file per kind of stage, and the pipeline that chains them."""
