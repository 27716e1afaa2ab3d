"""`barycode compress`: pictures and networks into .bary files."""

from pathlib import Path
from typing import Annotated

import typer

from barycode.cli import corpora, model_folders, networks, pictures, streams
from barycode.cli.batch import run_jobs
from barycode.cli.jobs import COMPRESSED, STANDARD, Job, Kinds, named_model, plan, require_there
from barycode.cli.picture_options import PictureOptions, Wanted
from barycode.cli.sizes import GREW, read_size, shown_change
from barycode.errors import InvalidInputError


def main(  # noqa: PLR0913, PLR0917 (a command's options)
    inputs: Annotated[
        list[str], typer.Argument(metavar="INPUT...", help="Files, folders, quoted globs, or -.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="The .bary file, - for standard output, or a folder. Default: beside."
        ),
    ] = None,
    quality: Annotated[
        float | None,
        typer.Option(
            "--quality",
            "-q",
            min=1,
            max=8,
            help="1 (about 0.1 bits per pixel) over 5 (about 1) to 8 (about 3, visually lossless); fractions "
            "work. Default: 5.",
        ),
    ] = None,
    effort: Annotated[
        int | None,
        typer.Option(
            "--effort", "-e", min=0, max=9, help="Pictures: 0 (quick) to 9 (smallest files). Default: 3."
        ),
    ] = None,
    size: Annotated[
        str | None, typer.Option(help="At most so many bytes, like 200kB or 5MB: the best that fits.")
    ] = None,
    bpp: Annotated[float | None, typer.Option(help="Pictures: at most so many bits per pixel.")] = None,
    psnr: Annotated[float | None, typer.Option(help="Pictures: at least so many decibels.")] = None,
    ssimulacra2: Annotated[
        float | None,
        typer.Option(help="Pictures: at least this score; 50 is medium, 70 high, 90 visually lossless."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Pictures: a shipped model (photo, photo-msssim) or a .safetensors file of your own. "
            "Default: photo."
        ),
    ] = None,
    lossless: Annotated[
        bool, typer.Option("--lossless", help="Networks: every bit of every tensor.")
    ] = False,
    level: Annotated[
        str | None,
        typer.Option(
            help='With --lossless: "dense" takes the least bytes (the default), "quick" the least time, for '
            "a few more."
        ),
    ] = None,
    base: Annotated[
        Path | None,
        typer.Option(
            help="Networks: the checkpoint, or its .bary file, that this one was fine-tuned from: the file "
            "is the difference to it, and needs it again."
        ),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(
            help="Networks: where in a .pt, .pth, .bin or .ckpt file the state dict is, like ema or "
            "callbacks.ema.weights."
        ),
    ] = None,
    relative_error: Annotated[
        float | None,
        typer.Option(
            help="Networks: errors of this share of every tensor's size (root mean squares). Default: 0.02, "
            "safe for networks that nobody measured."
        ),
    ] = None,
    bits_per_weight: Annotated[
        float | None,
        typer.Option(
            help="Networks: at most so many bits per weight, whatever becomes of them; small networks "
            "suffer below 6, large ones below 3."
        ),
    ] = None,
    max_error: Annotated[
        float | None, typer.Option(help="Networks: no weight is off by more than this.")
    ] = None,
    keep: Annotated[
        list[str] | None, typer.Option(help="Networks: store tensors with such names exactly (* and ?).")
    ] = None,
    strip: Annotated[
        bool,
        typer.Option(
            "--strip",
            help="Pictures: leave out EXIF (place, camera), XMP, text; not orientation and profile.",
        ),
    ] = False,
    flatten: Annotated[
        bool, typer.Option("--flatten", help="Pictures: of several frames the first; of more bits 8.")
    ] = False,
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="Leave out what has been compressed before.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", "-f", help="Replace files that exist.")] = False,
    engine: Annotated[
        corpora.EngineName | None,
        typer.Option(help="Corpora: work in processes of this machine, or on a Ray cluster."),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(help="Corpora: of the Ray cluster, such as auto. Default: start one."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Corpora and networks: so many at a time. Default: one a CPU.")
    ] = None,
    indices: Annotated[
        Path | None,
        typer.Option(
            help="Corpora: shards of codebook indices instead, by the autoencoder whose run's folder or "
            "checkpoint this is."
        ),
    ] = None,
    side: Annotated[
        int | None,
        typer.Option(min=1, help="With --indices: cut pictures to squares, scaled to so many pixels."),
    ] = None,
    shard_size: Annotated[int, typer.Option(min=1, help="Corpora: at most so many files a shard.")] = 1000,
    column: Annotated[
        str, typer.Option(help="Corpora: the column of Parquet files to compress. Default: that of bytes.")
    ] = "",
) -> None:
    """Compress pictures and networks into .bary files.

    For example:

    - `barycode compress photo.png` writes photo.bary beside it

    - `barycode compress photo.png -q 4.5 -o small.bary`

    - `barycode compress photo.png --size 200kB --effort 9`

    - `barycode compress holiday/ -o holiday-bary/` takes all pictures below a folder

    - `barycode compress "scans/*.tif" --skip-existing --strip`

    - `barycode compress - -o - < photo.png > photo.bary`

    - `barycode compress model.safetensors` (also .pt, .pth, .bin, .ckpt, .npz, .onnx, .gguf, or a
    sharded .index.json)

    - `barycode compress model.safetensors --bits-per-weight 3`, or `--size 5MB`: measure the network then

    - `barycode compress model.safetensors --lossless`

    - `barycode compress bert-base/` writes the folder bert-base-bary: a Hugging Face model, its small files
    beside model.bary

    - `barycode compress photos/ train.tar more.parquet list.txt --engine local -o shards/` takes all CPUs
    and writes WebDataset shards; the same command goes on where it stopped

    - `barycode compress photos/ --engine ray --indices runs/mine --side 256 -o tokens/` writes shards of a
    trained autoencoder's codebook indices
    """
    files = frozenset({COMPRESSED}) | pictures.SUFFIXES | networks.SUFFIXES
    # Before anything that loads PyTorch: most of what is refused is refused here.
    require_there(named_model(model), base, indices)
    folder = None if engine else model_folders.folder_of(inputs, packed=False)
    kinds = Kinds("pictures", pictures.suffixes, COMPRESSED, files)
    jobs = [] if engine or folder else plan(inputs, output, kinds)
    limit = None if size is None else read_size(size)
    target = networks.target_of(lossless, bits_per_weight, limit, max_error, relative_error, level)
    errors = (bits_per_weight, max_error, relative_error)
    of_networks = bool(lossless or keep or key or base or (workers and not engine))
    of_networks = of_networks or any(asked is not None for asked in errors)
    options = PictureOptions(Wanted(quality, limit, bpp, psnr, ssimulacra2), effort, model, strip, flatten)
    of_network = networks.NetworkOptions(target, keep or (), workers, key, base)
    who = corpora.Workers(engine, address, workers if engine else None, shard_size, column)
    if folder:
        job = model_folders.job_of(folder, output, packed=False)

        def pack(job: Job) -> str:
            options.refuse_network(job.source_name)
            return model_folders.compress(job.source, job.target, of_network, force, skip_existing)

        return run_jobs([job], pack)
    if engine:
        if key or base or skip_existing:
            raise InvalidInputError(
                "--key, --base and --skip-existing do not go with --engine, which goes on where it stopped."
            )
        whole = corpora.Encoder(options, target, tuple(keep or ()), of_networks)
        encoder = corpora.encoder_of(whole, indices, side)
        return corpora.compress_corpus(inputs, output, encoder, who, force)
    if indices or side:
        raise InvalidInputError("--indices and --side are for corpora: add --engine local or --engine ray.")

    def act(job: Job) -> str:
        _check_names(job)
        networks.refuse_foreign(job)
        streams.check_target(job, force, skip_existing)
        with streams.seekable(job.source) as source:
            kind = _kind(job.source, source)
            if kind in networks.SUFFIXES:
                options.refuse_network(job.source_name)
                return networks.compress(job, source, kind, of_network, force)
            if of_networks:
                only = ", and --workers with --engine only" if workers else ""
                raise InvalidInputError(f"{job.source_name} is not a network: pictures take --quality{only}.")
            return _compress_picture(job, source, options, force)

    return run_jobs(jobs, act)


def _check_names(job: Job) -> None:
    """Names that say what the content is not are refused before any work."""
    if job.source.suffix.lower() == COMPRESSED:
        raise _compressed_already(job.source)
    if job.target != STANDARD and job.target.suffix.lower() != COMPRESSED and not _is_device(job.target):
        raise InvalidInputError(
            f"compress writes {COMPRESSED} files and {job.target} is called otherwise: name it "
            f"{job.target.with_suffix(COMPRESSED)}."
        )


def _compressed_already(source: Path) -> InvalidInputError:
    return InvalidInputError(f"{source} is compressed already; did you mean: barycode decompress {source}")


def _is_device(path: Path) -> bool:
    return path.exists() and not path.is_file() and not path.is_dir()


def _kind(name: Path, content: Path) -> str:
    """The suffix that says what a file is: its own, or that of its first bytes for what has no name."""
    if name == content:
        return name.suffix.lower()
    with content.open("rb") as file:
        start = file.read(9)
    from barycode.container import MAGIC

    if start.startswith(MAGIC):
        raise _compressed_already(name)
    if start.startswith(b"PK"):
        return networks.kind_of_archive(content)
    known = {b"GGUF": ".gguf", b"\x80\x02": ".pt"}  # and PyTorch's files before they were archives
    named = (suffix for begin, suffix in known.items() if start.startswith(begin))
    return ".safetensors" if start[8:] == b"{" else next(named, "")


def _compress_picture(job: Job, source: Path, options: PictureOptions, force: bool) -> str:
    with pictures.open_picture(source, job.source_name) as image:
        data, notes = options.compress(image)
        bpp = 8 * len(data) / (image.width * image.height)
    before = source.stat().st_size
    after = len(data)
    streams.write(job, data, force)
    if after > before:
        notes.append(GREW)
    told = "".join(f" ({note})" for note in notes)
    return f"{shown_change(job, before, after)}, {before / after:.1f}x, {bpp:.2f} bpp{told}"
