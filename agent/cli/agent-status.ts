// What agents say of themselves, asked over HTTP and read with suspicion: any number may be missing
// or of a later version, and nothing here is trusted for more than being shown.

import * as z from 'zod/mini';
import { ingestAnswerSchema, storeAnswerSchema } from '../../shared/control/answer.ts';
import { counterSchema, firstIssue } from '../../shared/schema.ts';
import { STATUS_PATH } from '../api/reads.ts';
import { type AgentAccess, askAgent, reasonOf } from './agent-http.ts';
import { STATUS_BYTES_MAX, STATUS_TIMEOUT_MS } from './limits.ts';

const targetSchema = z.object({
  url: z.string(),
  kind: z.enum(['edge', 'peer']),
  state: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('untried') }),
    z.object({ kind: z.literal('answered'), atMs: z.number(), answer: z.unknown() }),
    z.object({ kind: z.literal('failed'), atMs: z.number(), reason: z.string() }),
  ]),
});

const storeSchema = z.object({
  store: z.string(),
  seq: counterSchema,
  refused: z.nullable(z.string()),
  applied: z.nullable(z.object({ generation: counterSchema, version: counterSchema })),
  lag: z.nullable(counterSchema),
  lagMs: z.nullable(z.number()),
  missing: counterSchema,
});

const statusSchema = z.object({
  site: z.string(),
  agent: z.string(),
  cluster: z.string(),
  head: z.object({ generation: counterSchema, version: counterSchema }),
  active: z.nullable(
    z.object({ generation: counterSchema, version: counterSchema, ageMs: z.number() }),
  ),
  sitesHeard: z.array(z.string()),
  equivocators: z.array(z.string()),
  verdicts: z.record(z.string(), z.string()),
  alarms: z.record(z.string(), z.number()),
  /** By their receipts (C11); absent at an agent of the version before. */
  stores: z._default(z.array(storeSchema), []),
  targets: z.array(targetSchema),
});

export type AgentStatus = z.infer<typeof statusSchema>;

export type Heard =
  | {
      readonly kind: 'answered';
      readonly url: string;
      readonly status: AgentStatus;
      readonly raw: unknown;
    }
  | { readonly kind: 'unreachable'; readonly url: string; readonly reason: string };

/** Asks every agent at once. Never rejects: an agent that is down is an answer too. */
export function askAgents(urls: readonly string[], access: AgentAccess): Promise<readonly Heard[]> {
  return Promise.all(
    urls.map(async (url): Promise<Heard> => {
      try {
        return { kind: 'answered', url, ...(await askStatus(url, access)) };
      } catch (error) {
        return { kind: 'unreachable', url, reason: reasonOf(error) };
      }
    }),
  );
}

async function askStatus(
  url: string,
  access: AgentAccess,
): Promise<{ status: AgentStatus; raw: unknown }> {
  const bounds = { timeoutMs: STATUS_TIMEOUT_MS, maxBytes: STATUS_BYTES_MAX };
  const question = { method: 'GET', target: STATUS_PATH, ...bounds } as const;
  const { status, value: raw } = await askAgent(url, question, access);
  if (status !== 200) throw new Error(`answered ${status}`);
  const parsed = statusSchema.safeParse(raw);
  if (!parsed.success) throw new Error(`answered no status: ${firstIssue(parsed.error)}`);
  return { status: parsed.data, raw };
}

/** One edge or store as the agents last heard of it. */
export interface Follower {
  readonly name: string;
  /** null: it did not say. */
  readonly version: bigint | null;
  readonly ageMs: number | null;
  readonly floor: bigint | null;
  /** Why there is nothing to show, or what it refused. */
  readonly trouble: string;
}

/** Edges, their stores, and peers, in that order. */
export function followersOf(status: AgentStatus): readonly Follower[] {
  return status.targets.flatMap((target): readonly Follower[] => {
    const name = `${target.kind} ${target.url}`;
    const nothing = { name, version: null, ageMs: null, floor: null };
    const { state } = target;
    if (state.kind === 'untried') return [{ ...nothing, trouble: 'not asked yet' }];
    if (state.kind === 'failed') return [{ ...nothing, trouble: state.reason }];
    if (target.kind === 'peer') {
      const peer = storeAnswerSchema.safeParse(state.answer);
      return [peer.success ? storeOf(name, peer.data) : { ...nothing, trouble: 'unreadable' }];
    }
    const answer = ingestAnswerSchema.safeParse(state.answer);
    if (!answer.success) return [{ ...nothing, trouble: 'unreadable' }];
    const { edge, stores } = answer.data;
    const { version, ageMs } = edge;
    return [
      { name, version, ageMs, floor: null, trouble: '' },
      ...stores.map((store) => storeOf(`  store ${store.id}`, store)),
    ];
  });
}

function storeOf(
  name: string,
  { head, floor, code, refused }: z.infer<typeof storeAnswerSchema>,
): Follower {
  const trouble = [...(code === undefined ? [] : [code]), ...refused].join(', ');
  const version = head?.version ?? null;
  return { name, version, ageMs: null, floor: floor?.version ?? null, trouble };
}
