// The envelope of a commit (C3): the change, its place in the chain, and the digest of the manifest
// it leads to, signed by its author. The same bytes go to etcd (or a directory), to every agent and
// to every edge, so no hop has to be believed.

import * as z from 'zod/mini';
import { COMMIT_BYTES_MAX, OPERATIONS_PER_COMMIT_MAX } from '../limits.ts';
import { counterSchema, digestSchema, idSchema, opIdSchema } from '../schema.ts';
import type { DocumentKind } from './jws.ts';

export const KEY_LENGTH_MAX = 160;
const REASON_LENGTH_MAX = 500;

export const operationSchema = z.discriminatedUnion('op', [
  z.strictObject({
    op: z.literal('put'),
    key: z.string().check(z.maxLength(KEY_LENGTH_MAX)),
    value: z.unknown(),
  }),
  z.strictObject({
    op: z.literal('delete'),
    key: z.string().check(z.maxLength(KEY_LENGTH_MAX)),
  }),
]);

export type Operation = z.infer<typeof operationSchema>;

/** `normal`: one operator. `safety`: the safety threshold of distinct keys (C6). */
export type ChangeClass = 'normal' | 'safety';

export const envelopeSchema = z.strictObject({
  kind: z.literal('commit'),
  cluster: idSchema,
  generation: counterSchema,
  version: counterSchema,
  /** Digest of the envelope before; null in version 1. */
  previous: z.nullable(digestSchema),
  lamport: counterSchema,
  /** Version of the trust document under which it is authored: who may sign, which sites are. */
  trust: counterSchema,
  class: z.enum(['normal', 'safety']),
  author: idSchema,
  reason: z.string().check(z.minLength(1), z.maxLength(REASON_LENGTH_MAX)),
  /** Chosen by the author; an ambiguous write is recognised by it. */
  opId: opIdSchema,
  /** None only where `trust` rises: such a commit completes a rotation. */
  operations: z.array(operationSchema).check(z.maxLength(OPERATIONS_PER_COMMIT_MAX)),
  /** Digest of the resulting manifest. */
  manifest: digestSchema,
  /** Of an agent's commit: the one co-signed batch of steps it carries (C3). Else empty. */
  approvals: z.array(z.unknown()),
});

export type Envelope = z.infer<typeof envelopeSchema>;

export const envelopeKind: DocumentKind<Envelope> = {
  typ: 'portolan-commit+json',
  maxBytes: COMMIT_BYTES_MAX,
  schema: envelopeSchema,
};
