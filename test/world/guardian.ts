// The guardian: the one process that starts every other process of a world, and outlives the
// launcher by seconds.
//
// Nothing that can be forgotten ends a world: the launcher holds a pipe to the guardian's stdin,
// and when that pipe closes, for whatever reason (done, crashed, SIGKILL, terminal closed), the
// guardian ends everything.
// - The guardian and each child lead process groups of their own, so that a Ctrl-C or a hang-up
//   meant for the launcher reaches none of them, and so that a child is ended together with all
//   that it started.
// - A child that is stopped is continued to hear its SIGTERM; a child that is still there after the
//   grace is killed.
// - When a child ends, what is left of its group is killed: a runtime without the process that
//   drives it is litter.
// Rejected: handlers in the launcher (SIGKILL runs none) and a parent-death signal (Linux only, one
// level deep).
//
// stdin: one `Command` a line. stdout: one `GuardianEvent` a line. Commands are done in order, each
// has its answer.

import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { createInterface } from 'node:readline';

export type StartOrder = {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** The whole environment, nothing is inherited. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** File that gets the child's stderr, appended. */
  readonly log: string;
};

export type Command = { readonly id: number } & (
  | { readonly start: StartOrder }
  | { readonly signal: { readonly name: string; readonly signal: NodeJS.Signals } }
  | { readonly stop: { readonly name: string } }
  | { readonly input: { readonly name: string; readonly line: string } }
);

export type Exit = { readonly code: number | null; readonly signal: NodeJS.Signals | null };

export type GuardianEvent =
  | { readonly done: { readonly id: number; readonly pid: number } }
  | { readonly failed: { readonly id: number; readonly message: string } }
  | { readonly line: { readonly name: string; readonly line: string } }
  | { readonly exit: { readonly name: string } & Exit };

/** From SIGTERM to SIGKILL. */
export const GRACE_MS = 2000;

const children = new Map<string, ChildProcess>();
let ending = false;

function main(): void {
  // The launcher decides what these mean for the world, and closes the pipe if it ends.
  process.on('SIGINT', () => {});
  process.on('SIGHUP', () => {});
  process.on('SIGTERM', endAll);
  process.on('uncaughtException', (error) => {
    process.stderr.write(`${error.stack}\n`);
    endAll();
  });
  // A launcher that is gone reads no events; its end is seen on stdin.
  process.stdout.on('error', () => {});
  process.stdin.on('error', endAll);
  const commands = createInterface({ input: process.stdin });
  commands.on('line', (line) => obey(JSON.parse(line) as Command));
  commands.on('close', endAll);
}

function obey(command: Command): void {
  try {
    if ('start' in command) start(command.id, command.start);
    else if ('signal' in command) {
      const child = running(command.signal.name);
      signalGroup(child, command.signal.signal);
      done(command.id, child);
    } else if ('stop' in command) {
      const child = running(command.stop.name);
      end(child);
      done(command.id, child);
    } else {
      const child = running(command.input.name);
      child.stdin?.write(`${command.input.line}\n`);
      done(command.id, child);
    }
  } catch (error) {
    emit({ failed: { id: command.id, message: String(error) } });
  }
}

function start(id: number, order: StartOrder): void {
  if (ending) throw new Error('the world is ending');
  if (children.has(order.name)) throw new Error(`${order.name} is running already`);
  const log = openSync(order.log, 'a');
  const child = spawn(order.command, order.args, {
    detached: true,
    cwd: order.cwd,
    env: order.env,
    stdio: ['pipe', 'pipe', log],
  });
  closeSync(log);
  children.set(order.name, child);
  child.stdin?.on('error', () => {}); // it may end while a line is on its way to it
  child.on('spawn', () => done(id, child));
  child.on('error', (error) => {
    if (child.pid !== undefined) return;
    children.delete(order.name);
    emit({ failed: { id, message: error.message } });
    exitIfEmpty();
  });
  createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) =>
    emit({ line: { name: order.name, line } }),
  );
  // Killing the rest of the group closes the last copies of stdout, so 'close' follows 'exit' at
  // once.
  child.on('exit', () => signalGroup(child, 'SIGKILL'));
  child.on('close', (code, signal) => {
    if (child.pid === undefined) return; // it never ran: answered above
    children.delete(order.name);
    emit({ exit: { name: order.name, code, signal } });
    exitIfEmpty();
  });
}

function running(name: string): ChildProcess {
  const child = children.get(name);
  if (child === undefined) throw new Error(`${name} is not running`);
  return child;
}

function end(child: ChildProcess): void {
  signalGroup(child, 'SIGTERM');
  signalGroup(child, 'SIGCONT');
  const killing = setTimeout(() => signalGroup(child, 'SIGKILL'), GRACE_MS);
  child.once('close', () => clearTimeout(killing));
}

function endAll(): void {
  if (ending) return;
  ending = true;
  for (const child of children.values()) end(child);
  // Whatever keeps a killed child from being collected, the guardian itself must not stay.
  setTimeout(() => process.exit(1), 2 * GRACE_MS);
  exitIfEmpty();
}

function exitIfEmpty(): void {
  if (ending && children.size === 0) process.exit(0);
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch (error) {
    // ESRCH: the group has ended by itself. EPERM: macOS says so of a group of which only a zombie
    // is left.
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ESRCH' && code !== 'EPERM') throw error;
  }
}

function done(id: number, child: ChildProcess): void {
  emit({ done: { id, pid: child.pid ?? 0 } });
}

function emit(event: GuardianEvent): void {
  process.stdout.write(`${JSON.stringify(event)}\n`);
}

if (import.meta.main) main();
