// A receipt: what one edge store says that it did (C11). APPLIED is written with the commit and
// names what is stored; REFUSED names a code. Each names the one before, so that a receipt that was
// removed, changed or made up later shows. Nothing is decided by them: they are shown, collected.

import * as z from 'zod/mini';
import type { Crypto } from '../crypto.ts';
import type { Digest } from '../digest.ts';
import { RECEIPT_BYTES_MAX } from '../limits.ts';
import { counterSchema, digestSchema, idSchema } from '../schema.ts';
import { type Decoded, type DocumentKind, decodeJws, type Verified, verifyJws } from './jws.ts';
import { type Refusal, refuse } from './refusal.ts';
import { keyringOf, type Trust } from './trust.ts';

export const receiptSchema = z.strictObject({
  kind: z.literal('receipt'),
  cluster: idSchema,
  /** The store that says so. */
  store: idSchema,
  /** One more than that of the receipt before. */
  seq: counterSchema,
  /** Digest of the receipt before; null in a store's first one. */
  previous: z.nullable(digestSchema),
  /** The store's clock, ms; never lower than in the receipt before. */
  at: z.int().check(z.gte(0)),
  outcome: z.discriminatedUnion('kind', [
    z.strictObject({
      kind: z.literal('applied'),
      generation: counterSchema,
      version: counterSchema,
      envelope: digestSchema,
      manifest: digestSchema,
    }),
    z.strictObject({ kind: z.literal('refused'), code: idSchema }),
  ]),
});

export type Receipt = z.infer<typeof receiptSchema>;
export type AppliedOutcome = Extract<Receipt['outcome'], { kind: 'applied' }>;

export const receiptKind: DocumentKind<Receipt> = {
  typ: 'portolan-receipt+json',
  maxBytes: RECEIPT_BYTES_MAX,
  schema: receiptSchema,
};

/** Refusals: those of `decodeJws`, cluster, author (another store's). */
export function readReceipt(
  input: unknown,
  store: string,
  trust: Trust,
  crypto: Crypto,
): Decoded<Receipt> | Refusal {
  const decoded = decodeJws(input, receiptKind, crypto);
  if (!('claimed' in decoded)) return decoded;
  const { claimed } = decoded;
  if (claimed.cluster !== trust.cluster) return refuse('cluster', claimed.cluster);
  if (claimed.store === store) return decoded;
  return refuse('author', `${store} hands over a receipt of ${claimed.store}`);
}

/** Signed by one edge key. Refusals: key-unknown, signature, author. */
export async function verifyReceipt(
  decoded: Decoded<Receipt>,
  trust: Trust,
  crypto: Crypto,
): Promise<Verified<Receipt> | Refusal> {
  const verified = await verifyJws(decoded, keyringOf(trust, 'edge'), crypto);
  if ('code' in verified || verified.kids.length === 1) return verified;
  return refuse('author', 'one store signs a receipt');
}

/** The end of a store's chain as a reader holds it. */
export interface ReceiptPlace {
  readonly seq: bigint;
  readonly digest: Digest;
  readonly at: number;
}

/**
 * How a verified receipt stands to the newest one held: it goes on from there (`missing` were not
 * seen), or it is from before.
 */
export type Followed =
  | { readonly kind: 'next'; readonly missing: bigint }
  | { readonly kind: 'same' | 'older' };

/**
 * Refusals, each a contradiction of one store with itself: equivocation (two receipts with one
 * number), previous (the next one names another before it), rollback (a lower number said later:
 * its chain began again).
 */
export function followReceipt(
  held: ReceiptPlace | null,
  { value, digest }: Pick<Verified<Receipt>, 'value' | 'digest'>,
): Followed | Refusal {
  const { seq, previous, at } = value;
  if (held === null) return { kind: 'next', missing: 0n };
  if (seq === held.seq) {
    if (digest === held.digest) return { kind: 'same' };
    return refuse('equivocation', `two receipts ${seq} of ${value.store}`);
  }
  if (seq < held.seq) {
    if (at <= held.at) return { kind: 'older' };
    return refuse('rollback', `receipt ${seq} of ${value.store} after ${held.seq}`);
  }
  if (seq === held.seq + 1n && previous !== held.digest) {
    return refuse('previous', `receipt ${seq} of ${value.store} does not follow`);
  }
  return { kind: 'next', missing: seq - held.seq - 1n };
}
