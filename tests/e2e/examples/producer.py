"""Publishes one message, as the documentation of the API shows it; argument: the service's address."""
import base64
import json
import sys

import websocket

ws = websocket.create_connection(sys.argv[1] + "/ws/v2/producer/persistent/public/default/my-topic")

payload = base64.b64encode("Hello World".encode("UTF-8")).decode("UTF-8")

# The context is a number here on purpose.
ws.send(json.dumps({
    "payload": payload,
    "properties": {
        "key1": "value1",
        "key2": "value2",
    },
    "context": 5,
}))

response = json.loads(ws.recv())
if response["result"] == "ok":
    print("published", json.dumps(response))
else:
    print("failed", response)
ws.close()
