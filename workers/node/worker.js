// Serves a Node program to a Drawbar front: node worker.js --from http://127.0.0.1:4242 --app NAME server.js
// The program is one that calls listen() on a server of node:http, as an Express application does, or a module that
// exports such a server or its request listener. It opens no port: each slot is a connection that this worker dials,
// upgrades, and hands to the program's server as if it had been accepted.
'use strict';
const [fs, http, https, path] = ['fs', 'http', 'https', 'path'].map((name) => require(`node:${name}`));
const { parseArgs } = require('node:util');
const { pathToFileURL } = require('node:url');

const MOST_WAIT_MS = 10_000; // for a front that cannot be reached
const KEEP_ALIVE_MS = 30_000; // or a front that vanished would be waited for in vain
const RELEASED = 'HTTP/1.1 503 Left\r\nDrawbar-Released: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n';

const names = ['from', 'app', 'label', 'slots', 'token-file'];
const known = Object.fromEntries(names.map((name) => [name, { type: 'string' }]));
const { values: options, positionals } = parseArgs({ options: known, allowPositionals: true });
for (const name of names) options[name] ??= process.env[`DRAWBAR_${name.toUpperCase().replace('-', '_')}`] || undefined;
if (!options.from || options.app === undefined) {
  console.error('usage: node worker.js --from URL --app NAME [--label X] [--slots N] [--token-file FILE] [server.js]');
  process.exit(2);
}
const file = path.resolve(positionals[0] ?? 'server.js');
const slots = new Set();
let [server, leaving, told, since] = [null, false, '', 0]; // told of the front last; null: that it is well
const log = (line) => process.stderr.write(`worker: ${line}\n`);

// Says what is wrong with the front once, not once for each slot, and when it has passed: null.
function tell(wrong) {
  since = wrong && (since || Date.now()); // fronts follow each other within a second
  if (leaving || wrong === told || (told === null && Date.now() - since < 1000)) return;
  told = wrong;
  log(wrong ? `no connection to ${options.from}: ${wrong}; trying again` : `attached to ${options.from}`);
}

class Slot {
  dial() {
    this.useful = false;
    const unix = options.from.startsWith('unix:');
    const url = new URL('/api/v2/attach', unix ? 'http://localhost' : options.from);
    url.search = new URLSearchParams({ app: options.app, label: options.label ?? '' });
    const headers = { Connection: 'Upgrade', Upgrade: 'PTTH/1.0' };
    try {
      const token = options['token-file'] && fs.readFileSync(options['token-file'], 'utf8').trim();
      if (token) headers.Authorization = `Bearer ${token}`;
    } catch (error) {
      return this.again(error);
    }
    const to = { headers, agent: false, timeout: MOST_WAIT_MS, ...(unix && { socketPath: options.from.slice(5) }) };
    const request = (url.protocol === 'https:' ? https : http).get(url, to);
    request.on('upgrade', (response, socket, head) => this.attach(socket, head));
    request.on('response', async (response) => {
      const said = await response.setEncoding('utf8').toArray().catch(() => []);
      const why = said.join('').match(/"detail": *"(.*?)"/)?.[1] ?? '';
      this.again(new Error(`it answers ${response.statusCode} ${response.statusMessage}: ${why}`));
    });
    request.on('timeout', () => request.destroy(new Error('timed out')));
    request.on('error', (error) => this.again(error));
  }

  attach(socket, head) {
    tell(null);
    this.socket = Object.assign(socket, { slot: this });
    socket.setTimeout(0);
    socket.setKeepAlive?.(true, KEEP_ALIVE_MS);
    socket.on('error', () => {}); // 'close' follows
    socket.on('close', () => this.socket === socket && this.again());
    if (head.length) socket.unshift(head);
    server.emit('connection', socket);
    this.leave();
  }

  // Dials once more: at once when the connection was of use, else with decorrelated jitter.
  again(error) {
    this.socket = this.response = null;
    if (error) tell(error.message || error.code);
    const waitMs = Math.min(MOST_WAIT_MS, 100 + Math.random() * 3 * ((this.waitMs ?? 0) + 100));
    this.waitMs = this.useful ? 0 : waitMs;
    this.timer = setTimeout(() => this.dial(), this.waitMs);
    this.leave();
  }

  // A request came. Without a response to it, it takes the connection over.
  begin(response) {
    this.useful = true;
    if (!response) return this.again();
    this.response = response;
    response.on('close', () => ((this.response = null), this.leave()));
    this.leave();
  }

  // Ends what is idle when the worker leaves, and says that nothing was begun there; what runs is to be the last.
  leave() {
    if (!leaving || this.left) return;
    if (this.response && !this.response.headersSent) this.response.shouldKeepAlive = false;
    if (this.response) return;
    clearTimeout(this.timer);
    this.left = true;
    const end = () => (server.emit('close'), log('drained'), setImmediate(() => process.exit(0)));
    const done = () => slots.delete(this) && !slots.size && end();
    this.socket?.writable ? this.socket.end(RELEASED, done) : done();
    this.socket = null;
  }
}

function leave() {
  if (leaving || !server) process.exit(leaving ? 1 : 0);
  leaving = true;
  for (const slot of slots) slot.leave();
}

function serve(found) {
  server = found;
  // The front keeps the times of clients, and keeps connections idle.
  Object.assign(server, { keepAliveTimeout: 0, headersTimeout: 0, requestTimeout: 0, timeout: 0 });
  const emit = server.emit;
  server.emit = function (event, request, response) {
    if (event === 'upgrade' || event === 'connect') request.socket.slot.begin(null);
    if (event !== 'request') return emit.apply(this, arguments);
    if (request.socket.slot.left) return true; // it came too late
    request.socket.slot.begin(response);
    try {
      return emit.apply(this, arguments);
    } catch (error) {
      log(`${request.method} ${request.url} failed: ${error.stack}`);
      response.headersSent ? response.destroy() : response.writeHead(500).end('Internal Server Error\n');
    }
  };
  server.address = () => options.from;
  server.close = (done) => (done && server.once('close', done), leave(), server);
  log(`${options.slots ?? 4} slots for ${options.app} at ${options.from}`);
  for (let count = Number(options.slots ?? 4); count > 0; count--) slots.add(new Slot());
  for (const slot of slots) slot.dial();
}

const listen = http.Server.prototype.listen;
http.Server.prototype.listen = function (...args) {
  if (server) return listen.apply(this, args);
  serve(this);
  const done = args.find((arg) => typeof arg === 'function');
  if (done) this.once('listening', done);
  process.nextTick(() => this.emit('listening'));
  return this;
};
for (const name of ['SIGTERM', 'SIGINT']) process.on(name, leave);
process.on('exit', () => server || log(`${file} has made no server listen, and exports none`));
process.argv = [process.argv[0], file, ...positionals.slice(1)];
import(pathToFileURL(file)).then(({ default: found }) => {
  if (!server && found instanceof http.Server) serve(found);
  if (!server && typeof found === 'function') serve(http.createServer(found));
});
