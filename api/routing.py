"""Routes in the graph's road network, kept in step with the graph."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from api.settings import Settings
from kg.snapshot import Snapshot, load_snapshot, refresh_snapshot
from kg.store import GraphStore
from reasoning.traffic.expected_speed import expected_speed, mean_speed
from reasoning.traffic.predicted_speed import predicted_speeds
from reasoning.traffic.road_network import RoadNetwork, network_of_snapshot
from reasoning.traffic.route_answer import KnownSpeed, RouteAnswer, RoutePlanner, RouteQuestion


class Routing:
    """The planner of the newest version of the graph, and the speeds that it has observed and predicts."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._snapshot: Snapshot | None = None
        self._planner: RoutePlanner | None = None
        self._observed: list[KnownSpeed] = []
        self._predicted: list[KnownSpeed] = []
        self._lock = asyncio.Lock()

    async def answer(
        self, store: GraphStore, question: RouteQuestion, *, observed: bool = True, predicted: bool = True
    ) -> RouteAnswer:
        """Routes, over observed speeds, before which go predicted ones at their times, and those of the question first.

        Raises:
            ConflictError: the graph has no road segments.
            InputError: the question makes no sense; names the field.
            NotFoundError: a segment is unknown; names the field.
        """
        async with self._lock:
            planner = await self._follow(store)
        speeds = [*(self._observed if observed else ()), *(self._predicted if predicted else ()), *question.speeds]
        return await asyncio.to_thread(planner.answer, replace(question, speeds=speeds))

    async def network(self, store: GraphStore) -> RoadNetwork:
        """The road network of the graph's version now.

        Raises:
            ConflictError: the graph has no road segments.
        """
        async with self._lock:
            return (await self._follow(store)).network

    async def _follow(self, store: GraphStore) -> RoutePlanner:
        version = await store.version()
        if self._snapshot is None or self._snapshot.version != version or self._planner is None:
            cache = self._settings.cache
            if self._snapshot is None:
                self._snapshot = await load_snapshot(store, "traffic", cache)
            else:
                self._snapshot = await refresh_snapshot(self._snapshot, store, cache)
            network = await asyncio.to_thread(network_of_snapshot, self._snapshot)
            self._planner = await asyncio.to_thread(RoutePlanner, network)
            self._observed = await asyncio.to_thread(_observed, self._snapshot, network)
            self._predicted = await asyncio.to_thread(predicted_speeds, self._snapshot, network)
        return self._planner


def _observed(snapshot: Snapshot, network: RoadNetwork) -> list[KnownSpeed]:
    """The speed to reckon with on each segment that was observed: the usual one, and in part the last."""
    facts = snapshot.facts("OBSERVES")
    seen: dict[str, list[tuple[float, float, float, KnownSpeed]]] = {}
    for number, (subject, object_) in enumerate(zip(facts.subject.tolist(), facts.object.tolist(), strict=True)):
        segment = snapshot.id(object_)
        if segment not in network.places:
            continue
        properties = snapshot.properties(subject)
        speed = properties.get("speed")
        if speed is None or float(speed) < 0:
            continue
        time, weight = float(properties.get("end_seconds", 0.0)), float(properties.get("sampled_seconds", 1.0))
        belief, source = float(facts.belief[number]), snapshot.id(subject)
        known = KnownSpeed(segment, float(speed), None, None, "observed", source, belief)
        seen.setdefault(segment, []).append((time, weight, float(speed), known))
    expected = []
    for rows in seen.values():
        last = max(rows, key=lambda row: row[0])[3]
        usual = mean_speed((speed, weight) for _, weight, speed, _ in rows)
        speed = last.speed if usual is None else expected_speed(usual, last.speed)
        expected.append(replace(last, speed=speed))
    return expected
