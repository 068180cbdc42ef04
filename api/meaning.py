"""Search by words, and by meaning where names are indexed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from api.settings import Settings
from kg.errors import ConfigurationError
from kg.extras import needs_extra
from kg.store import GraphStore

if TYPE_CHECKING:
    from encoders.text import TextEncoder
    from encoders.text_index import TextIndexed


class Meaning:
    """Loads the model of texts when it is first needed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._encoder: TextEncoder | None = None
        self._lock = asyncio.Lock()

    async def search(self, store: GraphStore, text: str, labels: list[str], limit: int) -> list[dict[str, Any]]:
        """Entities, the best first; see `GraphStore.search` and `encoders.text_index.search_by_meaning`.

        Raises:
            OntologyError: a label is unknown.
            InputError: the model can't be loaded.
        """
        if self._settings.text_model is not None:
            encoder = await self._loaded()
            from encoders.text_index import indexed_by, search_by_meaning

            if (indexed_by(self._settings.embeddings) or {}).get("model") == encoder.name:
                return await search_by_meaning(store, encoder, text, labels, limit)
        return await store.search(text, labels=labels or None, limit=limit)

    async def index(self, store: GraphStore, progress: Callable[[str, int, int], None], *, anew: bool) -> TextIndexed:
        """Gives every named entity its vector; see `encoders.text_index.index_texts`.

        Raises:
            ConfigurationError: no model is set.
            InputError: it can't be loaded.
        """
        encoder = await self._loaded()
        from encoders.text_index import index_texts

        return await index_texts(store, encoder, self._settings.embeddings, progress, anew=anew)

    async def _loaded(self) -> TextEncoder:
        if self._settings.text_model is None:
            raise ConfigurationError("no model of texts is set: EVIGRAPH_TEXT_MODEL names one")
        async with self._lock:
            if self._encoder is None:
                with needs_extra("models", "search by meaning"):
                    from encoders.text import load_text_encoder
                self._encoder = await asyncio.to_thread(load_text_encoder, self._settings.text_model)
        return self._encoder
