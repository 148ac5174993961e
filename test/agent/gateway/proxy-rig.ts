// Real servers on loopback for the gateway's data path: a service, a gateway in front of it, and
// clients that speak in bytes. Everything closes with the test. Nothing here waits for time.

import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import {
  type ClientRequest,
  createServer,
  type IncomingMessage,
  type RequestOptions,
  request,
  type ServerResponse,
} from 'node:http';
import net from 'node:net';
import { onTestFinished } from 'vitest';
import type { ForwardOutcome } from '../../../agent/gateway/exchange.ts';
import { createProxy, type ProxyOptions, type ServiceProxy } from '../../../agent/gateway/proxy.ts';

export type Handler = (request: IncomingMessage, response: ServerResponse) => void;

export type Call = readonly [IncomingMessage, ServerResponse];

export interface Gateway {
  readonly port: number;
  readonly proxy: ServiceProxy;
  /** Outcomes in the order in which exchanges ended; waits for the next one. */
  outcome(): Promise<ForwardOutcome>;
  /** The gateway's ends of its connections: from clients, and to the service. */
  readonly inbound: readonly net.Socket[];
  readonly outbound: readonly net.Socket[];
}

export interface GatewayOptions extends Partial<ProxyOptions> {
  readonly isLenient?: boolean;
  /** What the gateway waits for before it forwards. */
  readonly admit?: (incoming: IncomingMessage) => Promise<unknown>;
}

/** Long enough never to be the reason in a test that is not about time. */
const NEVER_MS = 60_000;

export async function service(handler: Handler): Promise<number> {
  const server = createServer(handler);
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return listen(server);
}

/** A handler that hands its exchanges over to the test. */
export function held(): { readonly handler: Handler; next(): Promise<Call> } {
  const calls: Call[] = [];
  const waiting: ((call: Call) => void)[] = [];
  return {
    handler(incoming, response) {
      incoming.on('error', () => {});
      const waiter = waiting.shift();
      if (waiter === undefined) calls.push([incoming, response]);
      else waiter([incoming, response]);
    },
    next() {
      const call = calls.shift();
      if (call !== undefined) return Promise.resolve(call);
      return new Promise((resolve) => waiting.push(resolve));
    },
  };
}

/** A service that speaks in bytes; `speak` is called once a connection, after a whole head. */
export async function rawService(speak: (socket: net.Socket) => void): Promise<number> {
  const server = net.createServer((socket) => {
    let head = '';
    socket.on('error', () => {});
    socket.on('data', function take(chunk) {
      head += chunk.toString('latin1');
      if (!head.includes('\r\n\r\n')) return;
      socket.off('data', take).resume();
      speak(socket);
    });
    onTestFinished(() => void socket.destroy());
  });
  onTestFinished(() => void server.close());
  return listen(server);
}

/** A port that was free a moment ago and that nobody listens on. */
export async function closedPort(): Promise<number> {
  const server = net.createServer();
  const port = await listen(server);
  server.close();
  await once(server, 'close');
  return port;
}

export async function gateway(servicePort: number, options: GatewayOptions = {}): Promise<Gateway> {
  const { isLenient = false, admit, ...times } = options;
  const proxy = createProxy({
    upstream: `http://127.0.0.1:${servicePort}`,
    headersTimeoutMs: NEVER_MS,
    bodyIdleTimeoutMs: NEVER_MS,
    deadlineMs: NEVER_MS,
    connections: 8,
    ...times,
  });
  const ended: ForwardOutcome[] = [];
  const waiting: ((outcome: ForwardOutcome) => void)[] = [];
  const own = { host: 'acme.example', headers: { 'portolan-tenant': 'acme' }, decision: 'd-1' };
  const server = createServer({ insecureHTTPParser: isLenient }, async (incoming, response) => {
    await admit?.(incoming);
    const outcome = await proxy.forward(incoming, response, own);
    const waiter = waiting.shift();
    if (waiter === undefined) ended.push(outcome);
    else waiter(outcome);
  });
  const inbound: net.Socket[] = [];
  server.on('connection', (socket) => inbound.push(socket));
  const port = await listen(server);
  onTestFinished(async () => {
    server.closeAllConnections();
    server.close();
    await proxy.close();
  });
  return {
    port,
    proxy,
    inbound,
    outbound: connectionsTo(servicePort),
    outcome() {
      const outcome = ended.shift();
      if (outcome !== undefined) return Promise.resolve(outcome);
      return new Promise((resolve) => waiting.push(resolve));
    },
  };
}

/** What a client got that sent `text` and read until the connection closed. */
export interface RawAnswer {
  readonly text: string;
  /** The connection was reset, not closed in good order. */
  readonly isReset: boolean;
}

export async function rawRequest(port: number, text: string): Promise<RawAnswer> {
  const socket = net.connect(port, '127.0.0.1');
  const chunks: Buffer[] = [];
  let isReset = false;
  socket.on('data', (chunk) => chunks.push(Buffer.from(chunk)));
  socket.on('error', () => {
    isReset = true;
  });
  socket.write(text, 'latin1');
  await new Promise((resolve) => socket.on('close', resolve));
  return { text: Buffer.concat(chunks).toString('latin1'), isReset };
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly rawHeaders: readonly string[];
  readonly text: string;
  /** The body ended as its framing said it would. */
  readonly isWhole: boolean;
}

/** A request on a connection of its own, still to be sent. */
export function open(port: number, options: RequestOptions = {}): ClientRequest {
  return request({ host: '127.0.0.1', port, agent: false, ...options });
}

/** One request on a connection of its own, with the whole answer or as much of it as came. */
export async function ask(port: number, options: RequestOptions = {}, body = ''): Promise<Answer> {
  return answerTo(open(port, options).end(body));
}

export async function answerTo(outgoing: ClientRequest): Promise<Answer> {
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
  return read(response);
}

export async function read(response: IncomingMessage): Promise<Answer> {
  let text = '';
  response.setEncoding('latin1').on('data', (chunk: string) => {
    text += chunk;
  });
  response.on('error', () => {});
  await new Promise((resolve) => response.on('close', resolve));
  const { statusCode: status = 0, headers, rawHeaders, complete: isWhole } = response;
  return { status, headers, rawHeaders, text, isWhole };
}

/**
 * The value of a counter once nothing moves any more: unchanged over many round trips of another
 * connection, each of which lets every ready socket of this process be served.
 */
export async function atRest(counter: () => number): Promise<number> {
  const echo = net.createServer((socket) => socket.pipe(socket));
  const socket = net.connect(await listen(echo), '127.0.0.1');
  let value = counter();
  for (let unchanged = 0; unchanged < 200; ) {
    socket.write('.');
    await once(socket, 'data');
    const now = counter();
    unchanged = now === value ? unchanged + 1 : 0;
    value = now;
  }
  socket.destroy();
  echo.close();
  return value;
}

export async function listen(server: net.Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as net.AddressInfo).port;
}

function connectionsTo(port: number): readonly net.Socket[] {
  const sockets: net.Socket[] = [];
  const channel = 'undici:client:connected';
  const note = (message: unknown) => {
    const { socket } = message as { readonly socket: net.Socket };
    if (socket.remotePort === port) sockets.push(socket);
  };
  subscribe(channel, note);
  onTestFinished(() => void unsubscribe(channel, note));
  return sockets;
}
