"""Publishes one message, as the documentation of the API shows it; arguments: the service's address, and a path
if not the documentation's."""
import base64
import json
import sys

import websocket

path = sys.argv[2] if len(sys.argv) > 2 else "/ws/v2/producer/persistent/public/default/my-topic"
ws = websocket.create_connection(sys.argv[1] + path)

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
