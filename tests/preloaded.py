"""What the process that forks commands imports once, so that they need not: see `tests.processes`."""

from importlib import import_module

from harness.cli import VERBS
from trainers.stages import STAGES

for module, _ in VERBS.values():
    import_module(module)
for kind in STAGES.values():
    import_module(kind.run.partition(":")[0])
