"""Engines, which answer, and the identities that their answers depend on.

`opening` chooses the engine of a model. `local` runs a model on this machine, `services` asks one over a
network. Beside them stand the wrappers (`thinking`, `lazy`) and the engines without a model (`null_engine`,
`unloaded_engine`), which import no model library.
"""
