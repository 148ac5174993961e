// A BATCH (C3): steps that agents want to commit together. It is what co-signers sign: each has
// verified the provisioners' signatures and judged every step at its own state. A commit that an
// agent authors carries one batch, signed by agents of a threshold of distinct sites, so that no
// single stolen agent commits anything (I16), and its operations are exactly those of the steps.
//
// Like a step, a batch is not bound to a version: a conflict does not void the co-signatures.

import * as z from 'zod/mini';
import { canonical } from '../canonical.ts';
import type { Crypto, Hasher } from '../crypto.ts';
import { digestOf } from '../digest.ts';
import { BATCH_BYTES_MAX, STEPS_PER_BATCH_MAX } from '../limits.ts';
import { counterSchema, digestSchema, idSchema, opIdSchema } from '../schema.ts';
import type { Envelope, Operation } from './envelope.ts';
import { type DocumentKind, decodeJws, type Verified, verifyJws } from './jws.ts';
import { type Refusal, refuse } from './refusal.ts';
import { type Step, stepKind } from './step.ts';
import { keyringOf, type TrustDoc } from './trust.ts';

export const batchSchema = z.strictObject({
  kind: z.literal('batch'),
  cluster: idSchema,
  generation: counterSchema,
  /** Also that of the commit which carries it. */
  opId: opIdSchema,
  class: z.literal('normal'),
  /** Digest of the operations of all steps, in their order. */
  operations: digestSchema,
  /** As their provisioners signed them. */
  steps: z.array(z.unknown()).check(z.minLength(1), z.maxLength(STEPS_PER_BATCH_MAX)),
  notAfterVersion: counterSchema,
});

export type Batch = z.infer<typeof batchSchema>;

export const batchKind: DocumentKind<Batch> = {
  typ: 'portolan-batch+json',
  maxBytes: BATCH_BYTES_MAX,
  schema: batchSchema,
};

/** By what an agent may author a commit: every signature in it holds. Made by `openBatch` alone. */
export interface Mandate {
  readonly kind: 'mandate';
  readonly batch: Verified<Batch>;
  /** In the order of the batch. */
  readonly steps: readonly Verified<Step>[];
}

export function operationsOf(steps: readonly { readonly value: Step }[]): readonly Operation[] {
  return steps.flatMap(({ value }) => value.operations);
}

/** What is to be co-signed: `steps` together, for as long as each of them may land. */
export function batchOf(
  steps: readonly Verified<Step>[],
  place: Pick<Batch, 'cluster' | 'generation' | 'opId'>,
  hasher: Hasher,
): Batch {
  const last = steps.map(({ value }) => value.notAfterVersion);
  const [notAfterVersion = 0n] = last.sort((a, b) => (a < b ? -1 : 1));
  return {
    kind: 'batch',
    ...place,
    class: 'normal',
    operations: digestOf(operationsOf(steps), hasher),
    steps: steps.map(({ jws }) => jws),
    notAfterVersion,
  };
}

/**
 * A provisioner's step, and nobody else's. Refusals: those of `decodeJws`, key-unknown, signature,
 * step (several signed), cluster.
 */
export async function openStep(
  input: unknown,
  trust: TrustDoc,
  crypto: Crypto,
): Promise<Verified<Step> | Refusal> {
  const decoded = decodeJws(input, stepKind, crypto);
  if (!('claimed' in decoded)) return decoded;
  const { cluster } = decoded.claimed;
  if (cluster !== trust.cluster) return refuse('cluster', cluster);
  if (decoded.signatures.length !== 1) return refuse('step', 'a step has one signature');
  return verifyJws(decoded, keyringOf(trust, 'provisioner'), crypto);
}

/**
 * Verifies a batch, however many signed it, and all steps in it. Refusals: those of `decodeJws`,
 * key-unknown, signature, cluster, generation, op-id (one step twice), operations, and those of
 * `openStep`.
 */
export async function openBatch(
  input: unknown,
  trust: TrustDoc,
  crypto: Crypto,
): Promise<Mandate | Refusal> {
  const decoded = decodeJws(input, batchKind, crypto);
  if (!('claimed' in decoded)) return decoded;
  const { cluster } = decoded.claimed;
  if (cluster !== trust.cluster) return refuse('cluster', cluster);
  // Before the steps, so that only an agent makes us pay for a hundred signatures.
  const batch = await verifyJws(decoded, keyringOf(trust, 'agent'), crypto);
  if ('code' in batch) return batch;
  const steps: Verified<Step>[] = [];
  for (const jws of batch.value.steps) {
    const step = await openStep(jws, trust, crypto);
    if ('code' in step) return step;
    steps.push(step);
  }
  return batchFault(batch.value, steps, crypto) ?? { kind: 'mandate', batch, steps };
}

function batchFault(
  batch: Batch,
  steps: readonly Verified<Step>[],
  hasher: Hasher,
): Refusal | null {
  const opIds = new Set<string>();
  for (const { value } of steps) {
    if (value.generation !== batch.generation) return refuse('generation', `${value.opId}`);
    if (opIds.has(value.opId)) return refuse('op-id', `${value.opId} is in the batch twice`);
    opIds.add(value.opId);
  }
  if (digestOf(operationsOf(steps), hasher) === batch.operations) return null;
  return refuse('operations', 'the batch is not of the operations of its steps');
}

/**
 * Does `mandate` allow this very commit, as far as can be told without state? Refusals:
 * cosignatures (fewer sites than the threshold), op-id, generation, class, operations,
 * step-expired.
 */
export function mandateFault(
  envelope: Envelope,
  { batch, steps }: Mandate,
  trust: TrustDoc,
): Refusal | null {
  const sites = cosigners(batch, trust);
  if (sites.size < trust.threshold) {
    return refuse('cosignatures', `${sites.size} of ${trust.threshold} sites`);
  }
  const { opId, generation, notAfterVersion } = batch.value;
  if (envelope.opId !== opId) return refuse('op-id', `${envelope.opId}, not ${opId}`);
  if (envelope.generation !== generation) return refuse('generation', `${generation}`);
  if (envelope.class !== 'normal') return refuse('class', 'a batch is of class normal');
  // Attack: an agent that adds an operation of its own to what was co-signed.
  if (canonical(envelope.operations) !== canonical(operationsOf(steps))) {
    return refuse('operations', 'not the operations of the steps');
  }
  const last = [notAfterVersion, ...steps.map(({ value }) => value.notAfterVersion)];
  const expired = last.some((version) => envelope.version > version);
  return expired ? refuse('step-expired', `as version ${envelope.version}`) : null;
}

/** The sites that co-signed: one however many of its agents did (C3, C10). */
export function cosigners({ kids }: Verified<Batch>, trust: TrustDoc): ReadonlySet<string> {
  const sites = new Set<string>();
  for (const kid of kids) {
    const role = trust.roles.get(kid);
    if (role?.kind === 'agent') sites.add(role.site);
  }
  return sites;
}
