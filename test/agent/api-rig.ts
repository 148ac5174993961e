// What tests of the agents' listener share: ports that do nothing unless a test says so, requests
// as bytes on a socket or over TLS, signed by a key of the kit.

import { once } from 'node:events';
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { request as requestTls } from 'node:https';
import { text } from 'node:stream/consumers';
import { nodeCrypto } from '../../agent/adapters/crypto.ts';
import type { ApiPorts } from '../../agent/api/ports.ts';
import { utf8 } from '../../shared/canonical.ts';
import { signRequest } from '../../shared/control/request.ts';
import { noTenants } from '../fakes/provisioners.ts';
import { keyNamed, testTrust } from '../shared/kit.ts';

export const HOST = '127.0.0.1';

const trust = await testTrust();

/** Ports of an agent that holds nothing and does nothing. */
export function idlePorts(changes: Partial<ApiPorts> = {}): ApiPorts {
  const head = { generation: 1n, version: 0n, envelope: null };
  return {
    tenants: noTenants,
    deliver: async () => ({ id: 'eu1-1', floor: null, refused: [] }),
    propose: async () => ({ kind: 'unavailable', detail: 'nothing is here' }),
    status: () => ({}),
    commits: async () => ({ head, commits: [], next: null }),
    trust: async () => null,
    publishTrust: async () => ({ kind: 'unavailable', detail: 'nothing is here' }),
    join: async () => null,
    history: () => [],
    attestations: () => ({ attestations: [], sites: {}, equivocators: [] }),
    explain: () => ({ kind: 'refused', code: 'no-state' }),
    nowMs: () => Date.now(),
    trusted: () => trust,
    crypto: nodeCrypto,
    log: () => {},
    ...changes,
  };
}

export interface Asked {
  readonly port: number;
  readonly method?: 'GET' | 'POST' | 'PUT' | 'HEAD' | 'DELETE' | 'OPTIONS';
  readonly path: string;
  readonly body?: string | Buffer;
  readonly headers?: Readonly<Record<string, string>>;
  /** Name of the key that signs the request; null sends it unsigned. */
  readonly by?: string | null;
  /** Asks over TLS, with these options of Node's client. */
  readonly tls?: object;
}

export interface Got {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
  /** The JSON of the body. */
  readonly value: unknown;
}

export function opened({ port, method = 'GET', path, headers = {}, tls }: Asked): ClientRequest {
  const options = { host: HOST, port, method, path, headers, agent: false as const };
  const outgoing = tls === undefined ? request(options) : requestTls({ ...options, ...tls });
  return outgoing.on('error', () => {});
}

/** The answer, or status 0 when there was none. */
export async function ask(asked: Asked): Promise<Got> {
  const { method = 'GET', path, body = '', by = null } = asked;
  const signed = by === null ? {} : { authorization: await signedBy(by, method, path, body) };
  const outgoing = opened({ ...asked, headers: { ...signed, ...asked.headers } });
  const answered = (once(outgoing, 'response') as Promise<[IncomingMessage]>).catch(() => null);
  const failed = once(outgoing, 'close').then(() => null);
  outgoing.end(body);
  const won = await Promise.race([answered, failed]);
  if (won === null) return { status: 0, headers: {}, body: 'no answer', value: null };
  const [response] = won;
  const whole = await text(response).catch(() => '');
  const value = whole === '' ? null : JSON.parse(whole);
  return { status: response.statusCode ?? 0, headers: response.headers, body: whole, value };
}

export function signedBy(
  key: string,
  method: string,
  target: string,
  body: string | Buffer = '',
  atMs = Date.now(),
): Promise<string> {
  const bytes = typeof body === 'string' ? utf8(body) : body;
  const seen = { method: method as 'GET', target, body: bytes };
  return signRequest(seen, { cluster: 'demo', atMs }, keyNamed(key), nodeCrypto);
}
