"""Sessions over Bolt: read streams, writing transactions that are retried, and errors in the words of `kg.errors`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping
from typing import Any, TypeVar

import stamina
from neo4j import READ_ACCESS, AsyncDriver, AsyncGraphDatabase, AsyncTransaction, Record
from neo4j.exceptions import (
    AuthError,
    ClientError,
    DatabaseError,
    DriverError,
    Neo4jError,
    ServiceUnavailable,
    SessionExpired,
)

from kg.dialect import Dialect
from kg.errors import InputError, QueryTimeoutError, StoreUnavailableError

T = TypeVar("T")
Rows = list[dict[str, Any]]

CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 30.0
GRACE_S = 0.5
"""How much longer than the database we wait for it to stop a query."""
SCAN_TIMEOUT_S = 3600.0
WRITE_TIMEOUT_S = 3600.0
RETRY_S = 30.0
"""How long a write is retried while the database is away; reads are tried again a few times."""

_TIMED_OUT = ("TransactionTimedOut", "TransactionTimedOutClientConfiguration", "Terminated")
_CONFLICTS = ("ConcurrentModification", "NeedRetry", "DuplicatedKey", "ConstraintValidationFailed")
"""Words in ArcadeDB's errors where two writers met: its locks are optimistic, Neo4j's writers wait for each other."""


class Bolt:
    """One database over one driver.

    Args:
        connect: gives (URI, user, password); asked again when the connection is lost, so that it may revive a server.
        dialect: which database it is.
    """

    def __init__(self, connect: Callable[[], Awaitable[tuple[str, str, str]]], dialect: Dialect) -> None:
        self._connect = connect
        self._dialect = dialect
        self._database = dialect.database
        self._driver: AsyncDriver | None = None
        self.uri = ""

    async def open(self) -> None:
        """Connects.

        Raises:
            StoreUnavailableError: nobody answers, or not as a database, or it refuses the credentials.
        """
        uri, user, password = await self._connect()
        if self._driver is not None:
            await self._driver.close()
        self.uri = uri
        try:
            self._driver = AsyncGraphDatabase.driver(
                uri,
                auth=(user, password),
                connection_timeout=CONNECT_TIMEOUT_S,
                notifications_min_severity="OFF",
                max_transaction_retry_time=0,
            )
            await self._driver.verify_connectivity()
        except (DriverError, Neo4jError, OSError, ValueError) as error:
            await self.close()
            raise self._unavailable(error) from error

    async def close(self) -> None:
        """Closes all connections."""
        if self._driver is not None:
            await self._driver.close()
            self._driver = None

    async def read(
        self, query: str, parameters: Mapping[str, Any] | None = None, timeout_s: float = READ_TIMEOUT_S
    ) -> AsyncIterator[dict[str, Any]]:
        """Streams the records of a reading query, in a read session that the server stops after the timeout.

        Raises:
            InputError: the database refuses the query.
            QueryTimeoutError: it took too long.
            StoreUnavailableError: the database went away.
        """
        async with contextlib.aclosing(self._records(query, parameters, timeout_s, 1000)) as parts:
            async for records in parts:
                for record in records:
                    yield _row(record)

    async def batches(
        self, query: str, parameters: Mapping[str, Any] | None = None, size: int = 5000
    ) -> AsyncIterator[list[tuple[Any, ...]]]:
        """The same as tuples, many at a time, for scans."""
        async with contextlib.aclosing(self._records(query, parameters, SCAN_TIMEOUT_S, size)) as parts:
            async for records in parts:
                yield [tuple(record.values()) for record in records]

    async def rows(self, query: str, parameters: Mapping[str, Any] | None = None) -> Rows:
        """All records of a reading query; tried again on new connections, a few times, if the connection was lost."""
        async for attempt in stamina.retry_context(
            on=StoreUnavailableError, attempts=4, wait_initial=0.2, wait_max=2.0, wait_jitter=0.2
        ):
            with attempt:
                if attempt.num > 1:
                    await self.open()
                async with contextlib.aclosing(self._records_once(query, parameters, READ_TIMEOUT_S, 1000)) as parts:
                    return [_row(record) async for records in parts for record in records]
        raise AssertionError("a retry loop ends by return or raise")

    async def write(self, work: Callable[[AsyncTransaction], Awaitable[T]]) -> T:
        """Runs the work in one transaction; all of it again where the database was away or another writer was faster.

        Raises:
            StoreUnavailableError: the database stayed away.
        """
        try:
            async for attempt in stamina.retry_context(
                on=_is_retryable, attempts=None, timeout=RETRY_S, wait_initial=0.05, wait_max=2.0, wait_jitter=0.2
            ):
                with attempt:
                    if attempt.num > 1 and not await self._answers():
                        await self.open()
                    async with (
                        self._need_driver().session(database=self._database) as session,
                        await session.begin_transaction(timeout=WRITE_TIMEOUT_S) as transaction,
                    ):
                        done = await work(transaction)
                        await transaction.commit()
                        return done
        except (DriverError, Neo4jError, OSError) as error:
            if isinstance(error, ClientError | DatabaseError) and not _is_retryable(error):
                raise
            raise self._unavailable(error) from error
        raise AssertionError("a retry loop ends by return or raise")

    async def run(self, query: str) -> None:
        """One statement in a transaction of its own: schema."""
        with self._translated():
            async with self._need_driver().session(database=self._database) as session:
                await (await session.run(query)).consume()

    async def _answers(self) -> bool:
        try:
            await self._need_driver().verify_connectivity()
        except (DriverError, Neo4jError, OSError, StoreUnavailableError):
            return False
        return True

    def _need_driver(self) -> AsyncDriver:
        if self._driver is None:
            raise StoreUnavailableError(f"{self.uri or 'the graph'}: not connected")
        return self._driver

    async def _records(
        self, query: str, parameters: Mapping[str, Any] | None, timeout_s: float, size: int
    ) -> AsyncGenerator[list[Record]]:
        """Records, so many at a time; asked for once more, on a new connection, if none came from a lost one."""
        for last in (False, True):
            begun = False
            try:
                async with contextlib.aclosing(self._records_once(query, parameters, timeout_s, size)) as parts:
                    async for records in parts:
                        begun = True
                        yield records
                return
            except StoreUnavailableError:
                if begun or last:
                    raise
            if not await self._answers():
                await self.open()

    async def _records_once(
        self, query: str, parameters: Mapping[str, Any] | None, timeout_s: float, size: int
    ) -> AsyncGenerator[list[Record]]:
        """Records, so many at a time. We watch the clock, too, in case that the database does not stop the query."""
        give_up = asyncio.get_running_loop().time() + timeout_s + GRACE_S
        with self._translated():
            async with (
                self._need_driver().session(
                    database=self._database, default_access_mode=READ_ACCESS, fetch_size=size
                ) as session,
                await session.begin_transaction(timeout=timeout_s) as transaction,
            ):
                async with asyncio.timeout_at(give_up):
                    result = await transaction.run(self._dialect.timed(query, timeout_s), dict(parameters or {}))
                    records = await result.fetch(size)
                while records:
                    yield records
                    async with asyncio.timeout_at(give_up):
                        records = await result.fetch(size)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except TimeoutError as error:
            raise QueryTimeoutError("the query took too long and was stopped") from error
        except (ServiceUnavailable, SessionExpired, AuthError, OSError) as error:
            raise self._unavailable(error) from error
        except Neo4jError as error:
            if (error.code or "").rpartition(".")[2] in _TIMED_OUT:
                raise QueryTimeoutError("the query took too long and was stopped") from error
            if error.is_retryable():
                raise self._unavailable(error) from error
            raise InputError(_reason(error), "query") from error

    def _unavailable(self, error: Exception) -> StoreUnavailableError:
        return StoreUnavailableError(f"graph database {self.uri}: {_reason(error)}")


def _row(record: Record) -> dict[str, Any]:
    return dict(zip(record.keys(), record.values(), strict=True))


def _is_retryable(error: Exception) -> bool:
    if isinstance(error, StoreUnavailableError | ServiceUnavailable | SessionExpired | OSError):
        return True
    if isinstance(error, Neo4jError):
        return error.is_retryable() or any(word in str(error) for word in _CONFLICTS)
    return False


def _reason(error: Exception) -> str:
    """The first line of an error's own text."""
    text = (error.message if isinstance(error, Neo4jError) else str(error)) or type(error).__name__
    return text.strip().splitlines()[0]
