// Which headers pass the gateway, in both directions.
//
// Headers are handled as node:http and undici give them raw: one flat list of names and values, in
// the order and the number in which they came. A list keeps what an object merges away: two
// Set-Cookie lines, the order that a signature will cover, the second Host that an attacker sent.
//
// Invariants:
// - what belongs to one connection stays on it (RFC 9110, 7.6.1), and so does what `Connection`
//   names;
// - the service sees a platform header, or any name that the gateway sets, from the gateway
//   alone. Names are compared as CGI-like services fold them: `Portolan_Tenant` is
//   `portolan-tenant` to them;
// - a request whose end or whose host two parsers could see in two places is refused and goes
//   nowhere (request smuggling, RFC 9112, 6.3). node:http refuses most of these before; this is the
//   second lock, for a parser that was configured leniently or replaced;
// - no answer may be kept by a cache of the edge's zone, which would hand it to another tenant
//   (E7).
//
// Rejected: a list of allowed headers. Services have headers that nobody here knows.

import { portolanHeaderPrefix } from '../../shared/provenance/profile.ts';

/** E7; the edge takes it off again. */
export const noStoreHeader = ['Cloudflare-CDN-Cache-Control', 'no-store'] as const;

/** What is needed of a request; node:http's IncomingMessage is one. */
export interface RequestHead {
  readonly httpVersion: string;
  readonly url?: string | undefined;
  readonly rawHeaders: readonly string[];
}

/** What the gateway itself says to the service. */
export interface GatewayHeaders {
  readonly host: string;
  readonly headers: Readonly<Record<string, string>>;
}

export type HeadRefusalCode =
  | 'target-form'
  | 'host-duplicate'
  | 'content-length'
  | 'transfer-coding'
  | 'framing-conflict';

export interface ForwardedHead {
  readonly kind: 'forward';
  /** Origin form, byte for byte as it was received. */
  readonly path: string;
  /** Flat list, Host first. */
  readonly headers: readonly string[];
  readonly hasBody: boolean;
}

export interface HeadRefusal {
  readonly kind: 'refused';
  readonly code: HeadRefusalCode;
}

type Framing =
  | { readonly kind: 'none' }
  | { readonly kind: 'length'; readonly bytes: string }
  | { readonly kind: 'chunked' }
  | HeadRefusal;

/** Of one connection; `proxy-` goes by prefix. Expect is the gateway's to answer. */
const HOP = new Set([
  'connection',
  'expect',
  'http2-settings',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** What the service gets to see of a request. */
export function upstreamHead(
  request: RequestHead,
  own: GatewayHeaders,
): ForwardedHead | HeadRefusal {
  const raw = request.rawHeaders;
  const path = request.url ?? '';
  // `http://other/` overrides Host (RFC 9112, 3.2.2): the service would see another tenant than we.
  if (!path.startsWith('/')) return { kind: 'refused', code: 'target-form' };
  if (valuesOf(raw, 'host').length > 1) return { kind: 'refused', code: 'host-duplicate' };
  const framing = framingOf(raw, request.httpVersion);
  if (framing.kind === 'refused') return framing;
  const set = Object.entries(own.headers);
  const ours = new Set(['host', 'content-length', ...set.map(([name]) => folded(name))]);
  const headers = ['Host', own.host];
  const named = connectionOptions(raw);
  eachHeader(raw, (name, value) => {
    const key = folded(name);
    if (isHop(name, key, named) || isPlatform(key) || ours.has(key)) return;
    headers.push(name, value);
  });
  if (framing.kind === 'length') headers.push('Content-Length', framing.bytes);
  for (const [name, value] of set) headers.push(name, value);
  return { kind: 'forward', path, headers, hasBody: framing.kind !== 'none' };
}

/** What the client gets to see of a service's answer. */
export function answerHeaders(status: number, raw: readonly string[]): string[] {
  const headers: string[] = [];
  const named = connectionOptions(raw);
  const noStore = noStoreHeader[0].toLowerCase();
  eachHeader(raw, (name, value) => {
    const key = folded(name);
    if (isHop(name, key, named) || isPlatform(key) || key === noStore) return;
    // RFC 9110, 8.6: a 204 has none; a client that trusts it would wait for the bytes.
    if (status === 204 && key === 'content-length') return;
    headers.push(name, value);
  });
  headers.push(...noStoreHeader);
  return headers;
}

function framingOf(raw: readonly string[], httpVersion: string): Framing {
  const lengths = new Set(valuesOf(raw, 'content-length').map((value) => value.trim()));
  const codings = valuesOf(raw, 'transfer-encoding');
  if (lengths.size > 1) return { kind: 'refused', code: 'framing-conflict' };
  const [bytes] = lengths;
  if (codings.length > 0) {
    // RFC 9112, 6.1: HTTP/1.0 knows no codings, so the sender and we disagree about the end.
    if (bytes !== undefined || httpVersion === '1.0') {
      return { kind: 'refused', code: 'framing-conflict' };
    }
    // The server undoes `chunked` alone: any other coding would arrive without its name.
    const chunked = codings.length === 1 && codings[0]?.trim().toLowerCase() === 'chunked';
    return chunked ? { kind: 'chunked' } : { kind: 'refused', code: 'transfer-coding' };
  }
  if (bytes === undefined) return { kind: 'none' };
  const isLength = /^[0-9]+$/.test(bytes) && Number.isSafeInteger(Number(bytes));
  if (!isLength) return { kind: 'refused', code: 'content-length' };
  return Number(bytes) === 0 ? { kind: 'none' } : { kind: 'length', bytes };
}

function isHop(name: string, key: string, named: ReadonlySet<string>): boolean {
  return HOP.has(key) || key.startsWith('proxy-') || named.has(name.toLowerCase());
}

function isPlatform(key: string): boolean {
  return key.startsWith(portolanHeaderPrefix);
}

/** Names in `Connection`. Never the framing: a message would lose its end. */
function connectionOptions(raw: readonly string[]): ReadonlySet<string> {
  const lists = valuesOf(raw, 'connection').join(',').toLowerCase().split(',');
  const names = new Set(lists.map((name) => name.trim()));
  names.delete('content-length');
  return names;
}

function valuesOf(raw: readonly string[], wanted: string): readonly string[] {
  const values: string[] = [];
  eachHeader(raw, (name, value) => {
    if (name.toLowerCase() === wanted) values.push(value);
  });
  return values;
}

function folded(name: string): string {
  return name.toLowerCase().replaceAll('_', '-');
}

function eachHeader(raw: readonly string[], visit: (name: string, value: string) => void): void {
  for (let at = 0; at + 1 < raw.length; at += 2) visit(raw[at] ?? '', raw[at + 1] ?? '');
}
