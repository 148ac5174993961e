// The record of a decision and its recomputation (S10). A record holds the facts, the verdicts and
// the age that the edge saw; with the control state of its version, which anyone can fold from the
// signed commits, the same function must come to the same decision, candidate by candidate.

import * as z from 'zod/mini';
import { factsSchema } from '../admission/facts.ts';
import { canonical, toWire } from '../canonical.ts';
import { counterSchema, digestSchema } from '../schema.ts';
import { type Decision, decide } from './decide.ts';
import type { Scene } from './scene.ts';

export const verdictSchema = z.enum(['up', 'degraded', 'down', 'unknown']);

export const decisionRecordSchema = z.looseObject({
  kind: z.literal('decision'),
  id: z.string(),
  facts: factsSchema,
  seen: z.strictObject({
    verdicts: z.record(z.string(), verdictSchema),
    ageMs: z.number(),
    behind: z.boolean(),
  }),
  basis: z.looseObject({
    generation: counterSchema,
    version: counterSchema,
    commitIndex: z.nullable(counterSchema),
    manifest: digestSchema,
  }),
  /** The decision in wire form, compared as canonical text. */
  decision: z.looseObject({}),
});

export type DecisionRecord = z.infer<typeof decisionRecordSchema>;

/** What is logged of a decision; `scene` is what it was made on. */
export function recordOf(
  id: string,
  facts: DecisionRecord['facts'],
  scene: Scene,
  decision: Decision,
): object {
  const { verdicts, ageMs, behind, basis } = scene;
  const seen = { verdicts, ageMs, behind };
  const record = { kind: 'decision', id, facts, seen, basis, decision };
  return toWire(record) as object;
}

export type Recomputed =
  | { readonly kind: 'same'; readonly decision: Decision }
  | { readonly kind: 'different'; readonly decision: Decision; readonly recorded: unknown };

/**
 * Decides again. `state` is the scene at the record's version as the caller folded it; its basis is
 * in the decision too, so a decision on another manifest comes out different. The basis beside it
 * is the caller's to compare (`agent/cli/recompute.ts`).
 */
export function recompute(
  record: DecisionRecord,
  state: Pick<Scene, 'basis' | 'global' | 'tenant'>,
): Recomputed {
  const basis = { ...state.basis, commitIndex: record.basis.commitIndex };
  const decision = decide(record.facts, { ...state, ...record.seen, basis });
  const same = canonical(decision) === canonical(record.decision);
  return same
    ? { kind: 'same', decision }
    : { kind: 'different', decision, recorded: record.decision };
}
