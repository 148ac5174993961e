// The one place of the world that polls.
//
// What another process does often has no event this side could await: that it is gone, that its
// port is closed, that an edge serves a version. `until` asks again and again up to a deadline, and
// its error says what was waited for and what was seen last, so that a failed scenario reads as a
// sentence. Where an event exists (a line, an exit, an answer), await that instead.

import { readFileSync } from 'node:fs';

const PAUSE_MS = 20;

type Truthy<T> = Exclude<T, false | null | undefined>;

/** The first answer that is not false, null or undefined. A probe that throws says "not yet". */
export async function until<T>(
  what: string,
  probe: () => T | Promise<T>,
  options: { readonly deadlineMs: number },
): Promise<Truthy<T>> {
  const deadline = performance.now() + options.deadlineMs;
  let last: unknown;
  for (;;) {
    try {
      last = await probe();
      if (last !== false && last !== null && last !== undefined) return last as Truthy<T>;
    } catch (error) {
      last = error;
    }
    if (performance.now() >= deadline) {
      const seen = last instanceof Error ? last.message : JSON.stringify(last);
      throw new Error(`${what}: not within ${options.deadlineMs} ms (last seen: ${seen})`);
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

/**
 * Whether a process still runs. A zombie does not: where nobody collects it (a container's init),
 * it stays listed.
 */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  return process.platform !== 'linux' || stateOf(pid) !== 'Z';
}

function stateOf(pid: number): string | undefined {
  try {
    // "pid (command) state ...": the command may hold spaces and brackets, so read from its last
    // one.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3);
  } catch {
    return 'Z'; // it went between the two looks
  }
}

/**
 * The pace of what goes on until it is ended (live lines, demonstration traffic); no test uses it.
 */
export async function pause(ms: number, ended: AbortSignal): Promise<void> {
  if (ended.aborted) return;
  const over = Promise.withResolvers<void>();
  const timer = setTimeout(over.resolve, ms);
  const end = () => over.resolve();
  ended.addEventListener('abort', end, { once: true });
  await over.promise;
  clearTimeout(timer);
  ended.removeEventListener('abort', end);
}
