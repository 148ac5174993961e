// The only reader of `cf`, and of the request headers that decide something (S1). What Cloudflare
// does not say, or says as unknown, is absent, so that a rule which needs it sees doubt and not a
// default.

import { clientNetwork } from '../../shared/admission/client-network.ts';
import { type Facts, factsSchema } from '../../shared/admission/facts.ts';
import { normalisePath } from '../../shared/admission/path.ts';
import type { SteeringCode } from '../../shared/steering/refusal.ts';

// Cloudflare's codes for "unknown" and for Tor exits: neither is a country.
const NO_COUNTRY: ReadonlySet<string> = new Set(['XX', 'T1']);

export interface ReadFacts {
  readonly kind: 'facts';
  readonly facts: Facts;
}

/** Where the client is met: it orders the stores (E1), and decides nothing. */
export interface Place {
  readonly continent?: string;
  readonly colo?: string;
}

/** Facts of `request`, or the code of what is malformed about it. */
export function readFacts(request: Request): ReadFacts | { kind: 'malformed'; code: SteeringCode } {
  const url = new URL(request.url);
  const path = normalisePath(url.pathname);
  if (path === null) return { kind: 'malformed', code: 'path-malformed' };
  const cf = cfOf(request);
  const country = text(cf['country']);
  const { colo } = readPlace(request);
  const at = coordinates(cf);
  const parsed = factsSchema.safeParse({
    // The root's dot is part of no tenant's name.
    host: url.hostname.toLowerCase().replace(/\.$/, ''),
    method: request.method,
    path,
    upgrade: request.headers.has('upgrade'),
    client: clientNetwork(request.headers.get('cf-connecting-ip') ?? ''),
    ...(country === undefined || NO_COUNTRY.has(country) ? {} : { country }),
    ...(colo === undefined ? {} : { colo }),
    ...(at === null ? {} : { at }),
  });
  if (!parsed.success) return { kind: 'malformed', code: 'request-malformed' };
  return { kind: 'facts', facts: parsed.data };
}

export function readPlace(request: Request): Place {
  const cf = cfOf(request);
  const continent = text(cf['continent']);
  const colo = text(cf['colo'])?.toLowerCase();
  return {
    ...(continent === undefined ? {} : { continent }),
    ...(colo === undefined ? {} : { colo }),
  };
}

function cfOf(request: Request): Readonly<Record<string, unknown>> {
  return (request.cf ?? {}) as Readonly<Record<string, unknown>>;
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function degrees(value: unknown, most: number): number | null {
  if (typeof value !== 'string' || !/^-?\d{1,3}(?:\.\d{1,16})?$/.test(value)) return null;
  return Math.abs(Number(value)) <= most ? Number(value) : null;
}

/** Both coordinates, or none: half a place is no place. */
function coordinates(cf: Readonly<Record<string, unknown>>): readonly [number, number] | null {
  const [latitude, longitude] = [degrees(cf['latitude'], 90), degrees(cf['longitude'], 180)];
  return latitude === null || longitude === null ? null : [latitude, longitude];
}
