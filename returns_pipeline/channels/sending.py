"""Sends a notice to one address, whatever its channel."""

from returns_pipeline.channels import apprise_address, webhook
from returns_pipeline.channels.addresses import WEBHOOK, Address
from returns_pipeline.records.notices import Answer, StoredNotice


def send(address: Address, notice: StoredNotice) -> Answer:
    """Send a notice; return what the receiver answered, also if there was no answer."""
    if address.recipient.channel == WEBHOOK:
        return webhook.send(address, notice)
    return apprise_address.send(address, notice)
