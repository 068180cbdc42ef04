"""Message brokers by URL: NATS JetStream, Kafka, RabbitMQ, Redis streams, MQTT; each delivers at least once.

A broker keeps a message until it is acknowledged; after a crash, of theirs or of ours, it sends again what was not.
"""

from __future__ import annotations

import asyncio
import re
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import orjson

from kg.errors import InputError, words_of
from kg.extras import needs_extra

ID_BYTES = 8
_SECRET = re.compile(r"((?:pass\w*|secret|token|\w*key)=)[^&#]*", re.IGNORECASE)
_START_S = 30.0
_SESSION_S = 7 * 24 * 3600
"""How long an MQTT broker keeps messages for a consumer that is away."""


@dataclass(frozen=True, slots=True)
class Received:
    """One message.

    Attributes:
        id: tells it from others: a hash of where the broker has it, as far as it says so, and of its body.
        topic: its own, where the subscription has wildcards.
        sent: seconds since 1970, if the broker says so.
        raw: the client's own object.
    """

    id: bytes
    body: bytes
    topic: str
    sent: float | None
    raw: Any


Take = Callable[[Received], Awaitable[None]]


class Feed(ABC):
    """One subscription.

    Args:
        url: of the broker, with credentials if it needs them.
        topic: topic, subject, queue or stream key, as the broker calls it.
        group: name under which the broker keeps how far we are.
        buffer: messages that may be with us without being acknowledged.
        resend_s: after so long NATS and Redis send again what was not acknowledged.
    """

    broker: Any

    def __init__(self, url: str, topic: str, *, group: str, buffer: int, resend_s: float) -> None:
        self.url = without_credentials(url)
        self.topic = topic
        self._url = url
        self._group = group
        self._buffer = buffer
        self._resend_s = resend_s
        self.subscribers: list[Any] = []
        self.declare()

    @abstractmethod
    def declare(self) -> None:
        """Makes the broker and its subscribers; nothing connects yet."""

    @abstractmethod
    def received(self, message: Any) -> Received:  # noqa: ANN401 (FastStream's message of this broker)
        """A message as we take it."""

    async def acknowledge(self, messages: Sequence[Received]) -> None:
        """Tells the broker that it need not send these again."""
        for message in messages:
            await message.raw.ack()

    async def acknowledge_again(self, message: Received) -> None:
        """The same for one that is sent again although it was acknowledged."""
        await message.raw.ack()

    async def start(self, take: Take) -> None:
        """Begins to deliver: each message is awaited to be taken before the next.

        Raises:
            InputError: the broker can't be reached, or refuses.
        """

        async def handle(message: Any) -> None:  # noqa: ANN401
            await take(self.received(message))

        for subscriber in self.subscribers:
            subscriber(handle)
        try:
            async with asyncio.timeout(_START_S):
                await self.broker.start()
        except TimeoutError:
            raise InputError(f"no answer within {_START_S:g} s", self.url) from None
        except Exception as error:  # each client library has errors of its own
            raise InputError(f"can't subscribe to {self.topic}: {words_of(error)}", self.url) from error

    async def stop(self) -> None:
        """Ends the subscription and the connection."""
        await self.broker.stop()


def _options() -> dict[str, Any]:
    """What all brokers have in common: we acknowledge ourselves, and take messages as they are."""
    from faststream import AckPolicy

    async def whole(message: Any) -> Any:  # noqa: ANN401
        return message

    return {
        "ack_policy": AckPolicy.MANUAL,
        "apply_types": False,
        "decoder": whole,
        "logger": None,
        "graceful_timeout": None,
        "id_generator": str,  # ids of messages that have none: we make our own, and theirs cost a tenth of the time
    }


def _id(where: str, body: bytes) -> bytes:
    return blake2b(where.encode() + b"\0" + body, digest_size=ID_BYTES).digest()


class NatsFeed(Feed):
    """A subject of a JetStream stream, by a durable consumer. The URL's path names the stream; else we make one."""

    def declare(self) -> None:
        """See `Feed`."""
        from faststream.nats import ConsumerConfig, DeliverPolicy, JStream, NatsBroker

        parts = urlsplit(self._url)
        server = urlunsplit((parts.scheme, parts.netloc, "", "", ""))
        self.broker = NatsBroker(server, max_reconnect_attempts=-1, reconnect_time_wait=1, **_options())
        given = parts.path.strip("/")
        stream = JStream(given or _name(self.topic), declare=not given)
        config = ConsumerConfig(max_ack_pending=self._buffer, ack_wait=self._resend_s)
        consumer = f"{_name(self._group)}-{_name(self.topic)}"  # the name of a queue group makes it durable
        subscriber = self.broker.subscriber(
            self.topic, consumer, stream=stream, config=config, deliver_policy=DeliverPolicy.ALL
        )
        self.subscribers = [subscriber]

    def received(self, message: Any) -> Received:  # noqa: ANN401
        """See `Feed`."""
        told = message.raw_message.metadata
        sent = told.timestamp.timestamp()
        where = f"{told.sequence.stream}/{sent}"
        return Received(_id(where, message.body), message.body, message.raw_message.subject, sent, message)


class KafkaFeed(Feed):
    """A topic, by a consumer group: `kafka://host:9092,host:9092`; `kafkas` with TLS."""

    def declare(self) -> None:
        """See `Feed`."""
        from faststream.kafka import KafkaBroker
        from faststream.security import BaseSecurity, SASLPlaintext

        parts = urlsplit(self._url)
        tls = parts.scheme == "kafkas"
        security = (
            SASLPlaintext(parts.username, parts.password or "", use_ssl=tls)
            if parts.username
            else BaseSecurity(use_ssl=tls)
        )
        servers = parts.netloc.rpartition("@")[2].split(",")
        self.broker = KafkaBroker(servers, security=security, **_options())
        self.subscribers = [
            self.broker.subscriber(self.topic, group_id=self._group, auto_offset_reset="earliest", fetch_max_wait_ms=50)
        ]

    def received(self, message: Any) -> Received:  # noqa: ANN401
        """See `Feed`."""
        record = message.raw_message
        where = f"{record.partition}/{record.offset}/{record.timestamp}"
        return Received(_id(where, message.body), message.body, record.topic, record.timestamp / 1000, message)

    async def acknowledge(self, messages: Sequence[Received]) -> None:
        """Commits the offsets behind these messages, and no further: the client has more of them already."""
        from faststream.kafka import TopicPartition

        behind: dict[Any, int] = {}
        for message in messages:
            record = message.raw.raw_message
            partition = TopicPartition(record.topic, record.partition)
            behind[partition] = max(behind.get(partition, 0), record.offset + 1)
        await messages[-1].raw.consumer.commit(behind)

    async def acknowledge_again(self, message: Received) -> None:
        """Nothing: offsets before it may not be ready to be committed; the next commit covers it."""


class RabbitFeed(Feed):
    """A durable queue."""

    def declare(self) -> None:
        """See `Feed`."""
        from faststream.rabbit import Channel, RabbitBroker, RabbitQueue

        self.broker = RabbitBroker(self._url, default_channel=Channel(prefetch_count=self._buffer), **_options())
        self.subscribers = [self.broker.subscriber(RabbitQueue(self.topic, durable=True))]

    def received(self, message: Any) -> Received:  # noqa: ANN401
        """A message's own topic is its routing key: a queue may be bound to many."""
        raw = message.raw_message
        topic = raw.routing_key or self.topic
        sent = raw.timestamp.timestamp() if raw.timestamp else None
        return Received(_id(topic, message.body), message.body, topic, sent, message)


class RedisFeed(Feed):
    """A stream, by a consumer group: new messages, and those that a consumer left behind."""

    def declare(self) -> None:
        """See `Feed`."""
        from faststream.redis import RedisBroker, StreamSub

        self.broker = RedisBroker(self._url, **_options())
        group = self._group
        fresh = StreamSub(self.topic, group=group, consumer=group, last_id=">", max_records=500, polling_interval=100)
        idle = int(self._resend_s * 1000)
        left = StreamSub(self.topic, group=group, consumer=group, min_idle_time=idle, polling_interval=1000)
        self.subscribers = [self.broker.subscriber(stream=stream) for stream in (fresh, left)]

    def received(self, message: Any) -> Received:  # noqa: ANN401
        """The body is the value of the entry's only field, or else the entry as a JSON object."""
        raw = message.raw_message
        id_, fields = raw["message_ids"][0].decode(), raw["data"]
        if b"__data__" in fields:  # FastStream's own publisher
            body = message.body
        elif len(fields) == 1:
            body = next(iter(fields.values()))
        else:
            body = orjson.dumps({k.decode(): v.decode("utf-8", "replace") for k, v in fields.items()})
        return Received(_id(id_, body), body, self.topic, int(id_.partition("-")[0]) / 1000, message)


class MqttFeed(Feed):
    """A topic at QoS 1, in a session that the broker keeps."""

    def declare(self) -> None:
        """See `Feed`."""
        from faststream.mqtt import MQTTBroker, QoS

        self.broker = MQTTBroker(
            self._url,
            client_id=f"evigraph-{self._group}",
            clean_session=False,
            session_expiry_interval=_SESSION_S,
            receive_maximum=min(self._buffer, 65535),
            **_options(),
        )
        self.subscribers = [self.broker.subscriber(self.topic, qos=QoS.AT_LEAST_ONCE)]

    def received(self, message: Any) -> Received:  # noqa: ANN401
        """See `Feed`."""
        topic = message.raw_message.topic
        return Received(_id(topic, message.body), message.body, topic, None, message)


FEEDS: dict[str, type[Feed]] = {
    "nats": NatsFeed,
    "tls": NatsFeed,
    "kafka": KafkaFeed,
    "kafkas": KafkaFeed,
    "amqp": RabbitFeed,
    "amqps": RabbitFeed,
    "redis": RedisFeed,
    "rediss": RedisFeed,
    "mqtt": MqttFeed,
    "mqtts": MqttFeed,
}
"""By the URL's scheme."""


def open_feed(url: str, topic: str, *, group: str = "evigraph", buffer: int = 4000, resend_s: float = 10.0) -> Feed:
    """The subscription of a topic at the broker of a URL; see `Feed`.

    Raises:
        InputError: the URL names no broker that we know, or makes no sense.
        ConfigurationError: the extra `stream` is not installed.
    """
    kind = FEEDS.get(urlsplit(url).scheme)
    if kind is None or not urlsplit(url).netloc:
        known = ", ".join(f"{scheme}://" for scheme in FEEDS)
        raise InputError(f"not the URL of a broker; known: {known}", without_credentials(url))
    try:
        with needs_extra("stream", f"{urlsplit(url).scheme}://"):
            return kind(url, topic, group=group, buffer=buffer, resend_s=resend_s)
    except ValueError as error:
        raise InputError(str(error), without_credentials(url)) from error


def without_credentials(url: str) -> str:
    """The URL as it may be logged; a password may have been written into it with any character unescaped."""
    return _SECRET.sub(r"\1…", re.sub(r"//[^?#]*@", "//", url))


def _name(text: str) -> str:
    """A name as JetStream takes them."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", text)
