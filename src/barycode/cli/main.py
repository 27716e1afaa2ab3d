"""`barycode`: the application, its commands, and what all of them share."""

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, NoReturn

import typer

from barycode import __version__
from barycode.cli import bench, compress, decompress, env, evaluate, info, train
from barycode.cli.completion import mend_zsh
from barycode.cli.program import run_program, show_tracebacks

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""
    Compress photos with learned codebooks.

    - `barycode compress photo.png` writes photo.bary
    - `barycode decompress photo.bary` writes photo.png
    - `barycode info photo.bary` says where its bits went

    Every command explains itself: `barycode COMMAND --help`.
    """,
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"barycode {__version__}")
        raise typer.Exit


Debug = Annotated[
    bool, typer.Option("--debug", callback=show_tracebacks, help="Show where an error comes from.")
]


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Debug = False,
) -> None:
    pass


def _with_debug(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command with the option --debug, which acts on the program and not on the command."""

    def with_debug(*, debug: bool = False, **options: Any) -> Any:
        return command(**options)

    parameter = inspect.Parameter("debug", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Debug)
    signature = inspect.signature(command)
    functools.update_wrapper(with_debug, command)
    with_debug.__annotations__ = {**command.__annotations__, "debug": Debug}
    shown = signature.replace(parameters=[*signature.parameters.values(), parameter])
    with_debug.__dict__["__signature__"] = shown  # what typer reads
    return with_debug


for _module in (compress, decompress, info, evaluate, bench, env):
    app.command(_module.__name__.rpartition(".")[2])(_with_debug(_module.main))
for _command in train.app.registered_commands:
    assert _command.callback is not None
    _command.callback = _with_debug(_command.callback)
app.add_typer(train.app, name="train")


def run() -> NoReturn:
    """Run the command line: exit 0, 1 with a one-line error, or 2 for wrong usage."""
    mend_zsh()
    run_program(app, "barycode")


if __name__ == "__main__":
    run()
