"""Of two wrong parameters the one is named that is looked at first: every pair of every endpoint."""

from __future__ import annotations

from itertools import combinations
from urllib.parse import urlencode

from ..catalogue import scenario
from ..stage import Stage
from .paths import PUBLIC, V2


def pairs(name: str, kind: str, wrong: dict[str, str], **always: str) -> None:
    """Registers a scenario that asks with every two of these."""
    @scenario(f"parameters/order-{name}", "order of checks")
    def asks(stage: Stage) -> None:
        path = f"{V2}/{kind}/{PUBLIC}/{stage.topic()}" + ("/sub" if kind == "consumer" else "")
        for one, other in combinations(wrong.items(), 2):
            lines, stage.transcript.lines = stage.transcript.lines, []
            stage.request(f"{path}?{urlencode([*always.items(), one, other])}", upgrade=True)
            told = [line.value for line in stage.transcript.lines if line.field in ("http.status", "http.message")]
            stage.transcript.lines = lines
            stage.note(f"{one[0]} and {other[0]}", told[-1])


pairs("producer-words", "producer", {
    "producerName": " ", "initialSequenceId": "x", "hashingScheme": "x", "sendTimeoutMillis": "x", "messageRoutingMode": "x", "batchingMaxMessages": "x",
    "maxPendingMessages": "x", "batchingMaxPublishDelay": "x", "compressionType": "x", "encryptionKeys": "a",
}, batchingEnabled="true")
pairs("producer-bounds", "producer", {
    "producerName": "", "initialSequenceId": "", "hashingScheme": "", "sendTimeoutMillis": "-1", "messageRoutingMode": "", "maxPendingMessages": "-1",
    "batchingMaxPublishDelay": "0", "compressionType": "", "encryptionKeys": "",
}, batchingEnabled="true")
pairs("consumer-words", "consumer", {
    "ackTimeoutMillis": "x", "subscriptionType": "x", "subscriptionMode": "x", "subscriptionInitialPosition": "x", "receiverQueueSize": "x", "consumerName": " ",
    "priorityLevel": "x", "negativeAckRedeliveryDelay": "x", "maxRedeliverCount": "x", "deadLetterTopic": "dead", "pullMode": "x", "cryptoFailureAction": "x",
})
pairs("consumer-bounds", "consumer", {
    "ackTimeoutMillis": "5", "subscriptionType": "", "subscriptionMode": "", "subscriptionInitialPosition": "", "receiverQueueSize": "-1", "consumerName": "",
    "priorityLevel": "-1", "negativeAckRedeliveryDelay": "-1", "maxRedeliverCount": "0", "deadLetterTopic": "",
})
pairs("reader", "reader", {"receiverQueueSize": "x", "messageId": "%", "readerName": " ", "cryptoFailureAction": "x"})
