// The few schema pieces that records, envelopes and configuration share. `zod/mini` because the
// edge bundles this (7 KB compressed; docs/adr/0003-schemas.md).

import * as z from 'zod/mini';
import { type Digest, isDigest } from './digest.ts';

/**
 * Names of sites, scopes, policies, tenants. Lower case, so that DNS, URLs and file systems keep
 * them apart; `constructor` is the one such name that every object inherits.
 */
export const idSchema = z.string().check(
  z.regex(
    /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/,
    'lower-case letters, digits, hyphens; at most 63',
  ),
  z.refine((id) => id !== 'constructor', 'this name is reserved'),
);

/** Chosen by whoever acts, a new one for each act; an ambiguous act is recognised by it. */
export const opIdSchema = z.string().check(z.regex(/^[A-Za-z0-9_-]{8,64}$/));

const COUNTER = /^(?:0|[1-9][0-9]{0,18})$/;

/** etcd and SQLite count in signed 64 bits. */
const COUNTER_MAX = 2n ** 63n - 1n;

/** A 64-bit number: decimal string on the wire, bigint in memory. */
export const counterSchema = z.pipe(
  z.string().check(
    z.regex(COUNTER, { error: 'a decimal number as a string', abort: true }),
    z.refine((text) => BigInt(text) <= COUNTER_MAX, 'a number of 63 bits'),
  ),
  z.transform((text: string) => BigInt(text)),
);

export const digestSchema = z.pipe(
  z.string().check(z.refine((text) => isDigest(text), 'a SHA-256 digest in base64url')),
  z.transform((text: string) => text as Digest),
);

/** First fault of a failed parse, as `path: message`; what a refusal's detail says. */
export function firstIssue(error: z.core.$ZodError): string {
  const issue = error.issues[0];
  if (issue === undefined) return 'malformed';
  const path = issue.path.map(String).join('.');
  if (issue.code === 'unrecognized_keys') {
    return `${path === '' ? '' : `${path}: `}unknown field ${issue.keys.join(', ')}`;
  }
  return path === '' ? issue.message : `${path}: ${issue.message}`;
}
