"""Where the messages of ``agegender stream`` go."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .errors import UserError

if TYPE_CHECKING:
    from agegender_core.messages import MessageSink


def open_messages(mqtt: Sequence[str], webhooks: Sequence[str], every: float | None) -> MessageSink | None:
    """What --mqtt and --webhook ask for; ``None`` where they are not given. Nothing is connected yet.

    Raises:
        UserError: an address can't be used, or a package is missing.
    """
    if not mqtt and not webhooks:
        if every is not None:
            raise UserError("--message-every is for --mqtt and --webhook", hint="add --webhook URL")
        return None
    from agegender_core.messages import MessageSink, Mqtt, Outbox, Webhook

    carriers: list[Mqtt | Webhook] = []
    for url in mqtt:
        try:
            carriers.append(Mqtt(url, os.environ.get("AGEGENDER_MQTT_PASSWORD")))
        except ModuleNotFoundError as error:
            raise UserError(
                f"--mqtt needs a package that is not installed: {error.name}",
                hint='pip install "agegender-core[mqtt]"',
            ) from None
        except ValueError as error:
            raise UserError(f"--mqtt: {error}", hint="as in --mqtt mqtt://broker:1883/door") from None
    for url in webhooks:
        try:
            carriers.append(Webhook(url, os.environ.get("AGEGENDER_WEBHOOK_TOKEN")))
        except ValueError as error:
            # Whatever stands in the address may be secret.
            raise UserError(f"--webhook: {error}", hint="as in --webhook https://example.org/people") from None
    outboxes = [Outbox(carrier) for carrier in carriers]
    known: Counter[str] = Counter()
    for outbox in outboxes:
        known[outbox.name] += 1
        if known[outbox.name] > 1:  # Prometheus takes no two figures of one name.
            outbox.name += f" ({known[outbox.name]})"
    return MessageSink(outboxes, every)
