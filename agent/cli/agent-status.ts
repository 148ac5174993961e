// What agents say of themselves, asked over HTTP and read with suspicion: any number may be missing
// or of a later version, and nothing here is trusted for more than being shown.

import * as z from 'zod/mini';
import { parseJson } from '../../shared/canonical.ts';
import { ingestAnswerSchema, storeAnswerSchema } from '../../shared/control/answer.ts';
import { counterSchema, firstIssue } from '../../shared/schema.ts';
import { codeOf } from '../adapters/durable-file.ts';
import { STATUS_PATH } from '../api/listen.ts';
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
export function askAgents(urls: readonly string[]): Promise<readonly Heard[]> {
  return Promise.all(
    urls.map(async (url): Promise<Heard> => {
      try {
        return { kind: 'answered', url, ...(await askAgent(url)) };
      } catch (error) {
        return { kind: 'unreachable', url, reason: reasonOf(error) };
      }
    }),
  );
}

async function askAgent(url: string): Promise<{ status: AgentStatus; raw: unknown }> {
  const response = await fetch(new URL(STATUS_PATH, url), {
    redirect: 'error',
    signal: AbortSignal.timeout(STATUS_TIMEOUT_MS),
  });
  const text = await boundedText(response);
  if (response.status !== 200) throw new Error(`answered ${response.status}`);
  const raw = parseJson(text)?.value;
  const parsed = statusSchema.safeParse(raw);
  if (!parsed.success) throw new Error(`answered no status: ${firstIssue(parsed.error)}`);
  return { status: parsed.data, raw };
}

/** The body as text, up to STATUS_BYTES_MAX. Rejects beyond it. */
export async function boundedText({ body }: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of body ?? []) {
    text += decoder.decode(chunk as Uint8Array, { stream: true });
    if (text.length > STATUS_BYTES_MAX) throw new Error('the answer is too large');
  }
  return text + decoder.decode();
}

/** What fetch says is "fetch failed"; why is in its cause. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  return cause instanceof Error ? codeOf(cause) || cause.message : error.message;
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
