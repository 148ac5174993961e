// Clients: one HTTP request to an edge location, as if from a real city.
//
// The Worker must see what it would see in production, so four headers do what Cloudflare's network
// does there:
// - `Host` is the tenant's host (over loopback the address says nothing about it);
// - `X-Forwarded-Proto` makes the Worker's `request.url` https, and lets it see that very header,
//   as in production;
// - `CF-Connecting-IP` is the client's address, whatever the client wrote there;
// - `MF-CF-Blob` becomes `request.cf`, exactly as given. Without a complete one the local runtime
//   would invent a client in Austin, Texas, so nothing is sent without it.
// The Worker also sees `mf-cf-blob` among its headers, which production has not.

import assert from 'node:assert/strict';
import { Agent } from 'undici';
import type { Cf, City } from './cities.ts';

const DEADLINE_MS = 10_000;

/** So many clients at once to one edge; more wait for a free connection. */
const CONNECTIONS_AN_EDGE = 64;

const REQUIRED_TEXTS: readonly (keyof Cf)[] = [
  ...(['colo', 'country', 'continent', 'city', 'region', 'regionCode', 'postalCode'] as const),
  ...(['timezone', 'latitude', 'longitude', 'asOrganization'] as const),
  ...(['httpProtocol', 'tlsVersion', 'tlsCipher'] as const),
];
const REQUIRED_NUMBERS: readonly (keyof Cf)[] = ['asn', 'clientTcpRtt'];

export type ClientRequest = {
  /** The tenant's host, with a port if the client's URL has one. */
  readonly host: string;
  readonly city: City;
  readonly scheme?: 'https' | 'http';
  readonly method?: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'OPTIONS';
  /** Path and query, sent as they are: nothing is normalised on the way. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  readonly deadlineMs?: number;
};

export type ClientResponse = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
  /** From the first byte sent to the last byte received. */
  readonly ms: number;
};

let pool: Agent | undefined;

/** Rejects when no complete response came within the deadline; any status is a response. */
export async function send(edgeUrl: string, sent: ClientRequest): Promise<ClientResponse> {
  assertComplete(sent.city.cf);
  pool ??= new Agent({ connections: CONNECTIONS_AN_EDGE, pipelining: 1 });
  const started = performance.now();
  const response = await pool.request({
    origin: new URL(edgeUrl).origin,
    method: sent.method ?? 'GET',
    path: sent.path,
    headers: {
      ...sent.headers,
      host: sent.host,
      'cf-connecting-ip': sent.city.clientIp,
      'x-forwarded-proto': sent.scheme ?? 'https',
      'mf-cf-blob': asciiJson(sent.city.cf),
    },
    ...(sent.body === undefined ? {} : { body: sent.body }),
    signal: AbortSignal.timeout(sent.deadlineMs ?? DEADLINE_MS),
  });
  const body = await response.body.text();
  const ms = performance.now() - started;
  return { status: response.statusCode, headers: response.headers, body, ms };
}

/** Ends the kept connections; without it they would hold the process for some seconds. */
export async function closeTraffic(): Promise<void> {
  const open = pool;
  pool = undefined;
  await open?.close();
}

function assertComplete(cf: Cf): void {
  for (const key of REQUIRED_TEXTS) {
    assert(typeof cf[key] === 'string' && cf[key] !== '', `a client's cf needs a text for ${key}`);
  }
  for (const key of REQUIRED_NUMBERS) {
    assert(typeof cf[key] === 'number', `a client's cf needs a number for ${key}`);
  }
}

/**
 * JSON for a header: São Paulo's name is not ASCII, and a header's bytes would arrive as something
 * else.
 */
function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[\u0080-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
