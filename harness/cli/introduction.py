"""What is said before a command works on a project."""

from harness.cli.moving import MovingLines
from harness.cli.terminal import errors
from harness.store.moving import watch_moves
from harness.verbs.project import Project


def introduce(project: Project) -> Project:
    """The project; say where it comes from, when that is no file of the user's, and where its store lies.

    From here on a store that moves into another form says how far it is.
    """
    watch_moves(MovingLines())
    if project.is_toy:
        errors.print(
            "no harness.toml here: using the embedded toy world (its scores say nothing about real models; "
            "`harness init` starts a project of your own)",
            style="dim",
        )
    if project.store_note:
        errors.print(f"note: {project.store_note}", markup=False, soft_wrap=True)
    return project
