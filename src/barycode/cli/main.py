"""`barycode`: the application and its one way out for errors."""

from typing import Annotated, NoReturn

import typer

from barycode import __version__
from barycode.cli import bench, compress, decompress, env, evaluate, info, train
from barycode.cli.way_out import leave

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


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


for _module in (compress, decompress, info, evaluate, bench, env):
    app.command(_module.__name__.rpartition(".")[2])(_module.main)
app.add_typer(train.app, name="train")


def run() -> NoReturn:
    """Run the command line: exit 0, 1 with a one-line error, or 2 for wrong usage."""
    leave(app, "barycode")


if __name__ == "__main__":
    run()
