// Asking several sources at once, each a little later than the one before (E3). The first answer
// that its taker finds good enough ends the race; a poisoned, lagging or missing one does not, and
// a source that hangs costs the next one's delay and nothing more.
//
// Rejected: Promise.any over all sources. It would ask every store for every read, and its winner
// is who is first, not who is right.

import { RACE_STAGGER_MS, RACE_TICK_MS, STORE_READ_TIMEOUT_MS } from '../../shared/limits.ts';
import type { EdgePorts } from '../env.ts';
import type { View } from './view.ts';

export interface Source {
  readonly id: string;
  readonly kind: 'cache' | 'store' | 'gateway';
  /** It is asked so long after the race began, or as soon as nobody else is being asked. */
  readonly afterMs: number;
  /** Its answer, null when it has none. `over` aborts when nobody waits for it any more. */
  readonly ask: (over: AbortSignal) => Promise<string | null>;
}

export interface Goal {
  /** Is it there without us, because another request of this isolate has brought it? */
  readonly reached: () => boolean;
  /** Judges an answer; true ends the race. */
  readonly take: (text: string, source: Source) => boolean | Promise<boolean>;
}

export interface Track {
  readonly view: View;
  readonly ports: EdgePorts;
  readonly deadlineMs: number;
}

/**
 * Asks `sources`, which are in the order of their delays, until `goal` is reached, all have
 * answered, or the deadline. Never rejects.
 */
export async function race(sources: readonly Source[], goal: Goal, track: Track): Promise<boolean> {
  const { view, ports, deadlineMs } = track;
  const beganMs = ports.nowMs();
  const over = new AbortController();
  const waiting = [...sources];
  const asked = new Map<Source, { readonly atMs: number; readonly done: Promise<void> }>();
  let won = false;
  const run = async (source: Source, release: () => void) => {
    const text = await answerOf(source, track, over.signal);
    if (text !== null && !over.signal.aborted && (await goal.take(text, source))) won = true;
    // Now, and not before: whoever gets the slot shall find in the view what this one brought.
    release();
    asked.delete(source);
  };
  while (!won && !goal.reached()) {
    const nowMs = ports.nowMs();
    if (nowMs >= deadlineMs) break;
    let isFull = false;
    for (const source of [...waiting]) {
      const isDue = nowMs - beganMs >= source.afterMs;
      if (!isDue && (asked.size > 0 || isFull)) break;
      const release = source.kind === 'cache' ? () => {} : view.slots.take(source.id, nowMs);
      if (release === null) {
        isFull = true;
        continue;
      }
      waiting.splice(waiting.indexOf(source), 1);
      asked.set(source, { atMs: nowMs, done: run(source, release) });
    }
    if (asked.size === 0 && waiting.length === 0) break;
    const nextMs = waiting.map(({ afterMs }) => beganMs + afterMs - nowMs).filter((ms) => ms > 0);
    const waitMs = Math.min(RACE_TICK_MS, deadlineMs - nowMs, ...nextMs);
    await Promise.race([elapsed(waitMs, ports), ...[...asked.values()].map(({ done }) => done)]);
  }
  noteSlow(asked, track);
  over.abort();
  return won || goal.reached();
}

/** Who was overtaken comes last for a while, so that it costs its delay once. */
function noteSlow(
  asked: ReadonlyMap<Source, { readonly atMs: number }>,
  { view, ports }: Track,
): void {
  const nowMs = ports.nowMs();
  for (const [{ id, kind }, { atMs }] of asked) {
    if (kind !== 'cache' && nowMs - atMs >= RACE_STAGGER_MS) view.noteFailure(id, nowMs);
  }
}

/** What a source answers in time; null, and counted, when it does not. */
async function answerOf(
  { id, kind, ask }: Source,
  { view, ports }: Track,
  over: AbortSignal,
): Promise<string | null> {
  try {
    const late = ports.timeout(STORE_READ_TIMEOUT_MS, 'store-timeout');
    return await Promise.race([ask(over), late]);
  } catch (error) {
    if (kind === 'cache' || over.aborted) return null;
    const late = error instanceof Error && error.message === 'store-timeout';
    const code = late ? 'store-timeout' : 'store-failed';
    view.count(kind === 'gateway' ? 'gateway-unreachable' : code);
    view.noteFailure(id, ports.nowMs());
    return null;
  }
}

async function elapsed(ms: number, ports: EdgePorts): Promise<void> {
  await ports.timeout(ms, 'tick').catch(() => {});
}
