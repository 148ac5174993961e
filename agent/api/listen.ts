// The agent's own listener: deltas from peers, and status for people and the CLI. Loopback only
// until it asks for client certificates (Control). Deltas carry their own signatures.

import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { canonical } from '../../shared/canonical.ts';
import type { StoreAnswer } from '../../shared/control/answer.ts';
import { DELTA_BYTES_MAX } from '../../shared/limits.ts';
import {
  type Answer,
  COSIGN_PATH,
  getProvisioning,
  getStep,
  postBatch,
  postStep,
  TENANTS_PATH,
  type TenantPorts,
} from './tenants.ts';

export const DELTA_PATH = '/v1/delta';
export const STATUS_PATH = '/v1/status';

export interface ApiPorts {
  readonly deliver: (delta: string) => Promise<StoreAnswer>;
  readonly status: () => object;
  readonly tenants: TenantPorts;
  readonly log: (line: object) => void;
}

export interface Api {
  readonly port: number;
  close(): void;
}

export async function listenApi(
  listen: { readonly host: string; readonly port: number },
  ports: ApiPorts,
): Promise<Api> {
  const server = createServer((request, response) => {
    route(request, response, ports).catch((error: unknown) => {
      // A sender that breaks off is no fault of ours.
      if (request.complete) ports.log({ alarm: 'api-bug', error: String(error) });
      response.destroy();
    });
  });
  server.listen(listen.port, listen.host);
  await once(server, 'listening');
  const address = server.address();
  const port = address !== null && typeof address === 'object' ? address.port : listen.port;
  const close = () => {
    server.close();
    server.closeAllConnections();
  };
  return { port, close };
}

async function route(
  request: IncomingMessage,
  response: ServerResponse,
  ports: ApiPorts,
): Promise<void> {
  if (request.method === 'GET' && request.url === STATUS_PATH) {
    answer(response, 200, ports.status());
    return;
  }
  const work = workOf(request, ports);
  if (work === null) {
    answer(response, 404, { code: 'not-found' });
    return;
  }
  const body = request.method === 'POST' ? await readBody(request) : '';
  if (body === null) {
    answer(response, 413, { code: 'too-large' });
    return;
  }
  const { status, body: said, retryAfterS } = await work(body);
  if (retryAfterS !== undefined) response.setHeader('retry-after', String(retryAfterS));
  answer(response, status, said);
}

/** What a request asks for; null: nothing that is here. */
function workOf(
  { method, url = '' }: IncomingMessage,
  { deliver, tenants }: ApiPorts,
): ((body: string) => Promise<Answer>) | null {
  if (method === 'POST') {
    if (url === DELTA_PATH) return async (body) => ({ status: 200, body: await deliver(body) });
    if (url === TENANTS_PATH) return (body) => postStep(body, tenants);
    return url === COSIGN_PATH ? (body) => postBatch(body, tenants) : null;
  }
  if (method !== 'GET') return null;
  const [root, last = null, ...rest] = url.slice('/v1/'.length).split('/');
  if (rest.length > 0 || !url.startsWith('/v1/')) return null;
  if (root === 'provisioning') return () => getProvisioning(last, tenants);
  return root === 'tenants' && last !== null ? async () => getStep(last, tenants) : null;
}

/** The body, or null beyond the bound; the rest is not read. */
async function readBody(request: IncomingMessage): Promise<string | null> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    bytes += (chunk as Buffer).length;
    if (bytes > DELTA_BYTES_MAX) return null;
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  response.end(canonical(body));
}
