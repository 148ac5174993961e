// Trust documents and joins, as the source has them: signed by root keys and by operators, for the
// reader to verify.

import * as z from 'zod/mini';
import { jwsSchema } from '../../shared/control/jws.ts';
import { counterSchema, idSchema } from '../../shared/schema.ts';
import type { PublishedTrust } from '../control/publish-trust.ts';
import { TRUST_BODY_BYTES_MAX, TRUSTS_PER_ANSWER_MAX } from '../limits.ts';
import { fromSchema, readable, unreadable } from './commits.ts';
import type { ApiPorts } from './ports.ts';
import { type Answer, type Route, refusedAnswer, refusedSchema, route } from './route.ts';

export const TRUST_PATH = '/v1/trust';

export const trustAnswerSchema = z.object({
  /** Signed documents of consecutive versions. */
  trust: z.array(z.unknown()),
  /** Where to go on; null when there is no newer one. */
  next: z.nullable(counterSchema),
});

export const publishedSchema = z.object({ version: counterSchema });

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
    method: 'POST',
    path: TRUST_PATH,
    summary: 'Publish the next trust document, signed by root keys, old and new',
    access: 'self-signed',
    body: { schema: jwsSchema, maxBytes: TRUST_BODY_BYTES_MAX },
    answers: { 201: publishedSchema, 409: publishedSchema, 422: refusedSchema, 503: refusedSchema },
    handle: async ({ body }, { publishTrust }) => published(await publishTrust(body)),
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

function published(outcome: PublishedTrust): Answer {
  switch (outcome.kind) {
    case 'created':
      return { status: 201, body: { version: outcome.version } };
    case 'exists':
      return { status: 409, body: { version: outcome.version } };
    case 'unavailable':
      return unreadable(outcome.detail);
    case 'refused':
      return { status: 422, body: { code: outcome.code, detail: outcome.detail } };
  }
}

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
