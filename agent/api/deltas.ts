// Deltas from other agents. The sender's signature is inside (C9); the answer says where this agent
// stands, also where it refuses what an agent brought. A stranger is told the code alone.

import * as z from 'zod/mini';
import { storeAnswerSchema } from '../../shared/control/answer.ts';
import { deltaSchema } from '../../shared/control/delta.ts';
import { DELTA_BYTES_MAX } from '../../shared/limits.ts';
import { type Route, route } from './route.ts';

export const DELTA_PATH = '/v1/delta';

const strangerSchema = z.object({ code: z.string() });

export const deltaRoutes: readonly Route[] = [
  route({
    method: 'POST',
    path: DELTA_PATH,
    summary: 'Hand over attestations, signed by their agents and by the sender',
    access: 'self-signed',
    // A delta of another version must be answered in its own words, so its reader judges the form.
    body: { schema: deltaSchema, maxBytes: DELTA_BYTES_MAX, opaque: true },
    answers: { 200: storeAnswerSchema, 403: strangerSchema },
    handle: async ({ text }, { deliver }) => {
      const answer = await deliver(text);
      if ('kind' in answer) return { status: 403, body: { code: answer.code } };
      return { status: 200, body: answer };
    },
  }),
];
