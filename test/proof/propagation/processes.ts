// CPU of processes as Linux accounts it (/proc), in ms. Elsewhere there is none, and who asks is
// told so.

import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** USER_HZ, the unit of what /proc tells: 100 on every Linux that Node runs on. */
const TICK_MS = 10;

type Process = { readonly pid: number; readonly parent: number; readonly cpuMs: number };

export function isAccounted(): boolean {
  return process.platform === 'linux';
}

/** CPU of one process so far, with its threads, without its children. */
export function cpuOf(pid: number): number {
  return readProcess(pid)?.cpuMs ?? 0;
}

/** Every process below `root`, and that one. */
export function below(root: number): readonly Process[] {
  const all = pids().flatMap((pid) => readProcess(pid) ?? []);
  const found = all.filter(({ pid }) => pid === root);
  for (const one of found) found.push(...all.filter(({ parent }) => parent === one.pid));
  return found;
}

/** Does it hold a file open whose path has this in it? */
export function holdsOpen(pid: number, part: string): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => {
      try {
        return readlinkSync(`/proc/${pid}/fd/${fd}`).includes(part);
      } catch {
        return false;
      }
    });
  } catch {
    return false; // it has ended
  }
}

/** A moment of the whole machine: what all processes used, and how much there was, ms. */
export function machineNow(): { readonly busyMs: number; readonly allMs: number } {
  const [first = ''] = readFileSync('/proc/stat', 'utf8').split('\n');
  // user nice system idle iowait irq softirq steal; guest times are in user already
  const ticks = first.trim().split(/\s+/).slice(1, 9).map(Number);
  const all = ticks.reduce((sum, one) => sum + one, 0);
  const idle = (ticks[3] ?? 0) + (ticks[4] ?? 0);
  return { busyMs: (all - idle) * TICK_MS, allMs: all * TICK_MS };
}

function pids(): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

/** null: it has ended. */
function readProcess(pid: number): Process | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command may hold spaces and brackets: fields are counted from its last one.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const cpuMs = (Number(fields[11]) + Number(fields[12])) * TICK_MS;
    return { pid, parent: Number(fields[1]), cpuMs };
  } catch {
    return null;
  }
}
