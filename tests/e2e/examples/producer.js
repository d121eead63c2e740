// Publishes one message, as the documentation of the API shows it; arguments: the service's address, and a path
// if not the documentation's.
const WebSocket = require('ws');

const path = process.argv[3] || '/ws/v2/producer/persistent/public/default/my-topic';
const ws = new WebSocket(process.argv[2] + path);

const message = {
  payload: new Buffer('Hello World').toString('base64'),
  properties: { key1: 'value1', key2: 'value2' },
  context: '1',
};

ws.on('open', function () {
  ws.send(JSON.stringify(message));
});

ws.on('message', function (message) {
  console.log('received ack: %s', message);
});
