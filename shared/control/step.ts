// A STEP (C3): a change as somebody who may not author commits signs it. It says what it stands on
// and how long it may land, but not where: other commits in between do not void it. Provisioners
// sign one step a tenant; agents make batches of them (`batch.ts`).

import * as z from 'zod/mini';
import { OPERATIONS_PER_COMMIT_MAX, STEP_BYTES_MAX, STEP_READS_MAX } from '../limits.ts';
import { counterSchema, digestSchema, idSchema, opIdSchema } from '../schema.ts';
import { parseOperations } from './edits.ts';
import { KEY_LENGTH_MAX, operationSchema } from './envelope.ts';
import type { DocumentKind } from './jws.ts';
import type { Placement, Tenant } from './record.ts';
import { isRefusal, type Refusal, refuse } from './refusal.ts';

export const stepSchema = z.strictObject({
  kind: z.literal('step'),
  cluster: idSchema,
  generation: counterSchema,
  /** A new one for each step; sent again it means the same step. */
  opId: opIdSchema,
  class: z.enum(['normal', 'safety']),
  operations: z
    .array(operationSchema)
    .check(z.minLength(1), z.maxLength(OPERATIONS_PER_COMMIT_MAX)),
  /** Digests of the records it was made from, by key; null: there was none. */
  reads: z
    .record(z.string().check(z.maxLength(KEY_LENGTH_MAX)), z.nullable(digestSchema))
    .check(z.refine((reads) => Object.keys(reads).length <= STEP_READS_MAX, 'too many reads')),
  /** The last version as which it may land. */
  notAfterVersion: counterSchema,
});

export type Step = z.infer<typeof stepSchema>;

export const stepKind: DocumentKind<Step> = {
  typ: 'portolan-step+json',
  maxBytes: STEP_BYTES_MAX,
  schema: stepSchema,
};

/** What a provisioner may do, and nothing else: resuming and changing are for operators. */
export type Act =
  | {
      readonly kind: 'create';
      readonly id: string;
      readonly tenant: Tenant & { readonly template: string };
      readonly placement: Placement;
    }
  | { readonly kind: 'suspend'; readonly id: string; readonly tenant: Tenant }
  | { readonly kind: 'retire'; readonly id: string };

/** What the step does, told without any state. Refusals: step, and those of `parseOperations`. */
export function actOf(step: Step): Act | Refusal {
  if (step.class !== 'normal') return refuse('step', 'a provisioner’s step is of class normal');
  const edits = parseOperations(step.operations);
  if (isRefusal(edits)) return edits;
  const [first, ...others] = edits.tenants;
  if (first === undefined || others.length > 0 || edits.global.length > 0) {
    return refuse('step', 'a provisioner’s step is about one tenant');
  }
  const [id, { tenant, placement }] = first;
  if (tenant === null && placement === undefined) return { kind: 'retire', id };
  if (tenant === undefined || tenant === null) {
    return refuse('step', `${id}: a provisioner moves no placement`);
  }
  if (tenant.step !== step.opId) return refuse('step', `${id}: the record does not name the step`);
  if (placement === undefined) {
    if (tenant.suspended === true) return { kind: 'suspend', id, tenant };
    return refuse('step', `${id}: a provisioner creates, suspends and retires, nothing else`);
  }
  const { template } = tenant;
  if (template === undefined || tenant.suspended === true) {
    return refuse('step', `${id}: a new tenant has a template and is not suspended`);
  }
  return { kind: 'create', id, tenant: { ...tenant, template }, placement };
}
