// Commits: proposing one, and reading them. Whoever proposes needs no other right than the author's
// signature inside; whoever was second is told what is there instead.

import * as z from 'zod/mini';
import { jwsSchema } from '../../shared/control/jws.ts';
import { RETRY_AFTER_S } from '../../shared/limits.ts';
import { counterSchema, digestSchema } from '../../shared/schema.ts';
import { COMMIT_BODY_BYTES_MAX } from '../limits.ts';
import { SourceError } from '../ports.ts';
import type { ApiPorts } from './ports.ts';
import { type Answer, type ApiCode, type Route, refusedSchema, route } from './route.ts';

export const COMMITS_PATH = '/v1/commits';

/** The first version to be answered; all when it is left out. */
export const fromSchema = z.prefault(
  counterSchema.check(z.refine((version) => version > 0n, 'a version above 0')),
  '1',
);

export const landedSchema = z.object({ version: counterSchema, envelope: digestSchema });

export const conflictSchema = z.object({
  code: z.literal('conflict'),
  detail: z.string(),
  version: counterSchema,
  /** The newest version that the agent holds. */
  head: counterSchema,
  /** What is there from `version` on, signed. */
  commits: z.array(z.unknown()),
});

export const commitsSchema = z.object({
  head: z.object({
    generation: counterSchema,
    version: counterSchema,
    envelope: z.nullable(digestSchema),
  }),
  commits: z.array(z.unknown()),
  next: z.nullable(counterSchema),
});

export const commitRoutes: readonly Route[] = [
  route({
    method: 'POST',
    path: COMMITS_PATH,
    summary: 'Propose a signed commit; the same bytes may be sent again and land once',
    access: 'self-signed',
    body: { schema: jwsSchema, maxBytes: COMMIT_BODY_BYTES_MAX },
    answers: { 201: landedSchema, 409: conflictSchema, 422: refusedSchema, 503: refusedSchema },
    handle: ({ body }, ports) => proposed(body, ports),
  }),
  route({
    method: 'GET',
    path: COMMITS_PATH,
    summary: 'Signed commits from a version on, oldest first',
    access: 'reader',
    query: z.strictObject({ from: fromSchema }),
    answers: { 200: commitsSchema, 503: refusedSchema },
    handle: ({ query }, { commits }) =>
      readable(async () => ({ status: 200, body: await commits(query.from) })),
  }),
];

async function proposed(input: unknown, { propose, commits }: ApiPorts): Promise<Answer> {
  const outcome = await propose(input);
  switch (outcome.kind) {
    case 'landed': {
      const { version, envelope } = outcome;
      return { status: 201, body: { version, envelope } };
    }
    case 'conflict': {
      const { version, head } = outcome;
      // That somebody was first is certain; what they wrote is told where it can be read.
      const there = await commits(version).catch(emptyWhereUnreadable);
      const detail = `version ${version} is taken, the head is ${head}`;
      const code = 'conflict' satisfies ApiCode;
      return { status: 409, body: { code, detail, version, head, commits: there.commits } };
    }
    case 'unavailable':
      return unreadable(outcome.detail);
    case 'refused': {
      const { code, detail } = outcome;
      return { status: 422, body: { code, detail } };
    }
  }
}

function emptyWhereUnreadable(error: unknown): { readonly commits: readonly unknown[] } {
  if (error instanceof SourceError) return { commits: [] };
  throw error;
}

/** What a source that cannot be read means for whoever asks. */
export async function readable(read: () => Promise<Answer>): Promise<Answer> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof SourceError) return unreadable(error.message);
    throw error;
  }
}

export function unreadable(detail: string): Answer {
  const code = 'source-unreadable' satisfies ApiCode;
  return { status: 503, body: { code, detail }, retryAfterS: RETRY_AFTER_S.base };
}
