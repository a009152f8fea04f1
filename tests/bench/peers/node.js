// node: echo on Node's net module. node node.js echo|framed|lines
//
// A chunk's messages leave as one write; frames and lines are cut out as
// views of the chunk, and joined again.
'use strict';
const net = require('net');

const HEADER = 4;
const NEWLINE = 10;

// The length of the message at AT, or 0 when it is not whole yet.
const cut = {
  framed(chunk, at) {
    if (chunk.length - at < HEADER) return 0;
    const size = HEADER + chunk.readUInt32BE(at);
    return chunk.length - at < size ? 0 : size;
  },
  lines(chunk, at) {
    return chunk.indexOf(NEWLINE, at) - at + 1 || 0;
  },
};

const build = {
  framed(out, at, chunk, start, size) {
    const body = chunk.subarray(start + HEADER, start + size);
    out.writeUInt32BE(body.length, at);
    body.copy(out, at + HEADER);
  },
  lines(out, at, chunk, start, size) {
    chunk.subarray(start, start + size).copy(out, at);
  },
};

function echo(socket) {
  socket.on('data', (chunk) => socket.write(chunk));
}

function messages(mode) {
  const size = cut[mode];
  const put = build[mode];
  return (socket) => {
    let rest = null;
    socket.on('data', (data) => {
      const chunk = rest ? Buffer.concat([rest, data]) : data;
      const out = Buffer.allocUnsafe(chunk.length);
      let at = 0;
      for (let n = size(chunk, at); n > 0; n = size(chunk, at)) {
        put(out, at, chunk, at, n);
        at += n;
      }
      rest = at < chunk.length ? chunk.subarray(at) : null;
      if (at > 0) socket.write(out.subarray(0, at));
    });
  };
}

const mode = process.argv[2] || 'echo';
const serve = mode === 'echo' ? echo : messages(mode);
const server = net.createServer({ noDelay: true }, (socket) => {
  socket.on('error', () => socket.destroy());
  serve(socket);
});
server.listen({ host: '127.0.0.1', port: 0, backlog: 4096 }, () => {
  console.log('port ' + server.address().port);
});
