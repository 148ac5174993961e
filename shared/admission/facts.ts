// Facts: everything a decision may look at, parsed once from the request (S1). A decision that
// needs more than this cannot be explained later, so nothing else is passed.

import * as z from 'zod/mini';
import { PATH_BYTES_MAX } from '../limits.ts';

export const factsSchema = z.strictObject({
  /** Lower case, without port. */
  host: z.string().check(z.maxLength(255)),
  method: z.string().check(z.regex(/^[A-Z]{1,16}$/)),
  /** Normalised once (`normalisePath`), before anything is routed or admitted. */
  path: z.string().check(z.regex(/^\//), z.maxLength(PATH_BYTES_MAX)),
  /** Asks for an upgrade (WebSocket): a session. */
  upgrade: z.boolean(),
  /** Network of the client, coarse: keeps one client on one region (S4). */
  client: z.string().check(z.maxLength(64)),
  /** From `cf`; absent when Cloudflare did not say. */
  country: z.exactOptional(z.string()),
  colo: z.exactOptional(z.string()),
  at: z.exactOptional(z.tuple([z.number(), z.number()])),
});

export type Facts = z.infer<typeof factsSchema>;

/**
 * The one form of a path: percent-escapes of unreserved characters decoded, the others in upper
 * case (RFC 3986 6.2.2). null for what servers read in different ways: broken escapes, characters
 * outside printable ASCII, backslashes, escaped controls, dot segments that only decoding uncovers.
 * An escaped slash stays escaped: it is part of a segment.
 */
export function normalisePath(pathname: string): string | null {
  if (pathname.length > PATH_BYTES_MAX || !/^\/[!-~]*$/.test(pathname)) return null;
  if (pathname.includes('\\') || /%(?![0-9A-Fa-f]{2})|%[01]|%7[Ff]/.test(pathname)) return null;
  const path = pathname.replace(/%[0-9A-Fa-f]{2}/g, (triplet) => {
    const char = String.fromCharCode(Number.parseInt(triplet.slice(1), 16));
    return /[A-Za-z0-9._~-]/.test(char) ? char : triplet.toUpperCase();
  });
  return /\/\.\.?(?:\/|$)/.test(path) ? null : path;
}

const IPV4 = /^\d{1,3}(?:\.\d{1,3}){3}$/;

/** /24 of IPv4, /48 of IPv6: stable for one client, shared by its neighbours; '' if unknown. */
export function clientNetwork(address: string): string {
  if (IPV4.test(address)) return `${address.split('.').slice(0, 3).join('.')}.0/24`;
  if (!/^[0-9a-fA-F:.]{2,45}$/.test(address) || !address.includes(':')) return '';
  return `${expandIpv6(address).slice(0, 3).join(':')}::/48`;
}

function expandIpv6(address: string): readonly string[] {
  const [head = '', tail] = address.toLowerCase().split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = Math.max(0, 8 - left.length - right.length);
  const filled = tail === undefined ? left : [...left, ...Array(zeros).fill('0'), ...right];
  return filled.map((group) => group.replace(/^0+(?=.)/, ''));
}
