// Trust documents and joins, as the source has them: signed by root keys and by operators, for the
// reader to verify.

import * as z from 'zod/mini';
import { TRUSTS_PER_ANSWER_MAX } from '../../shared/limits.ts';
import { counterSchema, idSchema } from '../../shared/schema.ts';
import { fromSchema, readable } from './commits.ts';
import type { ApiPorts } from './ports.ts';
import { type Answer, type Route, refusedAnswer, refusedSchema, route } from './route.ts';

export const TRUST_PATH = '/v1/trust';

export const trustAnswerSchema = z.object({
  /** Signed documents of consecutive versions. */
  trust: z.array(z.unknown()),
  /** Where to go on; null when there is no newer one. */
  next: z.nullable(counterSchema),
});

export const trustRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: TRUST_PATH,
    summary: 'Signed trust documents from a version on',
    access: 'reader',
    query: z.strictObject({ from: fromSchema }),
    answers: { 200: trustAnswerSchema, 503: refusedSchema },
    handle: ({ query }, ports) => readable(() => trustFrom(query.from, ports)),
  }),
  route({
    method: 'GET',
    path: '/v1/joins/:agent',
    summary: 'The signed join of an agent',
    access: 'reader',
    params: z.strictObject({ agent: idSchema }),
    answers: { 200: z.object({ join: z.unknown() }), 503: refusedSchema },
    handle: ({ params }, { join }) =>
      readable(async () => {
        const found = await join(params.agent);
        if (found === null) return refusedAnswer(404, 'not-found', `no join of ${params.agent}`);
        return { status: 200, body: { join: found } };
      }),
  }),
];

async function trustFrom(from: bigint, { trust }: ApiPorts): Promise<Answer> {
  const found: unknown[] = [];
  let version = from;
  while (found.length < TRUSTS_PER_ANSWER_MAX) {
    const document = await trust(version);
    if (document === null) return { status: 200, body: { trust: found, next: null } };
    found.push(document);
    version++;
  }
  return { status: 200, body: { trust: found, next: version } };
}
