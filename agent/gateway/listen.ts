// The regional gateway, first form: HTTPS from the edges, each call admitted by this agent's own
// state and carried to the region's service. It binds loopback only until calls are signed (P1);
// the configuration admits nothing else.

import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { Socket } from 'node:net';
import {
  ageHeader,
  attestationsHeader,
  readAge,
  writeAttestations,
} from '../../shared/control/attestation-header.ts';
import {
  SERVICE_CONNECTIONS_MAX,
  SERVICE_DEADLINE_MS,
  SERVICE_HEADERS_TIMEOUT_MS,
  SERVICE_IDLE_TIMEOUT_MS,
  SOFT_AGE_MS,
} from '../../shared/limits.ts';
import { provenanceHeader } from '../../shared/provenance/profile.ts';
import { gatewayStatus } from '../../shared/provenance/refusal.ts';
import { type Admitted, admit, type GatewayPorts } from './admit.ts';
import { answerProblem } from './problem.ts';
import { createProxy, type ServiceProxy } from './proxy.ts';
import { StateAnswers, stateAsked } from './state.ts';

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
  const states = new StateAnswers(ports);
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    serve(request, response, { ports, proxy, admissions, states })
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
  readonly states: StateAnswers;
  /** Whether the call before, on the same connection, was admitted. */
  readonly admissions: WeakMap<Socket, Promise<boolean>>;
}

/** What became of the request: an outcome of the proxy, or the code of a refusal. */
async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  { ports, proxy, admissions, states }: Serving,
): Promise<string> {
  const { socket } = request;
  const before = admissions.get(socket);
  const asked = stateAsked(request);
  if (asked !== null) {
    return (await (before ?? true)) ? states.answer(asked, response) : 'after-refusal';
  }
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
  bringWords(request, response, ports);
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

/**
 * An edge whose words are old gets the newest, also with a refusal (E3). Who has no provenance is
 * no edge.
 */
function bringWords(
  { headers }: IncomingMessage,
  response: ServerResponse,
  { standing, nowMs }: GatewayPorts,
): void {
  const ageMs = readAge(headers[ageHeader]);
  if (ageMs === null || ageMs <= SOFT_AGE_MS || headers[provenanceHeader] === undefined) return;
  const held = standing();
  const words = held === null ? null : writeAttestations(held.holder.book, nowMs());
  if (words !== null) response.setHeader(attestationsHeader, words);
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
