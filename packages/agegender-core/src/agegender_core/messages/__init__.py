"""Messages to other programs about the people of a stream: over MQTT, and as HTTP requests (webhooks).

Nothing here connects to anything before an `Outbox` is started.
"""

from .mqtt import Mqtt
from .outbox import Carrier, Link, Outbox, RefusedError, UnreachableError
from .people import EVENTS, MessageSink
from .webhook import Webhook

__all__ = ["EVENTS", "Carrier", "Link", "MessageSink", "Mqtt", "Outbox", "RefusedError", "UnreachableError", "Webhook"]
