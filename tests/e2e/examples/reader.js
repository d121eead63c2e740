// Prints whatever arrives and asks for more, as the documentation of the API shows it; arguments: the service's address, and a path
// if not the documentation's.
const WebSocket = require('ws');

const path = process.argv[3] || '/ws/v2/reader/persistent/public/default/my-topic';
const ws = new WebSocket(process.argv[2] + path);

ws.on('open', function () {
  console.log('open');
});

ws.on('message', function (message) {
  const received = JSON.parse(message);
  console.log('received %s payload %s', message, new Buffer(received.payload, 'base64').toString());
  ws.send(JSON.stringify({ messageId: received.messageId }));
});
