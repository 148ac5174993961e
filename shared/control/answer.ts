// What a receiver of deltas answers (INTERFACES, "Ingest"): where it stands and what it refused. A
// sender uses it to know what to send next, and to show it; it never changes what is true.
//
// Answers carry no version: what a reader does not know it passes over, here and inside (E1).

import * as z from 'zod/mini';
import { RECEIPTS_ANSWERED_MAX, RECEIPTS_EARLIER_MAX } from '../limits.ts';
import { counterSchema } from '../schema.ts';
import { compareVersions } from './chain.ts';
import type { Holder } from './holder.ts';
import type { Refusal } from './refusal.ts';

export const placeSchema = z.object({ generation: counterSchema, version: counterSchema });

export type Place = z.infer<typeof placeSchema>;

/** Refusals named in one answer; a flood of bad input must not grow the answer. */
export const REFUSALS_ANSWERED_MAX = 16;

export const storeAnswerSchema = z.object({
  id: z.string(),
  /** Newest commit held, 0 for none; absent when the store did not answer. */
  head: z.exactOptional(placeSchema),
  /** Newest version that was ever active there; null before the first. */
  floor: z.nullable(placeSchema),
  /** Codes of what this delta carried and the store refused. */
  refused: z.array(z.string()),
  /** Signed receipts, oldest first (C11): the newest ones, and the newest APPLIED. */
  receipts: z.exactOptional(z.array(z.unknown()).check(z.maxLength(RECEIPTS_ANSWERED_MAX + 1))),
  /**
   * Signed receipts before those, oldest first: what was not signed yet, so what this delta
   * wrote. A member of its own, because a reader of the version before bounds the other one.
   */
  earlier: z.exactOptional(z.array(z.unknown()).check(z.maxLength(RECEIPTS_EARLIER_MAX))),
  /** Why the store as a whole did not take the delta. */
  code: z.exactOptional(z.string()),
});

export type StoreAnswer = z.infer<typeof storeAnswerSchema>;

export const edgeStatusSchema = z.object({
  /** Version of the trust document that this isolate judges by. */
  trust: z.exactOptional(counterSchema),
  version: z.nullable(counterSchema),
  ageMs: z.nullable(z.number()),
  verdicts: z.record(z.string(), z.string()),
  counters: z.record(z.string(), z.number()),
});

export type EdgeStatus = z.infer<typeof edgeStatusSchema>;

export const ingestAnswerSchema = z.object({
  stores: z.array(storeAnswerSchema),
  edge: edgeStatusSchema,
});

export type IngestAnswer = z.infer<typeof ingestAnswerSchema>;

/** Where `holder` stands, in a store's or a peer's answer. */
export function answerOf(id: string, holder: Holder, refused: readonly Refusal[]): StoreAnswer {
  const { manifest } = holder.state;
  return {
    id,
    head: placeOf(manifest),
    floor: holder.active === null ? null : placeOf(holder.active),
    refused: refused.slice(0, REFUSALS_ANSWERED_MAX).map(({ code }) => code),
  };
}

export function placeOf({ generation, version }: Place): Place {
  return { generation, version };
}

/**
 * After which places to go on sending: the distinct ones of those that answered, the lowest first.
 * A receiver that was brought something else beyond what is active needs all from there on.
 */
export function headsOf(answers: readonly StoreAnswer[]): readonly Place[] {
  const heads = answers.flatMap(({ head, floor, refused }) => {
    if (head === undefined) return [];
    const parted = refused.some((code) => code === 'previous' || code === 'equivocation');
    return [parted ? (floor ?? { ...head, version: 0n }) : head];
  });
  const distinct = new Map(heads.map((head) => [`${head.generation}/${head.version}`, head]));
  return [...distinct.values()].sort(compareVersions);
}
