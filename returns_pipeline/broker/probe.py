"""Whether the broker takes messages now: one message is sent, received and acknowledged."""

from typing import Any

from kombu import Connection

#: A queue that no worker serves.
_QUEUE = "returns-pipeline.probe"
_KEPT_SECONDS = 60


def probe(connection: Connection) -> None:
    """Send, receive and acknowledge a message of a queue that no worker serves. Some ten short commands.

    A full or read-only Redis still replies to a read, so only a write shows that it takes messages. Raises
    what kombu and redis-py raise.
    """
    channel: Any = connection.default_channel
    channel.basic_publish(channel.prepare_message("probe"), exchange="", routing_key=_QUEUE)
    # If this process ends here, nothing stays behind.
    channel.client.expire(_QUEUE, _KEPT_SECONDS)
    message = channel.basic_get(_QUEUE)
    # Another probe may have received it.
    if message is not None:
        channel.basic_ack(message.delivery_tag)
