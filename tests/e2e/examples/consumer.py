"""Prints and acks whatever arrives, as the documentation of the API shows it; argument: the service's address."""
import base64
import json
import sys

import websocket

ws = websocket.create_connection(sys.argv[1] + "/ws/v2/consumer/persistent/public/default/my-topic/my-sub")
print("open", flush=True)

while True:
    msg = json.loads(ws.recv())
    if not msg:
        break

    print("received {} payload {}".format(json.dumps(msg), base64.b64decode(msg["payload"])), flush=True)

    ws.send(json.dumps({"messageId": msg["messageId"]}))

ws.close()
