"""`barycode compress --engine`: a corpus into shards, with processes of this machine or on a Ray cluster."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import typer

from barycode.cli import networks, pictures
from barycode.cli.batch import progress_bar
from barycode.cli.picture_options import PictureOptions
from barycode.cli.sizes import GREW, shown_size
from barycode.cli.text import printable, shown_suffixes
from barycode.errors import InvalidInputError
from barycode.processors import usable_processors

if TYPE_CHECKING:
    from barycode.corpora.products import Encoded
    from barycode.corpora.records import Record
    from barycode.corpora.run import CorpusRun, Engine
    from barycode.corpora.work import Work
    from barycode.weights.request.targets import Target

IN_FOLDERS = networks.WRITTEN - {".bin"}  # networks among pictures; .bin may be anything


class EngineName(StrEnum):
    """Who works."""

    local = "local"
    ray = "ray"


class FileEncoder(Protocol):
    """A file of a corpus into the bytes of a .bary file, and what is to be told of it."""

    def __call__(self, path: Path, name: str) -> "Encoded": ...

    def suffixes(self) -> frozenset[str]:
        """Of the files that are taken from folders."""

    def suffixes_in_shards(self) -> frozenset[str]:
        """Of the parts of samples that are compressed."""

    def settings(self) -> dict[str, Any]:
        """All that decides the bytes, as JSON can hold it."""


@dataclass(frozen=True)
class Workers:
    """Who works, where, and on how much at a time."""

    engine: EngineName | None
    address: str | None
    count: int | None
    shard_size: int
    column: str

    def __post_init__(self) -> None:
        if self.engine is None and (self.address or self.count or self.column):
            raise InvalidInputError(
                "--address, --workers and --column are for corpora: add --engine local or --engine ray."
            )
        if self.address and self.engine != EngineName.ray:
            raise InvalidInputError("--address is that of a Ray cluster: add --engine ray.")


@dataclass(frozen=True)
class IndexEncoder:
    """Pictures into the codebook indices of a trained autoencoder (`pack_codes`)."""

    checkpoint: Path
    side: int | None

    @classmethod
    def of(cls, run: Path, side: int | None) -> "IndexEncoder":
        """For a run's folder or a checkpoint; raises what `open_tokenizer` does before any work."""
        from barycode.training.autoencoders.tokenizer import newest, open_tokenizer

        checkpoint = newest(run).absolute()
        open_tokenizer(checkpoint)
        return cls(checkpoint, side)

    def __call__(self, path: Path, name: str) -> "Encoded":
        from barycode.corpora.products import Encoded
        from barycode.training.autoencoders.tokenizer import PictureTokenizer

        with pictures.open_picture(path, name) as image:
            notes = ["transparency left out"] if image.has_transparency_data else []
            return Encoded(PictureTokenizer(self.checkpoint, self.side)(image), notes)

    def suffixes(self) -> frozenset[str]:
        return pictures.suffixes()

    suffixes_in_shards = suffixes

    def settings(self) -> dict[str, Any]:
        from barycode.training.autoencoders.tokenizer import PictureTokenizer

        return {"indices": PictureTokenizer(self.checkpoint).fingerprint(), "side": self.side}


@dataclass(frozen=True)
class Encoder:
    """A file of a corpus into the bytes of a .bary file, by what its name says it is."""

    pictures: PictureOptions
    target: "Target | None"
    keep: tuple[str, ...]
    only_networks: bool

    def __call__(self, path: Path, name: str) -> "Encoded":
        from barycode.corpora.products import Encoded

        data, notes = self._compressed(path, name)
        return Encoded(data, [*notes, GREW] if len(data) > path.stat().st_size else notes)

    def _compressed(self, path: Path, name: str) -> tuple[bytes, list[str]]:
        if path.suffix.lower() in networks.SUFFIXES:
            self.pictures.refuse_network(name)
            with tempfile.TemporaryFile() as file:
                options = networks.NetworkOptions(self.target, self.keep, workers=1)
                told = networks.notes_of(*networks.write_compressed(file, path, name, options))
                file.seek(0)
                return file.read(), told
        with pictures.open_picture(path, name) as image:
            return self.pictures.compress(image)

    def suffixes(self) -> frozenset[str]:
        """Of the files that are taken from folders."""
        if self.only_networks:
            return networks.WRITTEN
        return pictures.suffixes() if self.pictures.asked() else pictures.suffixes() | IN_FOLDERS

    def suffixes_in_shards(self) -> frozenset[str]:
        """Of the parts of samples that are compressed: what else is called .pt there is nobody's network."""
        return networks.WRITTEN if self.only_networks else pictures.suffixes()

    def settings(self) -> dict[str, Any]:
        """All that decides the bytes, as JSON can hold it."""
        settings: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return {**settings, "target": None if self.target is None else repr(self.target)}


def encoder_of(whole: Encoder, indices: Path | None, side: int | None) -> FileEncoder:
    """That of `barycode compress` or, where indices are asked for, of these; InvalidInputError for both."""
    if indices is None:
        if side is not None:
            raise InvalidInputError("--side goes with --indices.")
        return whole
    if whole.only_networks or whole.target is not None or whole.pictures.asked():
        raise InvalidInputError(
            "--indices writes what an autoencoder makes of pictures: leave out the options of pictures and "
            "networks, which say how to compress them."
        )
    return IndexEncoder.of(indices, side)


def compress_corpus(
    inputs: list[str], output: Path | None, encoder: FileEncoder, workers: Workers, force: bool
) -> None:
    """Compress into the folder `output`, and go on there where it was left."""
    from barycode.corpora.folder import CorpusFolder
    from barycode.corpora.listing import list_inputs
    from barycode.corpora.plan import Cut
    from barycode.corpora.products import CompressedFiles
    from barycode.corpora.run import CorpusRun
    from barycode.corpora.work import Work

    if output is None:
        raise InvalidInputError("--engine writes shards into a folder: name it with --output.")
    suffixes = encoder.suffixes()
    listing = list_inputs(inputs, suffixes, output)
    if listing.others:
        typer.echo(printable(f"left alone in folders: {shown_suffixes(listing.others)}"), err=True)
    folder = CorpusFolder(output.absolute(), ".tar")
    with folder.alone():
        folder.begin(encoder.settings(), force)
        work = Work(folder, CompressedFiles(encoder, encoder.suffixes_in_shards()))
        with _engine(work, workers) as (engine, count):
            run = CorpusRun.open(folder, listing, Cut(count, workers.shard_size, workers.column))
            _go(run, engine, output)


@contextmanager
def _engine(work: "Work", workers: Workers) -> Iterator[tuple["Engine", int]]:
    """What does the work, and how many tasks at a time."""
    if workers.engine == EngineName.local:
        from barycode.corpora.engines.processes import run_processes

        count = workers.count or usable_processors()
        yield partial(run_processes, work, workers=count), count
        return
    from barycode.corpora.engines.ray_data import ray_cluster, run_on_ray

    with ray_cluster(workers.address, workers.count) as cpus:
        yield partial(run_on_ray, work, workers=workers.count), workers.count or cpus


def _go(run: "CorpusRun", engine: "Engine", output: Path) -> None:
    from barycode.corpora.folder import REPORTS

    before = len(run.done)
    if before:
        typer.echo(f"{before} of {len(run.portions)} shards are there already", err=True)
    with progress_bar() as bar:
        task = bar.add_task("shards", total=len(run.portions), completed=before)
        for _ in run.go(engine):
            bar.update(task, advance=1, description=_told([*run.done.values()]))
    records = list(run.done.values())
    typer.echo(f"{printable(output)}: {_told(records)} in {sum(r.size > 0 for r in records)} shards")
    _tell([(note.name, note.text) for note in run.notes()], "notes", output / REPORTS[1])
    failures = [(failure.name, failure.reason) for failure in run.failures()]
    _tell(failures, "failed", output / REPORTS[0])
    if failures:
        raise typer.Exit(1)


def _tell(found: list[tuple[str, str]], what: str, file: Path) -> None:
    """The first few, and where all of them are."""
    for name, text in found[:5]:
        typer.echo(f"barycode: {printable(name)}: {printable(text)}", err=True)
    if found:
        typer.echo(f"barycode: {len(found)} {what}: {printable(file)}", err=True)


def _told(records: "list[Record]") -> str:
    """How much it is so far."""
    before, after = sum(r.bytes_in for r in records), sum(r.bytes_out for r in records)
    ratio = f", {before / after:.1f}x" if after else ""
    samples = sum(r.samples for r in records)
    return f"{samples:,} samples, {shown_size(before)} -> {shown_size(after)}{ratio}"
