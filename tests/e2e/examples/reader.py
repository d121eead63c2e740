"""Prints whatever arrives and asks for more, as the documentation of the API shows it; arguments: the service's address, and a path
if not the documentation's."""
import base64
import json
import sys

import websocket

path = sys.argv[2] if len(sys.argv) > 2 else "/ws/v2/reader/persistent/public/default/my-topic"
ws = websocket.create_connection(sys.argv[1] + path)
print("open", flush=True)

while True:
    msg = json.loads(ws.recv())
    if not msg:
        break

    print("received {} payload {}".format(json.dumps(msg), base64.b64decode(msg["payload"])), flush=True)

    ws.send(json.dumps({"messageId": msg["messageId"]}))

ws.close()
