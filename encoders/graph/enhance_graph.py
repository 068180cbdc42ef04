"""Enhancement as a run on the graph: predicts, and writes what is predicted as claims of a source of its own.

What a run says of a relation is a document (`enhancement:medical/^ASSOCIATED_WITH`): asking for it again replaces that,
and retracting it takes it back; retracting the domain's source takes all back. What was predicted is kept in a folder
until it is written, so that a run that was cut off goes on; what was found in the end is kept too, for the next one.
"""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import orjson
from torch import Tensor

from encoders.graph.domain_graph import AllowedTails, triples_of
from encoders.graph.enhancement import Calibration, Enhancement, Prediction
from encoders.graph.enhancement_settings import EnhancementSettings
from encoders.graph.last_run import LastRun, Marks, marks
from encoders.graph.model import LinkPredictor
from encoders.graph.ways import WAYS
from encoders.progress import Progress, quiet
from kg.derived import DerivedDocument
from kg.errors import InputError
from kg.model import Claim, Source
from kg.snapshot import Snapshot, load_snapshot
from kg.store import GraphStore

READER = "links@1"
_SHOWN = ("hidden", "found", "ece", "precision")
_PART = 256
"""Entities whose predictions are kept in one file."""


@dataclass(frozen=True, slots=True)
class Enhanced:
    """What a run did.

    Attributes:
        documents: by relation asked; retracting one takes back what it says.
        source: of all that is predicted in the domain.
        by: the way.
        asked: how many entities were asked, by relation asked.
        written: predictions by relation asked.
        calibration: how sure they can be, by relation asked: `hidden` facts asked for, the share `found`, `ece`,
            and the `precision` of what reaches the least belief.
    """

    documents: dict[str, str]
    source: str
    by: str
    graph_version: int
    asked: dict[str, int]
    written: dict[str, int]
    calibration: dict[str, dict[str, Any]]


def source_of(domain: str) -> str:
    """Id of the source of a domain's predictions."""
    return f"evigraph:links/{domain}"


def document_of(domain: str, asked: str) -> str:
    """Id of the document of a relation's predictions."""
    return f"enhancement:{domain}/{asked}"


async def enhance_graph(
    store: GraphStore,
    domain: str,
    model: LinkPredictor,
    settings: EnhancementSettings,
    cache: Path,
    folder: Path,
    progress: Progress = quiet,
) -> Enhanced:
    """Predicts links of a domain and writes them, instead of what earlier runs said of the same relations.

    Args:
        store: the graph.
        domain: name of an ontology file.
        model: of the ways that need it.
        settings: what to predict.
        cache: folder of snapshots.
        folder: where predictions are kept until they are written.
        progress: told how far it is; what it raises ends the run. Until the first write the graph is as it was; cut off
            later, the ledger has the document as incomplete. Either way the same run goes on from what is kept.

    Raises:
        OntologyError: no such domain.
        InputError: nothing to ask for: an empty domain, an unknown relation, too few facts to calibrate, or to learn.
        ConfigurationError: the device has too little memory.
    """
    settings.check(store.ontology, domain)
    source = source_of(domain)
    whole = await load_snapshot(store, domain, cache)
    snapshot = await asyncio.to_thread(whole.without, {source})
    facts = triples_of(snapshot)
    if not len(facts):
        raise InputError(f"the domain {domain!r} has no facts", "domain")
    marked = await asyncio.to_thread(marks, snapshot, facts)
    way, content = _way_key(settings.by, model), _content_key(snapshot, marked)
    runs = {asked: folder / "last" / f"{_key(way, domain, asked, settings)}.json" for asked in settings.relations}
    documents = {asked: document_of(domain, asked) for asked in settings.relations}
    ledger = await store.ledger()
    allowed = AllowedTails(snapshot, store.ontology)
    predictions: dict[str, list[Prediction]] = {}
    calibrations, heads, kept = {}, {}, []
    for asked in settings.relations:
        enhancement = await asyncio.to_thread(Enhancement, snapshot, facts, allowed, model, asked, settings)
        written, last = ledger.get(documents[asked]), None
        if settings.only_changed and written is not None and written.records:  # else it was taken back
            last = await asyncio.to_thread(LastRun.load, runs[asked])
        if last is None:
            run = _Kept(folder / _key(way, content, asked, settings), asked, progress)
            heads[asked], others = enhancement.heads, []
            calibrations[asked] = await asyncio.to_thread(run.calibration, enhancement)
        else:
            run = _Kept(folder / _key(way, f"{content} after {last.key}", asked, settings), asked, progress)
            heads[asked] = last.reached(snapshot, facts, marked, enhancement.heads)
            others = enhancement.still(last.predictions, heads[asked])
            calibrations[asked] = last.calibration
        found = await asyncio.to_thread(run.predictions, enhancement, heads[asked], calibrations[asked])
        predictions[asked] = [*others, *found]
        kept.append(run)
    for asked, found_here in predictions.items():
        described = Source(
            source, "prediction", name=f"links predicted in {domain}", model=settings.by, version=f"{way} on {content}",
            document=documents[asked],
        )  # fmt: skip
        document = DerivedDocument(store, described.document, READER, [described])
        progress(f"Writing {asked}", 0, len(found_here))
        await document.write([_claim(prediction, described) for prediction in found_here])
        await document.end()
        ended = LastRun.of(snapshot, marked, calibrations[asked], found_here)
        await asyncio.to_thread(ended.save, runs[asked])
    for run in kept:
        await asyncio.to_thread(run.forget)
    return Enhanced(
        documents,
        source,
        settings.by,
        snapshot.version,
        {asked: len(some) for asked, some in heads.items()},
        {asked: len(found) for asked, found in predictions.items()},
        {asked: {name: getattr(found, name) for name in _SHOWN} for asked, found in calibrations.items()},
    )


def _claim(prediction: Prediction, source: Source) -> Claim:
    ends = prediction.subject, prediction.relation, prediction.object
    paths = {"paths": " | ".join(prediction.paths)} if prediction.paths else {}
    return Claim(*ends, source.id, prediction.belief, paths, source.document)


class _Kept:
    """Calibration and predictions of a relation, taken from files where they are there, else made and kept."""

    def __init__(self, folder: Path, asked: str, progress: Progress) -> None:
        self._folder, self._asked = folder, asked
        self._progress = progress
        folder.mkdir(parents=True, exist_ok=True)

    def calibration(self, enhancement: Enhancement) -> Calibration:
        path = self._folder / "calibration.json"
        if path.exists():
            return Calibration.of_json(orjson.loads(path.read_bytes()))
        what = f"Calibrating {self._asked}"
        found = enhancement.calibrate(lambda done, of: self._progress(what, done, of))
        _write(path, asdict(found))
        return found

    def forget(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def predictions(self, enhancement: Enhancement, heads: Tensor, calibration: Calibration) -> list[Prediction]:
        found: list[Prediction] = []
        parts = heads.split(_PART) if len(heads) else ()
        what = f"Predicting {self._asked}"
        for number, asked in enumerate(parts):
            path = self._folder / f"{number}.json"
            if path.exists():
                rows = orjson.loads(path.read_bytes())
                part = [Prediction(**row | {"paths": tuple(row["paths"])}) for row in rows]
            else:
                part = []
                for some in enhancement.predict(asked, calibration):
                    part += some
                    self._progress(what, number, len(parts))  # a part may take minutes, and a run end within
                _write(path, [asdict(prediction) for prediction in part])
            found += part
            self._progress(what, number + 1, len(parts))
        return found


def _write(path: Path, value: Any) -> None:  # noqa: ANN401 (any JSON)
    partial = path.with_suffix(".partial")
    partial.write_bytes(orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY))
    partial.replace(path)


def _way_key(by: str, model: LinkPredictor) -> str:
    """Of how it is predicted: the version of the code, and the weights that a way reads the graph by."""
    return f"{READER}, weights {_weights_key(model)}" if WAYS[by].weights else READER


def _weights_key(model: LinkPredictor) -> str:
    key = hashlib.blake2b(digest_size=6)
    for tensor in model.state_dict().values():
        key.update(tensor.cpu().numpy().tobytes())
    return key.hexdigest()


def _content_key(snapshot: Snapshot, marks_: Marks) -> str:
    """Of what is read, wherever a graph keeps it; versions differ with what was written in between."""
    ids = snapshot.tables.entity_id
    content = ids.data.tobytes() + ids.offsets.tobytes() + marks_.tobytes()
    return hashlib.blake2b(content, digest_size=6).hexdigest()


def _key(way: str, content: str, asked: str, settings: EnhancementSettings) -> str:
    alone = replace(settings, relations=(asked,), only_changed=False)
    return hashlib.blake2b(repr((way, content, alone)).encode(), digest_size=8).hexdigest()
