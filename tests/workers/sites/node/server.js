// What every worker's test application does, for Express, with an upgrade beside it.
'use strict';
const express = require('express');
const fs = require('node:fs');

const app = express();
const text = (response, body) => response.set('Content-Type', 'text/plain').end(body);

app.get('/hello', (request, response) => text(response, 'hello'));
app.all('/echo', (request, response) => {
  const { cookie = '', 'x-many': many = '' } = request.headers;
  response.set({ 'X-Method': request.method, 'X-Path': request.path, 'X-Cookie': cookie, 'X-Many': many });
  response.set('X-Query', request.url.split('?')[1] ?? '');
  request.pipe(response);
});
app.get('/about', (request, response) => {
  const { host, 'x-forwarded-proto': scheme, 'x-forwarded-for': client } = request.headers;
  text(response, [scheme, ...host.split(':'), client].join(' '));
});
app.get('/cookies', (request, response) => text(response.set('Set-Cookie', ['a=1', 'b=2']), ''));
app.get('/binary', (request, response) => text(response, Buffer.alloc(4096 * 256, Buffer.from([...Array(256).keys()]))));
app.get('/nothing', (request, response) => response.status(204).end());
app.get('/stream', (request, response) => {
  response.write('first\n');
  fs.readFile(request.url.split('?')[1], (error, second) => response.end(second));
});
app.get('/fail', () => {
  throw new Error('on purpose');
});
app.get('/fail-late', (request, response, next) => {
  response.write('first\n', () => next(new Error('too late')));
});
app.get('/bad-header', (request, response) => response.set('X-Bad', 'a\rb: c').end());

const server = app.listen(8080);
server.on('upgrade', (request, socket, head) => {
  socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
  socket.unshift(head);
  socket.on('data', (data) => socket.write(data.toString().toUpperCase()));
  socket.on('end', () => socket.end());
});
