// A logged decision, decided again offline (S10): the state of its version is folded from the
// signed commits, and the same function must come to the same bytes.

import { lookUpTenant } from '../../shared/admission/tenant.ts';
import { assert } from '../../shared/assert.ts';
import { canonical, parseJson, toWire } from '../../shared/canonical.ts';
import { firstIssue } from '../../shared/schema.ts';
import type { Decision } from '../../shared/steering/decide.ts';
import {
  type DecisionRecord,
  decisionRecordSchema,
  recompute,
} from '../../shared/steering/explain.ts';
import { nodeCrypto } from '../adapters/crypto.ts';
import { CliError } from './exit.ts';
import type { State } from './state.ts';

/** Throws CliError `input`. */
export function readRecord(text: string): DecisionRecord {
  const parsed = decisionRecordSchema.safeParse(parseJson(text)?.value);
  if (!parsed.success) {
    throw new CliError('input', `no decision record: ${firstIssue(parsed.error)}`);
  }
  if (parsed.data.decision === undefined) {
    throw new CliError('input', 'no decision record: decision: is missing');
  }
  return parsed.data;
}

export type Again =
  | { readonly kind: 'same'; readonly decision: Decision }
  | { readonly kind: 'different'; readonly decision: Decision; readonly first: FirstDifference };

/** `state` is folded up to the record's version. Throws CliError `gap`, `generation`. */
export function decideAgain(record: DecisionRecord, { holder, pieces }: State): Again {
  const { manifest, manifestDigest, global } = holder.state;
  const { cluster, generation, version, lamport } = manifest;
  if (record.basis.version !== version) {
    const asked = record.basis.version;
    throw new CliError('gap', `the record is of version ${asked}, the head is ${version}`);
  }
  if (record.basis.generation !== generation) {
    throw new CliError('generation', `the record is of generation ${record.basis.generation}`);
  }
  const tenant = lookUpTenant(record.facts.host, manifest, pieces.nodes, nodeCrypto);
  assert(tenant.kind !== 'missing', 'a full holder has every node');
  const { commitIndex } = record.basis;
  const basis = { cluster, generation, version, lamport, commitIndex, manifest: manifestDigest };
  const { decision } = recompute(record, { basis, global, tenant });
  // What the record says of its basis beside the decision is compared too.
  const first =
    firstDifference(record.basis, basis, ['basis']) ??
    firstDifference(record.decision, decision, ['decision']);
  return first === null ? { kind: 'same', decision } : { kind: 'different', decision, first };
}

export interface FirstDifference {
  /** `decision.candidates.0.lot.kind`. */
  readonly path: string;
  readonly recorded: unknown;
  readonly recomputed: unknown;
}

/** Where two values of JSON first differ, in the order of canonical form; null if they do not. */
export function firstDifference(
  recorded: unknown,
  recomputed: unknown,
  path: readonly string[] = [],
): FirstDifference | null {
  const [a, b] = [toWire(recorded), toWire(recomputed)];
  if (!isContainer(a) || !isContainer(b) || Array.isArray(a) !== Array.isArray(b)) {
    return sameText(a, b) ? null : { path: path.join('.'), recorded: a, recomputed: b };
  }
  for (const key of [...new Set([...Object.keys(a), ...Object.keys(b)])].sort()) {
    const [left, right] = [a, b].map((side) => (Object.hasOwn(side, key) ? side[key] : undefined));
    const found = firstDifference(left, right, [...path, key]);
    if (found !== null) return found;
  }
  return null;
}

function sameText(a: unknown, b: unknown): boolean {
  if (a === undefined || b === undefined) return a === b;
  return canonical(a) === canonical(b);
}

function isContainer(value: unknown): value is Readonly<Record<string, unknown>> {
  return value !== null && typeof value === 'object';
}
