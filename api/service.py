"""The one application service: what Evigraph can do, for every face. Faces only translate."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, Unpack

import orjson
import structlog

from api.cypher_guard import run_guarded
from api.errors import BusyError, ForbiddenError, NotReadyError
from api.extraction import configure, notes_of
from api.meaning import Meaning
from api.outcome import Outcome, outcome, size
from api.settings import Settings
from ingestion.dead_letters import DeadLetter, count_letters, find_letter, list_letters
from ingestion.linkage import propose
from ingestion.pipeline import Progress, ingest
from ingestion.readers.base import READERS, description_of, get_reader
from ingestion.replay import ReplayReport, replay
from ingestion.runs import list_runs, retract_runs
from kg.conflicts import find_conflicts
from kg.errors import EvigraphError, InputError, NotFoundError
from kg.extras import needs_extra
from kg.ontology import Ontology
from kg.rdf import export_rdf
from kg.same import Merge, merges, possibly_same, reject
from kg.snapshot import Snapshot, load_snapshot
from kg.store import GraphStore, Retraction, open_store

if TYPE_CHECKING:
    from api.diagnosing import Diagnosing
    from api.forecasting import Forecasting
    from api.live import Live
    from api.pictures import PictureBoxes
    from api.routing import Routing
    from encoders.forecast.forecast_graph import Written
    from encoders.forecast.posted import Measured
    from encoders.graph.embed_graph import Embedded, Similar
    from encoders.graph.enhance_graph import Enhanced
    from encoders.graph.enhancement_settings import EnhancementSettings
    from encoders.graph.model import LinkPredictor
    from encoders.progress import Progress as LinkProgress
    from reasoning.diagnosis.annotations import PhenotypeAnnotations
    from reasoning.diagnosis.diagnose import Reasoner
    from reasoning.traffic.forecast_answer import ForecastAnswer
    from reasoning.traffic.scenes import SceneJudge

log = structlog.get_logger("service")

T = TypeVar("T")

_REFRESH_SHARE = 0.25
"""Share of the time that following a graph which changes all the time may take."""


class Trust(TypedDict, total=False):
    """What is said of a source.

    Attributes:
        level: reliability in 0…1 instead of its own; None is its own.
        quarantined: what it says is kept, but does not count.
    """

    level: float | None
    quarantined: bool


class Service:
    """Everything behind the faces; open it as a context manager, or keep it ready in the background (`keep_ready`)."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._store: GraphStore | None = None
        self._diagnosing: Diagnosing | None = None
        self._forecasting: Forecasting | None = None
        self._live: Live | None = None
        self._similar: Similar | None = None
        self._why_not_ready = "the graph is being opened"
        self._version = -1
        self._ready = asyncio.Event()
        self._look = asyncio.Event()
        self._keeps_ready = False
        self.meaning = Meaning(settings)
        self._loading = asyncio.Lock()
        self.on_version: Callable[[int], None] = lambda _: None

    async def __aenter__(self) -> Service:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def open(self) -> None:
        """Opens the graph.

        Raises:
            StoreUnavailableError: it can't be reached.
        """
        settings = self.settings
        password = settings.graph_password.get_secret_value() if settings.graph_password else None
        ontology = await asyncio.to_thread(Ontology.load)
        self._store = await open_store(settings.graph, ontology, user=settings.graph_user, password=password)

    async def close(self) -> None:
        """Closes the graph."""
        self.end_live()
        self._live = None
        if self._diagnosing is not None:
            self._diagnosing.close()
            self._diagnosing = None
        if self._store is not None:
            await self._store.close()
            self._store = None

    async def keep_ready(self) -> None:
        """Opens what is not open, and follows the changes that others make to the graph; ends when it is cancelled."""
        self._keeps_ready = True
        while True:
            started = time.monotonic()
            try:
                if self._store is None:
                    await self.open()
                await self._refresh()
            except EvigraphError as error:
                if str(error) != self._why_not_ready:
                    self._why_not_ready = str(error)
                    log.warning("not ready", reason=str(error))
            except Exception:
                self._why_not_ready = "an unexpected error, which the log shows"
                log.exception("the graph's changes could not be taken in")
            self._look.clear()
            pause = max(self.settings.refresh_s, (time.monotonic() - started) * (1 / _REFRESH_SHARE - 1))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._look.wait(), pause)

    def look_again(self) -> None:
        """Looks for changes of the graph now."""
        self._look.set()

    async def wait_ready(self) -> None:
        """Waits until questions are answered."""
        await self._ready.wait()

    def check_ready(self) -> int:
        """The version of the graph that answers are from.

        Raises:
            NotReadyError: there are none yet.
        """
        if not self._ready.is_set():
            raise NotReadyError(self._why_not_ready)
        return self._version

    async def _refresh(self) -> None:
        """Takes in what has changed since the last look; the last version answers until that is done."""
        if self._diagnosing is None:
            # Imported late, since most commands need neither LightGBM nor the snapshot.
            from api.diagnosing import Diagnosing

            self._diagnosing = Diagnosing(self.settings)
        version = await self._diagnosing.refresh(self.store)
        if self._ready.is_set() and version == self._version:
            return
        self._version = version
        self.on_version(version)
        self._ready.set()

    @property
    def store(self) -> GraphStore:
        """The open graph.

        Raises:
            NotReadyError: it is not open yet.
        """
        if self._store is None:
            raise NotReadyError(self._why_not_ready)
        return self._store

    # ---- traffic

    @cached_property
    def scenes(self) -> SceneJudge:
        """Judges scenes, by the rules that come along and those of `EVIGRAPH_RULES`.

        Raises:
            InputError: a file holds no rules or weights.
        """
        from reasoning.traffic.scenes import SceneJudge

        return SceneJudge.load(self.settings.rules, self.settings.scene_weights)

    @cached_property
    def pictures(self) -> PictureBoxes:
        """What models see in pictures."""
        from api.pictures import PictureBoxes

        return PictureBoxes(self.settings.detector)

    @cached_property
    def routing(self) -> Routing:
        """Routes in the graph's road network."""
        from api.routing import Routing

        return Routing(self.settings)

    # ---- diagnosis

    async def with_reasoner(self, work: Callable[[Reasoner], T]) -> T:
        """Runs work with the reasoner of the newest version that is ready, in a thread beside the event loop.

        Without `keep_ready` in the background, that of the graph's version now.

        Raises:
            NotReadyError: the server is still starting.
            ConflictError: the graph has no disease with findings.
            EvigraphError: as the work says.
        """
        if not self._keeps_ready:
            await self._refresh()
        self.check_ready()
        if self._diagnosing is None:
            raise NotReadyError(self._why_not_ready)
        return await self._diagnosing.run(work)

    async def annotations(self) -> PhenotypeAnnotations:
        """What the graph knows of diseases, to train a ranker on.

        Raises:
            ConflictError: the graph has no disease with findings.
        """
        from api.diagnosing import load_annotations

        return await load_annotations(self.settings, self.store)

    # ---- traffic

    async def forecasting(self) -> Forecasting:
        """What forecasts sensors.

        Raises:
            ConfigurationError: torch is not installed.
        """
        if self._forecasting is None:
            self._forecasting = await asyncio.to_thread(_forecasting, self.settings)
        return self._forecasting

    async def forecast(
        self,
        sensors: Sequence[str] | None,
        minutes: float | None,
        posted: Sequence[Measured] | None,
        *,
        write: bool = False,
    ) -> tuple[ForecastAnswer, Written | None]:
        """What sensors will measure; see `api.forecasting`.

        Raises:
            ConflictError: there is no forecaster, or the graph has no series of its sensors.
            NotFoundError: the forecaster has no such sensor; names the field.
            InputError: what is asked or posted makes no sense; names the field.
        """
        answered = await (await self.forecasting()).answer(self.store, sensors, minutes, posted, write=write)
        if write:
            self.look_again()
        return answered

    async def listen(self, sensors: Sequence[str] | None, minutes: float | None) -> tuple[list[str] | None, int]:
        """Makes `live` ready; returns the ids of the sensors asked for (None: all), and how many steps ahead.

        Raises:
            ConflictError: there is no forecaster, or the graph has nothing to forecast from.
            NotFoundError: the forecaster has no such sensor; names the field.
            InputError: so far ahead nothing is forecast; or torch is not installed.
        """
        forecasting = await self.forecasting()
        if self._live is None:
            from api.live import Live

            self._live = Live(forecasting, lambda: self.store, self.settings.live_s)
        await self._live.ready()
        return await forecasting.asked(sensors, minutes)

    @property
    def live(self) -> Live:
        """What happens now; see `api.live`.

        Raises:
            NotReadyError: nobody has asked for it by `listen`.
        """
        if self._live is None:
            raise NotReadyError(self._why_not_ready)
        return self._live

    def end_live(self) -> None:
        """Lets those go who listen to what happens."""
        if self._live is not None:
            self._live.end()

    # ---- looking things up

    async def entity(self, id_: str) -> dict[str, Any]:
        """One entity and what each source says of it.

        Raises:
            NotFoundError: there is none.
        """
        found = await self.store.entity(id_)
        if found is None:
            raise NotFoundError(f"no entity {id_!r}")
        return found

    async def neighbourhood(self, id_: str, relations: list[str] | None, limit: int, offset: int) -> dict[str, Any]:
        """The facts about an entity.

        Raises:
            NotFoundError: there is no such entity.
            OntologyError: a relation is unknown.
        """
        await self.entity(id_)
        facts = await self.store.neighbourhood(id_, relations=relations or None, limit=limit, offset=offset)
        return {"id": id_, "facts": facts}

    async def search(self, text: str, labels: list[str] | None = None, limit: int = 20) -> list[dict[str, Any]]:
        """Entities by id, name, synonym or words, and by meaning where the names are indexed by the model that is set.

        Raises:
            OntologyError: a label is unknown.
            InputError: the model can't be loaded.
        """
        return await self.meaning.search(self.store, text, labels or [], limit)

    async def similar(self, id_: str, limit: int, labels: list[str] | None, domain: str | None) -> dict[str, Any]:
        """Entities whose embeddings are most like that of one; see `encoders.graph.embed_graph`.

        Raises:
            NotFoundError: there is no such entity, or no embedding of it.
            OntologyError: a label is unknown.
            ConfigurationError: torch is not installed.
        """
        await self.entity(id_)
        if self._similar is None:
            self._similar = await asyncio.to_thread(_similar, self.settings)
        self.store.ontology.labels(labels or ())
        model, found = await self._similar.to(self.store, id_, limit, labels or [], domain)
        shown = [
            {
                "id": near.id,
                "name": near.name,
                "labels": list(self.store.ontology.labels(set(near.labels) & self.store.ontology.classes.keys())),
                "similarity": near.similarity,
            }
            for near in found
        ]
        return {"id": id_, "model": model, "results": shown}

    async def conflicts(self, relation: str | None = None, limit: int = 100, offset: int = 0) -> list[dict[str, Any]]:
        """What can't be true together; see `kg.conflicts`.

        Raises:
            OntologyError: the relation is unknown.
        """
        return await find_conflicts(self.store, relation, limit=limit, offset=offset)

    async def source(self, id_: str) -> dict[str, Any]:
        """One source.

        Raises:
            NotFoundError: there is none.
        """
        found = await self.store.source(id_)
        if found is None:
            raise NotFoundError(f"no source {id_!r}")
        return found

    async def sources(self, kind: str | None = None, limit: int = 1000, offset: int = 0) -> list[dict[str, Any]]:
        """Who says something."""
        return await self.store.sources(kind=kind, limit=limit, offset=offset)

    async def cypher(self, query: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Rows of a reading query.

        Raises:
            InputError: the query is refused, or wrong; a parameter is nothing that JSON has.
            QueryTimeoutError: it took too long.
        """
        try:
            orjson.dumps(parameters)
        except TypeError as error:
            raise InputError(str(error), "parameters") from error
        result = await run_guarded(self.store, query, parameters)
        return {"columns": result.columns, "rows": result.rows, "truncated": result.truncated or None}

    async def status(self) -> dict[str, Any]:
        """Counts, version, and which database it is."""
        store = self.store
        return {"graph": self.settings.graph, "store": store.dialect.name, **await store.counts()}

    async def digest(self) -> str:
        """One order-free hash of the whole content."""
        return await self.store.digest()

    async def export_rdf(self, file: Path) -> dict[str, Any]:
        """Writes the graph as Turtle (`.ttl`) or N-Quads (`.nq`); returns the counts of what it wrote.

        Raises:
            InputError: the extension is neither, or the file can't be written.
        """
        try:
            return asdict(await export_rdf(self.store, file))
        except OSError as error:
            raise InputError(f"can't be written: {error.strerror}", str(file)) from error

    # ---- changing the graph

    def allowed_path(self, path: str) -> Path:
        """A path that HTTP clients may ingest from, resolved.

        Raises:
            ForbiddenError: it is not inside an allowed folder; says the same whether or not it exists.
        """
        refused = ForbiddenError(f"{path}: not inside a folder of EVIGRAPH_INGESTION_FOLDERS; upload the file instead")
        try:
            resolved = Path(path).resolve()
        except (ValueError, OSError, RuntimeError) as error:  # a null byte, a name too long, links in a circle
            raise refused from error
        if not any(resolved.is_relative_to(folder.resolve()) for folder in self.settings.ingestion_folders):
            raise refused
        return resolved

    async def ingest(
        self,
        reader: str,
        path: Path | None = None,
        name: str | None = None,
        progress: Callable[[Progress], None] | None = None,
        cancel: asyncio.Event | None = None,
        *,
        dry_run: bool = False,
    ) -> Outcome:
        """Loads a file, a folder or the reader's own data; a dry run only tells what that would change.

        Raises:
            InputError: nothing to read; the reader is unknown.
            ConflictError: the graph holds another document under the same id.
            StoreUnavailableError: the database went away.
        """
        async with contextlib.AsyncExitStack() as stack:
            scratch = stack.enter_context(tempfile.TemporaryDirectory())
            if not dry_run:
                await stack.enter_async_context(self._loading)
            letters = Path(scratch) / "dead-letters.jsonl" if dry_run else self.settings.dead_letters
            before = size(letters)
            configured = await configure(get_reader(reader), self.settings, self.store, dry=dry_run)
            report = await ingest(
                self.store,
                configured,
                path,
                name=name,
                dead_letters=letters,
                progress=progress,
                cancel=cancel,
                dry_run=dry_run,
            )
            return outcome(report, before, notes_of(configured) if dry_run else ())

    async def dead_letters(self, document: str | None = None, limit: int = 100, offset: int = 0) -> list[DeadLetter]:
        """A page of the refused records, of all documents or of one."""
        return await asyncio.to_thread(list_letters, self.settings.dead_letters, document, limit, offset)

    async def dead_letter_counts(self, limit: int = 100, offset: int = 0) -> list[tuple[str, str, int]]:
        """A page of (document, reason, how many were refused), the most first."""
        return await asyncio.to_thread(count_letters, self.settings.dead_letters, limit, offset)

    async def dead_letter(self, id_: str) -> DeadLetter:
        """One refused record.

        Raises:
            NotFoundError: there is none.
        """
        return await asyncio.to_thread(find_letter, self.settings.dead_letters, id_)

    async def replay(self, documents: Sequence[str] = ()) -> ReplayReport:
        """Tries refused records again, of all documents or of these; see `ingestion.replay`.

        Raises:
            BusyError: an ingestion, or another replay, is running here: what it reads must not go with its last letter.
            InputError: the dead letters can't be read or written.
        """
        if self._loading.locked():
            raise BusyError("an ingestion or a replay is running; try again when it is through")
        async with self._loading:
            done = await replay(self.store, self.settings.dead_letters, documents, uploads=self.settings.uploads)
        self.look_again()
        return done

    async def retract(self, id_: str) -> Retraction:
        """Takes back all that a source, or a document, says.

        Raises:
            NotFoundError: there is none.
        """
        return await self.store.retract(id_)

    async def possibly_same(self, limit: int = 100, offset: int = 0) -> list[dict[str, Any]]:
        """Pairs of entities that may be one; see `kg.same`."""
        return await possibly_same(self.store, limit=limit, offset=offset)

    async def find_same(self, class_: str, likely: float) -> int:
        """Proposes pairs of entities of a class that may be one; see `ingestion.linkage`.

        Raises:
            OntologyError: there is no such class.
            InputError: its entities can't be compared.
            ConfigurationError: the extra `linkage` is not installed.
        """
        return await propose(self.store, class_, likely)

    async def merges(self) -> list[Merge]:
        """The merges in force."""
        return await merges(self.store)

    async def merge(self, id_: str, into: str, by: str) -> Merge:
        """Merges an entity into another; see `GraphStore.merge`.

        Raises:
            NotFoundError: one of them is not in the graph.
            ConflictError: one of them was merged already.
            InputError: they can't be merged.
        """
        return await self.store.merge(id_, into, by=by)

    async def unmerge(self, id_: str) -> Merge:
        """Takes a merge back.

        Raises:
            NotFoundError: there is none.
        """
        return await self.store.unmerge(id_)

    async def reject_same(self, id_: str, other: str, by: str) -> None:
        """Says that two entities are not one.

        Raises:
            NotFoundError: one of them is not in the graph.
            InputError: both are the same.
        """
        await reject(self.store, id_, other, by=by)

    async def trust(self, id_: str, **said: Unpack[Trust]) -> Retraction:
        """Says how far a source is trusted, and whether it counts; what is not said stays. See `GraphStore.trust`.

        Raises:
            NotFoundError: there is no such source.
            InputError: the level is outside 0…1.
        """
        known = await self.source(id_)
        done = await self.store.trust(
            id_,
            said.get("level", known["trust"]),
            quarantined=said.get("quarantined", bool(known["quarantined"])),
        )
        self.look_again()
        return done

    def check_enhancement(self, domain: str, settings: EnhancementSettings) -> None:
        """Whether the ontology has what is to be predicted; whether the graph has, the enhancement itself finds out.

        Raises:
            OntologyError: no such domain.
            InputError: it has no such relation, or none is asked.
        """
        settings.check(self.store.ontology, domain)

    async def enhance(
        self, domain: str, settings: EnhancementSettings, weights: Path | None, progress: LinkProgress
    ) -> Enhanced:
        """Predicts missing links of a domain and writes them; see `encoders.graph.enhance_graph`.

        Raises:
            OntologyError: no such domain.
            InputError: nothing to predict, or no such weights; or torch is not installed.
        """
        enhance_graph, model = await asyncio.to_thread(_link_prediction, weights)
        folder = self.settings.data / "enhancements"
        done = await enhance_graph(self.store, domain, model, settings, self.settings.cache, folder, progress)
        self.look_again()
        return done

    async def embed(self, domain: str, progress: LinkProgress, *, anew: bool = False) -> Embedded:
        """Embeds the entities of a domain; see `encoders.graph.embed_graph`.

        Raises:
            OntologyError: no such domain.
            InputError: it is empty, or what was kept is damaged; or torch is not installed.
        """
        with needs_extra("graph", "embeddings"):
            from encoders.graph.embed_graph import embed_graph
        folder, cache = self.settings.embeddings / domain, self.settings.cache
        return await embed_graph(self.store, domain, cache, folder, progress, anew=anew)

    async def snapshot(self, domain: str) -> Snapshot:
        """A domain of the graph as it is now.

        Raises:
            OntologyError: no such domain.
        """
        return await load_snapshot(self.store, domain, self.settings.cache)

    async def runs(self, limit: int = 1000, offset: int = 0) -> list[dict[str, Any]]:
        """A page of the ingestion runs whose documents are in the graph, the latest first."""
        return await list_runs(self.store, limit, offset)

    async def retract_runs(
        self, run: str | None, since: str | None = None, until: str | None = None
    ) -> tuple[list[str], list[str]]:
        """Takes back the documents of a run, or of a time; see `ingestion.runs`.

        Raises:
            InputError: neither a run nor a time is given, or a time is none; or streams are all that was found.
            NotFoundError: the ledger has no such document.
        """
        done = await retract_runs(self.store, run, since, until)
        self.look_again()
        return done

    @staticmethod
    def readers() -> list[dict[str, Any]]:
        """What each reader reads, how its files' names end, and an example."""
        readers = (get_reader(name) for name in sorted(READERS))
        return [
            {
                "name": r.name,
                "version": r.version,
                "description": description_of(r),
                "extensions": list(r.extensions),
                "example": r.example,
            }
            for r in readers
        ]


def _link_prediction(weights: Path | None) -> tuple[Callable[..., Awaitable[Enhanced]], LinkPredictor]:
    """How links are predicted, and the model; importing torch takes seconds, too.

    Raises:
        InputError: no such weights, or torch is not installed.
    """
    with needs_extra("graph", "predicting links"):
        from encoders.graph.enhance_graph import enhance_graph
        from encoders.graph.predictor import load_predictor
    return enhance_graph, load_predictor(weights)


def _forecasting(settings: Settings) -> Forecasting:
    """Importing torch takes seconds.

    Raises:
        ConfigurationError: torch is not installed.
    """
    with needs_extra("graph", "forecasting"):
        from api.forecasting import Forecasting
    return Forecasting(settings)


def _similar(settings: Settings) -> Similar:
    """Importing torch takes seconds.

    Raises:
        ConfigurationError: torch is not installed.
    """
    with needs_extra("graph", "similar entities"):
        from encoders.graph.embed_graph import Similar
    return Similar(settings.embeddings, settings.cache)
