"""Enhancement as a run on the graph: predicts, and writes what is predicted as claims of a source of its own.

A run is a document (`enhancement:medical`): running it again replaces what it said, and retracting it, or its source,
takes it back. What was predicted is kept in a folder until it is written, so that a run that was cut off goes on.
"""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from encoders.graph.domain_graph import AllowedTails, triples_of
from encoders.graph.enhancement import Calibration, Enhancement, Prediction
from encoders.graph.enhancement_settings import EnhancementSettings
from encoders.graph.model import LinkPredictor
from encoders.graph.triples import Triples
from kg.derived import DerivedDocument
from kg.errors import InputError
from kg.model import Claim, Source
from kg.snapshot import Snapshot, load_snapshot
from kg.store import GraphStore

READER = "links@1"
_PART = 256
"""Entities whose predictions are kept in one file."""

Progress = Callable[[str, int, int], None]
"""What is being done, how much of it is done, and of how much; called from a thread, too."""


@dataclass(frozen=True, slots=True)
class Enhanced:
    """What a run did.

    Attributes:
        document: the run; retracting it takes back what it said.
        source: the source of all it says.
        written: predictions by relation asked.
        calibration: how sure they can be, by relation asked: `hidden` facts asked for, the share `found`, `ece`,
            and the `precision` of what reaches the least belief.
    """

    document: str
    source: str
    graph_version: int
    written: dict[str, int]
    calibration: dict[str, dict[str, Any]]


def source_of(domain: str) -> str:
    """Id of the source of a domain's predictions."""
    return f"evigraph:links/{domain}"


async def enhance_graph(
    store: GraphStore,
    domain: str,
    model: LinkPredictor,
    settings: EnhancementSettings,
    cache: Path,
    folder: Path,
    progress: Progress = lambda _what, _done, _of: None,
) -> Enhanced:
    """Predicts links of a domain and writes them, instead of what an earlier run said.

    Args:
        store: the graph.
        domain: name of an ontology file.
        model: the link predictor.
        settings: what to predict.
        cache: folder of snapshots.
        folder: where predictions are kept until they are written.
        progress: told how far it is; what it raises ends the run. Until the first write the graph is as it was; cut off
            later, the ledger has the document as incomplete. Either way the same run goes on from what is kept.

    Raises:
        OntologyError: no such domain.
        InputError: nothing to ask for: an empty domain, an unknown relation, too few facts to calibrate.
    """
    settings.check(store.ontology, domain)
    source = source_of(domain)
    whole = await load_snapshot(store, domain, cache)
    snapshot = await asyncio.to_thread(whole.without, {source})
    facts = triples_of(snapshot)
    if not len(facts):
        raise InputError(f"the domain {domain!r} has no facts", "domain")
    weights, content = _weights_key(model), _content_key(snapshot, facts)
    kept = folder / _key(weights, content, settings)
    allowed = AllowedTails(snapshot, store.ontology)
    predictions: dict[str, list[Prediction]] = {}
    calibration = {}
    for asked in settings.relations:
        enhancement = Enhancement(snapshot, facts, allowed, model, asked, settings)
        run = _Kept(kept / asked, progress)
        found = await asyncio.to_thread(run.calibration, enhancement)
        calibration[asked] = {name: getattr(found, name) for name in ("hidden", "found", "ece", "precision")}
        predictions[asked] = await asyncio.to_thread(run.predictions, enhancement, found)
    described = Source(
        source, "prediction", name=f"links predicted in {domain}", model="ULTRA", version=f"{weights} on {content}",
        document=f"enhancement:{domain}",
    )  # fmt: skip
    document = DerivedDocument(store, described.document, READER, [described])
    for asked, found_here in predictions.items():
        progress(f"Writing {asked}", 0, len(found_here))
        await document.write([_claim(prediction, described) for prediction in found_here])
    await document.end()
    await asyncio.to_thread(shutil.rmtree, kept, ignore_errors=True)
    written = {asked: len(found) for asked, found in predictions.items()}
    return Enhanced(described.document, source, snapshot.version, written, calibration)


def _claim(prediction: Prediction, source: Source) -> Claim:
    ends = prediction.subject, prediction.relation, prediction.object
    paths = {"paths": " | ".join(prediction.paths)} if prediction.paths else {}
    return Claim(*ends, source.id, prediction.belief, paths, source.document)


class _Kept:
    """Calibration and predictions of a relation, taken from files where they are there, else made and kept."""

    def __init__(self, folder: Path, progress: Progress) -> None:
        self._folder = folder
        self._progress = progress
        folder.mkdir(parents=True, exist_ok=True)

    def calibration(self, enhancement: Enhancement) -> Calibration:
        path = self._folder / "calibration.json"
        if path.exists():
            return Calibration.of_json(orjson.loads(path.read_bytes()))
        what = f"Calibrating {self._folder.name}"
        found = enhancement.calibrate(lambda done, of: self._progress(what, done, of))
        _write(path, asdict(found))
        return found

    def predictions(self, enhancement: Enhancement, calibration: Calibration) -> list[Prediction]:
        found: list[Prediction] = []
        parts = enhancement.heads.split(_PART)
        what = f"Predicting {self._folder.name}"
        for number, heads in enumerate(parts):
            path = self._folder / f"{number}.json"
            if path.exists():
                rows = orjson.loads(path.read_bytes())
                part = [Prediction(**row | {"paths": tuple(row["paths"])}) for row in rows]
            else:
                part = []
                for some in enhancement.predict(heads, calibration):
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


def _weights_key(model: LinkPredictor) -> str:
    key = hashlib.blake2b(digest_size=6)
    for tensor in model.state_dict().values():
        key.update(tensor.cpu().numpy().tobytes())
    return key.hexdigest()


def _content_key(snapshot: Snapshot, facts: Triples) -> str:
    """Of the facts that are read, wherever a graph keeps them; versions differ with what was written in between."""
    key = hashlib.blake2b(digest_size=6)
    for values in (facts.head, facts.relation, facts.tail):
        key.update(values.numpy().tobytes())
    key.update(snapshot.tables.entity_id.data.tobytes())
    return key.hexdigest()


def _key(weights: str, content: str, settings: EnhancementSettings) -> str:
    return hashlib.blake2b(repr((weights, content, settings)).encode(), digest_size=8).hexdigest()
