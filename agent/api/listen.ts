// The agents' listener: the API of `routes.ts` on HTTP, loopback only, or on HTTPS with client
// certificates. Node's server keeps the bounds (header bytes, times, connections); Hono routes; the
// few lines between the two are here.

import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { Socket } from 'node:net';
import { normalisePath } from '../../shared/admission/path.ts';
import {
  API_ANSWER_TIMEOUT_MS,
  API_CONNECTIONS_MAX,
  API_HEADER_BYTES_MAX,
  API_HEADERS_TIMEOUT_MS,
  API_REQUEST_TIMEOUT_MS,
} from '../limits.ts';
import { isCertified } from './access.ts';
import { appOf, type Call, NOT_FOUND, responseOf } from './app.ts';
import type { ApiPorts } from './ports.ts';
import { routes } from './routes.ts';

/** PEM texts. */
export interface ApiTls {
  readonly cert: string;
  readonly key: string;
  /** The authority of client certificates; without it they count for nothing. */
  readonly clientCa?: string;
}

export interface ApiOptions {
  readonly host: string;
  readonly port: number;
  readonly tls?: ApiTls;
  readonly timeouts?: ApiTimeouts;
}

export interface ApiTimeouts {
  readonly headersMs: number;
  /** Headers and body. */
  readonly requestMs: number;
  readonly answerMs: number;
}

export interface Api {
  readonly port: number;
  close(): void;
}

const TIMEOUTS: ApiTimeouts = {
  headersMs: API_HEADERS_TIMEOUT_MS,
  requestMs: API_REQUEST_TIMEOUT_MS,
  answerMs: API_ANSWER_TIMEOUT_MS,
};

/** Late connections are looked for this often, or as often as the shortest time asks for. */
const CHECK_INTERVAL_MS = 1_000;

export async function listenApi(options: ApiOptions, ports: ApiPorts): Promise<Api> {
  const { tls, timeouts = TIMEOUTS } = options;
  const app = appOf(routes, ports);
  const server = serverOf(tls, timeouts);
  server.maxConnections = API_CONNECTIONS_MAX;
  server.on('request', (incoming: IncomingMessage, outgoing: ServerResponse) => {
    // Whoever does not take the answer is not waited for.
    const timer = setTimeout(() => outgoing.destroy(), timeouts.requestMs + timeouts.answerMs);
    outgoing.once('close', () => clearTimeout(timer));
    const certified = tls?.clientCa !== undefined && isCertified(incoming.socket);
    respond(incoming, certified, async (request, call) => app.fetch(request, call))
      .then((response) => write(response, outgoing))
      .catch((error: unknown) => {
        ports.log({ alarm: 'api-bug', error: String(error) });
        outgoing.destroy();
      });
  });
  const connections = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    connections.add(socket);
    socket.once('close', () => connections.delete(socket));
  });
  server.listen(options.port, options.host);
  await once(server, 'listening');
  const address = server.address();
  const port = address !== null && typeof address === 'object' ? address.port : options.port;
  const close = () => {
    server.close();
    // The server itself knows only those whose handshake is done.
    for (const socket of connections) socket.destroy();
  };
  return { port, close };
}

function serverOf(tls: ApiTls | undefined, { headersMs, requestMs }: ApiTimeouts) {
  const bounds = {
    headersTimeout: headersMs,
    requestTimeout: requestMs,
    keepAliveTimeout: headersMs,
    connectionsCheckingInterval: Math.min(CHECK_INTERVAL_MS, headersMs),
    maxHeaderSize: API_HEADER_BYTES_MAX,
  };
  if (tls === undefined) return createServer(bounds);
  const { cert, key, clientCa } = tls;
  // Nobody is turned away in the handshake: what carries its own signatures needs no certificate.
  const clients =
    clientCa === undefined ? {} : { ca: clientCa, requestCert: true, rejectUnauthorized: false };
  return createTlsServer({ ...bounds, cert, key, ...clients, handshakeTimeout: headersMs });
}

async function respond(
  incoming: IncomingMessage,
  certified: boolean,
  fetched: (request: Request, call: Call) => Promise<Response>,
): Promise<Response> {
  const { method = '', url: target = '' } = incoming;
  const [path = ''] = target.split('?');
  // One spelling of a path is routed; a parser that tidies others up must never see them.
  const routable = (method === 'GET' || method === 'POST') && normalisePath(path) === path;
  if (!routable) return responseOf(NOT_FOUND);
  const request = new Request(`http://agent${path}`, { method });
  return fetched(request, { incoming, target, certified });
}

async function write(response: Response, outgoing: ServerResponse): Promise<void> {
  const body = Buffer.from(await response.arrayBuffer());
  outgoing.writeHead(response.status, {
    ...Object.fromEntries(response.headers),
    'content-length': body.length,
  });
  outgoing.end(body);
}
