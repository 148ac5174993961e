// The version of the messages between agents, edges and stores (E1): deltas and heads carry it as
// `v`. The parts of a deployment are never replaced all at once, so each takes the version before
// its own and the one after. That works because of what a version may change: it adds members and
// calls, and gives none that is there another meaning. Senders say their own version and no other.
//
// Rejected: to negotiate. A delta goes to three stores and a head lies in a cache, so a message has
// many readers, and who they are is not known when it is written.

import * as z from 'zod/mini';
import { firstIssue } from '../schema.ts';
import { type Refusal, refuse } from './refusal.ts';

/** What this version says. What was said in each is recorded: test/vectors/protocol-<v>.json. */
export const PROTOCOL = 1;

/** Before the first version there was none. */
const FIRST = 1;

const versionSchema = z.looseObject({ v: z.int() });

/**
 * Whether a message can be read here, before its members are: those of a version that is too far
 * away are not ours to judge. Refusals: malformed, version-unsupported.
 */
export function protocolFault(message: unknown): Refusal | null {
  const parsed = versionSchema.safeParse(message);
  if (!parsed.success) return refuse('malformed', firstIssue(parsed.error));
  const { v } = parsed.data;
  const isNear = v >= Math.max(FIRST, PROTOCOL - 1) && v <= PROTOCOL + 1;
  return isNear ? null : refuse('version-unsupported', `v ${v}; spoken here is ${PROTOCOL}`);
}
