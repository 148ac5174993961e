// Facts: everything a decision may look at, parsed once from the request (S1). A decision that
// needs more than this cannot be explained later, so nothing else is passed.

import * as z from 'zod/mini';
import { PATH_BYTES_MAX } from '../limits.ts';

export const factsSchema = z.strictObject({
  /** Lower case, without port. */
  host: z.string().check(z.maxLength(255)),
  method: z.string().check(z.regex(/^[A-Z]{1,16}$/)),
  /** Normalised once (`normalisePath`), before anything is routed or admitted. */
  path: z.string().check(z.regex(/^\//), z.maxLength(PATH_BYTES_MAX)),
  /** Asks for an upgrade (WebSocket): a session. */
  upgrade: z.boolean(),
  /** Network of the client, coarse: keeps one client on one region (S4). */
  client: z.string().check(z.maxLength(64)),
  /** From `cf`; absent when Cloudflare did not say. */
  country: z.exactOptional(z.string()),
  colo: z.exactOptional(z.string()),
  at: z.exactOptional(z.tuple([z.number(), z.number()])),
});

export type Facts = z.infer<typeof factsSchema>;
