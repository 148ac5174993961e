// The regional gateway, first form: HTTPS from the edges, each call admitted by this agent's own
// state and carried to the region's service. It binds loopback only until calls are signed (P1);
// the configuration admits nothing else.

import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { Socket } from 'node:net';
import {
  SERVICE_CONNECTIONS_MAX,
  SERVICE_DEADLINE_MS,
  SERVICE_HEADERS_TIMEOUT_MS,
  SERVICE_IDLE_TIMEOUT_MS,
} from '../../shared/limits.ts';
import { gatewayStatus } from '../../shared/provenance/refusal.ts';
import { type Admitted, admit, type GatewayPorts } from './admit.ts';
import { answerProblem } from './problem.ts';
import { createProxy, type ServiceProxy } from './proxy.ts';

export interface GatewayOptions {
  readonly host: string;
  readonly port: number;
  readonly tls: { readonly cert: string; readonly key: string };
  readonly service: string;
  readonly log: (line: object) => void;
}

export interface Gateway {
  readonly port: number;
  /** Requests by what became of them. */
  readonly counts: Readonly<Record<string, number>>;
  close(): Promise<void>;
}

export async function listenGateway(
  options: GatewayOptions,
  ports: GatewayPorts,
): Promise<Gateway> {
  const counts: Record<string, number> = {};
  const proxy = createProxy({
    upstream: options.service,
    headersTimeoutMs: SERVICE_HEADERS_TIMEOUT_MS,
    bodyIdleTimeoutMs: SERVICE_IDLE_TIMEOUT_MS,
    deadlineMs: SERVICE_DEADLINE_MS,
    connections: SERVICE_CONNECTIONS_MAX,
  });
  const server = createServer({ ...options.tls, keepAliveTimeout: SERVICE_IDLE_TIMEOUT_MS });
  const connections = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    connections.add(socket);
    socket.once('close', () => connections.delete(socket));
  });
  const admissions = new WeakMap<Socket, Promise<boolean>>();
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    serve(request, response, { ports, proxy, admissions })
      .then((outcome) => {
        counts[outcome] = (counts[outcome] ?? 0) + 1;
      })
      .catch((error: unknown) => {
        options.log({ alarm: 'gateway-bug', error: String(error) });
        response.destroy();
      });
  });
  server.listen(options.port, options.host);
  await once(server, 'listening');
  const address = server.address();
  const port = address !== null && typeof address === 'object' ? address.port : options.port;
  return { port, counts, close: () => close(server, connections, proxy) };
}

interface Serving {
  readonly ports: GatewayPorts;
  readonly proxy: ServiceProxy;
  /** Whether the call before, on the same connection, was admitted. */
  readonly admissions: WeakMap<Socket, Promise<boolean>>;
}

/** What became of the request: an outcome of the proxy, or the code of a refusal. */
async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  { ports, proxy, admissions }: Serving,
): Promise<string> {
  const { socket } = request;
  const before = admissions.get(socket);
  const own = admitAfter(before, request, ports);
  admissions.set(
    socket,
    // A fault is thrown where `own` is awaited; here it only ends what follows.
    own.then(
      (outcome) => outcome?.kind === 'admitted',
      () => false,
    ),
  );
  const admitted = await own;
  if (admitted === null) return 'after-refusal';
  if (admitted.kind === 'refused') {
    const { code, decision } = admitted;
    // The body was never read: the connection cannot be used again.
    answerProblem(response, { status: gatewayStatus[code], code, decision, close: true });
    return code;
  }
  const { provenance, admission } = admitted;
  const outcome = await proxy.forward(request, response, {
    decision: provenance.decision,
    host: provenance.host,
    headers: {
      'portolan-tenant': admission.tenant,
      'portolan-scope': admission.scope,
      'portolan-op': admission.op,
      'portolan-region': ports.self,
      'portolan-decision': provenance.decision,
    },
  });
  return outcome.kind;
}

/** Null after a refused call: its body was never read, so what follows cannot be told from it. */
async function admitAfter(
  before: Promise<boolean> | undefined,
  request: IncomingMessage,
  ports: GatewayPorts,
): Promise<Admitted | null> {
  return (await (before ?? true)) ? admit(request, ports) : null;
}

async function close(
  server: Server,
  connections: ReadonlySet<Socket>,
  proxy: ServiceProxy,
): Promise<void> {
  server.close();
  // The server itself knows only those whose handshake is done.
  for (const socket of connections) socket.destroy();
  await proxy.close();
}
