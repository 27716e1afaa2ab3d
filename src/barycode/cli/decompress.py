"""`barycode decompress`: .bary files back into pictures and networks."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from barycode.cli import model_folders, networks, pictures, streams
from barycode.cli.batch import run_jobs
from barycode.cli.jobs import COMPRESSED, Job, Kinds, named_model, plan, require_there
from barycode.cli.sizes import read_size, shown_change
from barycode.errors import InvalidInputError, UnsupportedFileError

SUFFIXES = {"imag": ".png", networks.KIND: ".safetensors"}
UNKNOWN = ".unpacked"  # until the file says what it holds


def main(  # noqa: PLR0913, PLR0917 (a command's options)
    inputs: Annotated[
        list[str], typer.Argument(metavar="INPUT...", help=".bary files, folders, quoted globs, or -.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="The file, - for standard output, or a folder. Default: PNG or safetensors, beside.",
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="The model file, where a file was made with a model of your own.")
    ] = None,
    limit: Annotated[
        str | None, typer.Option(help="Refuse files that decode to more bytes, such as 500MB.")
    ] = None,
    strip: Annotated[
        bool,
        typer.Option("--strip", help="Pictures: leave out EXIF, XMP, text; not orientation and profile."),
    ] = False,
    base: Annotated[
        Path | None,
        typer.Option(help="Networks: the checkpoint, or its .bary file, that the file is a difference to."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Networks: so many processes. Default: all CPUs, for large files."),
    ] = None,
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="Leave out what has been decompressed before.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", "-f", help="Replace files that exist.")] = False,
) -> None:
    """Decompress .bary files: to PNG and safetensors, or to what the name after --output says.

    For example:

    - `barycode decompress photo.bary` writes photo.png beside it

    - `barycode decompress photo.bary -o photo.tiff`

    - `barycode decompress holiday-bary/ -o holiday/`

    - `barycode decompress model.bary` writes model.safetensors beside it

    - `barycode decompress bert-base-bary/` writes the model folder bert-base again
    """
    require_there(named_model(model), base)
    options = Options(model, read_size(limit) if limit else None, strip, force, skip_existing, workers, base)
    files = frozenset({COMPRESSED}) | pictures.SUFFIXES | networks.SUFFIXES
    if folder := model_folders.folder_of(inputs, packed=True):
        job = model_folders.job_of(folder, output, packed=True)

        def unpack(job: Job) -> str:
            _refuse_options(job, networks.KIND, options)
            return model_folders.decompress(job.source, job.target, options.unpacking, force, skip_existing)

        return run_jobs([job], unpack)
    kinds = Kinds(".bary files", lambda: frozenset({COMPRESSED}), UNKNOWN, files)
    return run_jobs(plan(inputs, output, kinds), lambda job: _decompress(job, options))


@dataclass(frozen=True)
class Options:
    """How files are decompressed; `limit` in bytes of what comes out."""

    model: str | None
    limit: int | None
    strip: bool
    force: bool
    skip_existing: bool
    workers: int | None
    base: Path | None

    @property
    def unpacking(self) -> networks.Unpacking:
        return networks.Unpacking(self.limit, self.workers, self.base)


def _decompress(job: Job, options: Options) -> str:
    with streams.seekable(job.source) as source:
        kind = _kind(source)
        if kind not in SUFFIXES:
            raise UnsupportedFileError(
                f"{job.source_name} holds {kind!r}, which this version of Barycode does not decompress."
            )
        if job.target.suffix == UNKNOWN:
            job = streams.with_suffix(job, SUFFIXES[kind])
        streams.check_target(job, options.force, options.skip_existing)
        _refuse_options(job, kind, options)
        if kind == networks.KIND:
            return networks.decompress(job, source, options.force, options.unpacking)
        return _decompress_picture(job, source, options)


def _refuse_options(job: Job, kind: str, options: Options) -> None:
    """Raise InvalidInputError where something was asked for that files of this kind do not have."""
    of_pictures = {"--model": options.model, "--strip": options.strip or None}
    of_networks = {"--base": options.base, "--workers": options.workers}
    is_network = kind == networks.KIND
    foreign = of_pictures if is_network else of_networks
    if asked := " and ".join(name for name, value in foreign.items() if value is not None):
        what, others = ("network", "pictures") if is_network else ("picture", "networks")
        raise InvalidInputError(f"{job.source_name} is a {what}: {asked} goes with {others}.")


def _kind(path: Path) -> str:
    from barycode.container import ContainerReader

    with path.open("rb") as file:
        return ContainerReader(file).kind


def _decompress_picture(job: Job, source: Path, options: Options) -> str:
    from barycode.container import unpack
    from barycode.images import decompress
    from barycode.images.codec import read_header
    from barycode.images.metadata import Metadata

    data = source.read_bytes()
    container = unpack(data)
    suffix = job.target.suffix or SUFFIXES["imag"]
    if suffix.lower() == COMPRESSED:
        raise InvalidInputError(f"{job.target} would be compressed again: name the output .png, or copy it.")
    header = read_header(container)
    pictures.check_writable(suffix, header.mode, (header.width, header.height))
    image = decompress(data, model=options.model, limit=options.limit)
    if options.strip:
        image = image.copy()
        image.info.clear()
        Metadata.from_container(container).stripped().attach(image)
    decoded, notes = pictures.picture_bytes(image, suffix)
    streams.write(job, decoded, options.force)
    told = "".join(f" ({note})" for note in notes)
    change = shown_change(job, len(data), len(decoded))
    return f"{change}, {image.width}x{image.height} {image.mode}{told}"
