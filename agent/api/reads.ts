// What an agent tells of itself and of the others: status, history, attestations.

import * as z from 'zod/mini';
import { envelopeSchema } from '../../shared/control/envelope.ts';
import { counterSchema, digestSchema } from '../../shared/schema.ts';
import { HISTORY_ENTRIES_MAX } from '../limits.ts';
import { type Route, route } from './route.ts';

export const STATUS_PATH = '/v1/status';
export const HISTORY_PATH = '/v1/history';
export const ATTESTATIONS_PATH = '/v1/attestations';

const HISTORY_DEFAULT = '20';

/** Numbers of a query are text. */
const limitSchema = z.pipe(
  z.string().check(z.regex(/^[1-9][0-9]{0,3}$/, { error: 'a number above 0', abort: true })),
  z.transform((text: string) => Math.min(Number(text), HISTORY_ENTRIES_MAX)),
);

const { author, class: classSchema, reason } = envelopeSchema.shape;

export const historySchema = z.object({
  /** Newest first. */
  commits: z.array(
    z.object({
      generation: counterSchema,
      version: counterSchema,
      author,
      class: classSchema,
      reason,
      operations: z.int(),
      digest: digestSchema,
      state: z.enum(['active', 'pending']),
      attestedBy: z.array(z.string()),
    }),
  ),
});

export const attestationsSchema = z.object({
  /** The newest valid one of each agent, signed. */
  attestations: z.array(z.unknown()),
  sites: z.record(
    z.string(),
    z.array(
      z.object({
        agent: z.string(),
        mode: z.enum(['live', 'frozen']),
        generation: counterSchema,
        version: counterSchema,
        envelope: digestSchema,
        commitIndex: counterSchema,
        ageMs: z.number(),
      }),
    ),
  ),
  equivocators: z.array(z.string()),
});

export const readRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/healthz',
    summary: 'Whether the agent answers at all',
    access: 'open',
    answers: { 200: z.object({ ok: z.literal(true) }) },
    handle: () => ({ status: 200, body: { ok: true } }),
  }),
  route({
    method: 'GET',
    path: STATUS_PATH,
    summary: 'What this agent holds, and what edges, stores and peers answered it',
    access: 'reader',
    answers: { 200: z.looseObject({}) },
    handle: (_, { status }) => ({ status: 200, body: status() }),
  }),
  route({
    method: 'GET',
    path: HISTORY_PATH,
    summary: 'The newest commits, and which sites stand behind each',
    access: 'reader',
    query: z.strictObject({ limit: z.prefault(limitSchema, HISTORY_DEFAULT) }),
    answers: { 200: historySchema },
    handle: ({ query }, { history }) => ({ status: 200, body: { commits: history(query.limit) } }),
  }),
  route({
    method: 'GET',
    path: ATTESTATIONS_PATH,
    summary: 'The newest valid attestation of each agent',
    access: 'reader',
    answers: { 200: attestationsSchema },
    handle: (_, { attestations }) => ({ status: 200, body: attestations() }),
  }),
];
