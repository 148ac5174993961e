// The decision about a request that nobody sent, by what is active at this agent.

import * as z from 'zod/mini';
import { factsSchema } from '../../shared/admission/facts.ts';
import { PATH_BYTES_MAX } from '../../shared/limits.ts';
import { decisionRecordSchema } from '../../shared/steering/explain.ts';
import { EXPLAIN_BODY_BYTES_MAX } from '../limits.ts';
import { type Answer, type Route, refusedAnswer, refusedSchema, route } from './route.ts';

export const EXPLAIN_PATH = '/v1/explain';

const inquirySchema = z
  .strictObject({
    host: z.string().check(z.minLength(1), z.maxLength(255)),
    method: factsSchema.shape.method,
    path: z.string().check(z.regex(/^\//), z.maxLength(PATH_BYTES_MAX)),
    upgrade: z.exactOptional(z.boolean()),
    client: z.exactOptional(z.string().check(z.maxLength(64))),
    country: z.exactOptional(z.string().check(z.regex(/^[A-Z]{2}$/))),
    colo: z.exactOptional(z.string().check(z.regex(/^[A-Za-z]{3}$/))),
    lat: z.exactOptional(z.number().check(z.gte(-90), z.lte(90))),
    lon: z.exactOptional(z.number().check(z.gte(-180), z.lte(180))),
  })
  .check(z.refine(({ lat, lon }) => (lat === undefined) === (lon === undefined), 'lat with lon'));

const DETAILS = {
  'no-state': [503, 'no version is active here yet'],
  'path-malformed': [400, 'the path is malformed; a query is no part of it'],
} as const;

export const explainRoutes: readonly Route[] = [
  route({
    method: 'POST',
    path: EXPLAIN_PATH,
    summary: 'Decide a request that nobody sent; the answer is a decision record',
    access: 'reader',
    body: { schema: inquirySchema, maxBytes: EXPLAIN_BODY_BYTES_MAX },
    answers: { 200: decisionRecordSchema, 503: refusedSchema },
    handle: ({ body }, { explain }): Answer => {
      const outcome = explain(body);
      if (outcome.kind === 'explained') return { status: 200, body: outcome.record };
      const [status, detail] = DETAILS[outcome.code];
      return refusedAnswer(status, outcome.code, detail);
    },
  }),
];
