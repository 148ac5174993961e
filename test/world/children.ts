// The launcher's side of the guardian: start a process and know when it is ready, signal it, stop
// it, talk to it.
//
// A child announces itself with one stdout line `{"ready": {...}}`; until then `start` waits, up to
// a deadline, and fails with the tail of the child's log. Further stdout lines go to whoever
// listens. A child may take commands on stdin: `ask` sends `{"ask": n, ...command}` and waits for
// the line `{"answer": n, "value": ...}` or `{"answer": n, "error": "..."}`. A child should also
// end when its stdin closes: should the guardian itself be killed, that is what still ends it.

import { type ChildProcess, spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Command, Exit, GuardianEvent, StartOrder } from './guardian.ts';

const GUARDIAN = fileURLToPath(new URL('./guardian.ts', import.meta.url));

const READY_DEADLINE_MS = 30_000;
const ANSWER_DEADLINE_MS = 15_000;
const LOG_TAIL_CHARS = 4000;

/** All that children inherit: no proxy, token or option of the caller's shell changes a world. */
const INHERITED = ['PATH', 'HOME', 'LANG', 'TZ'];

export type ChildOrder = {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly deadlineMs?: number;
};

export type Message = Readonly<Record<string, unknown>>;

/** A command before it is numbered; by member, because Omit would merge the union. */
type Order<T = Command> = T extends Command ? Omit<T, 'id'> : never;

/** Starts the guardian of one world. Logs and temporary files of all children lie in `folder`. */
export async function startGuardian(folder: string): Promise<Children> {
  const temporary = join(folder, 'tmp');
  mkdirSync(temporary, { recursive: true });
  const log = openSync(join(folder, 'guardian.log'), 'a');
  const env = { ...inherited(), TMPDIR: temporary };
  const guardian = spawn(process.execPath, [GUARDIAN], {
    detached: true,
    env,
    stdio: ['pipe', 'pipe', log],
  });
  closeSync(log);
  await once(guardian, 'spawn');
  return new Children(guardian, folder, env);
}

export class Children {
  readonly pid: number;
  readonly #guardian: ChildProcess;
  readonly #folder: string;
  readonly #env: Readonly<Record<string, string>>;
  readonly #ended: Promise<void>;
  readonly #running = new Map<string, Child>();
  readonly #waiting = new Map<number, PromiseWithResolvers<number>>();
  #lastId = 0;

  constructor(guardian: ChildProcess, folder: string, env: Readonly<Record<string, string>>) {
    this.pid = guardian.pid ?? 0;
    this.#guardian = guardian;
    this.#folder = folder;
    this.#env = env;
    this.#ended = once(guardian, 'close').then(() => this.#guardianEnded());
    guardian.stdin?.on('error', () => {}); // its end is what matters, and 'close' tells it
    const lines = createInterface({ input: guardian.stdout as NodeJS.ReadableStream });
    lines.on('line', (line) => this.#receive(JSON.parse(line) as GuardianEvent));
  }

  /** Resolves when the child is ready. A name may be used again once its child has ended. */
  async start(order: ChildOrder): Promise<Child> {
    const log = join(this.#folder, `${order.name}.log`);
    const start: StartOrder = {
      name: order.name,
      command: order.command,
      args: order.args,
      env: { ...this.#env, ...order.env },
      cwd: order.cwd ?? this.#folder,
      log,
    };
    const child = new Child(order.name, (wanted) => this.#command(wanted));
    if (this.#running.has(order.name)) throw new Error(`${order.name} is running already`);
    this.#running.set(order.name, child);
    try {
      const ready = child.becomeReady(order.deadlineMs ?? READY_DEADLINE_MS);
      ready.catch(() => {}); // awaited below, unless it cannot even start
      child.pid = await this.#command({ start });
      child.ready = await ready;
      return child;
    } catch (error) {
      if (child.pid === 0) this.#running.delete(order.name);
      else await child.stop();
      throw new Error(`${order.name} did not start: ${error}\n${tail(log)}`, { cause: error });
    }
  }

  /** Ends all that this world started, and the guardian; bounded by its grace, safe to repeat. */
  async stopAll(): Promise<void> {
    this.#guardian.stdin?.end();
    await this.#ended;
  }

  #command(order: Order): Promise<number> {
    this.#lastId += 1;
    const waiting = Promise.withResolvers<number>();
    if (this.#guardian.exitCode !== null || this.#guardian.signalCode !== null) {
      return Promise.reject(new Error('the guardian has ended'));
    }
    this.#waiting.set(this.#lastId, waiting);
    this.#guardian.stdin?.write(`${JSON.stringify({ id: this.#lastId, ...order })}\n`);
    return waiting.promise;
  }

  #receive(event: GuardianEvent): void {
    if ('line' in event) this.#running.get(event.line.name)?.receive(event.line.line);
    else if ('exit' in event) {
      const { name, code, signal } = event.exit;
      this.#running.get(name)?.ended({ code, signal });
      this.#running.delete(name);
    } else if ('done' in event) this.#take(event.done.id)?.resolve(event.done.pid);
    else this.#take(event.failed.id)?.reject(new Error(event.failed.message));
  }

  #take(id: number): PromiseWithResolvers<number> | undefined {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    return waiting;
  }

  #guardianEnded(): void {
    for (const waiting of this.#waiting.values()) waiting.reject(new Error('the guardian ended'));
    this.#waiting.clear();
    for (const child of this.#running.values()) child.ended({ code: null, signal: null });
    this.#running.clear();
  }
}

export class Child {
  readonly name: string;
  /** Resolves when it has ended, with all it started; code and signal null if nobody saw it. */
  readonly exited: Promise<Exit>;
  /** What the child said of itself when it was ready. */
  ready: Message = {};
  pid = 0;
  readonly #command: (order: Order) => Promise<number>;
  readonly #exit = Promise.withResolvers<Exit>();
  readonly #events = new EventEmitter<{ line: [string]; message: [Message]; ended: [Exit] }>();
  #lastAsk = 0;

  constructor(name: string, command: (order: Order) => Promise<number>) {
    this.name = name;
    this.#command = command;
    this.exited = this.#exit.promise;
    this.#events.setMaxListeners(0); // one a question under way
  }

  /** Resolves when the signal is delivered, to the child and all it started. */
  async signal(signal: NodeJS.Signals): Promise<void> {
    await this.#command({ signal: { name: this.name, signal } });
  }

  /** SIGTERM, after the grace SIGKILL. A child that has ended already is fine. */
  async stop(): Promise<Exit> {
    await this.#command({ stop: { name: this.name } }).catch(() => {});
    return this.exited;
  }

  /** Sends a command to a child that takes commands, and resolves with the value of its answer. */
  async ask(command: Message, deadlineMs = ANSWER_DEADLINE_MS): Promise<unknown> {
    this.#lastAsk += 1;
    const ask = this.#lastAsk;
    const answer = this.#message(`answer to ${JSON.stringify(command)}`, deadlineMs, (message) =>
      message['answer'] === ask ? message : undefined,
    );
    answer.catch(() => {}); // awaited below, unless the guardian is gone
    await this.#command({ input: { name: this.name, line: JSON.stringify({ ...command, ask }) } });
    const { error, value } = await answer;
    if (error !== undefined) throw new Error(`${this.name}: ${error}`);
    return value;
  }

  /** Every stdout line from now on, the protocol's included. */
  onLine(listener: (line: string) => void): void {
    this.#events.on('line', listener);
  }

  becomeReady(deadlineMs: number): Promise<Message> {
    return this.#message('readiness', deadlineMs, (message) => message['ready'] as Message);
  }

  receive(line: string): void {
    this.#events.emit('line', line);
    const message = line.startsWith('{') ? parse(line) : undefined;
    if (message !== undefined) this.#events.emit('message', message);
  }

  ended(exit: Exit): void {
    this.#exit.resolve(exit);
    this.#events.emit('ended', exit);
  }

  #message(
    what: string,
    deadlineMs: number,
    pick: (message: Message) => Message | undefined,
  ): Promise<Message> {
    const { promise, resolve, reject } = Promise.withResolvers<Message>();
    const listen = (message: Message) => {
      const picked = pick(message);
      if (picked !== undefined) resolve(picked);
    };
    const end = ({ code, signal }: Exit) =>
      reject(new Error(`it ended before its ${what} (code ${code}, signal ${signal})`));
    const late = () => reject(new Error(`no ${what} within ${deadlineMs} ms`));
    const timer = setTimeout(late, deadlineMs).unref(); // the guardian's handle holds the process
    this.#events.on('message', listen).on('ended', end);
    return promise.finally(() => {
      clearTimeout(timer);
      this.#events.off('message', listen).off('ended', end);
    });
  }
}

function inherited(): Record<string, string> {
  const present = INHERITED.filter((name) => process.env[name] !== undefined);
  return Object.fromEntries(present.map((name) => [name, process.env[name] ?? '']));
}

function parse(line: string): Message | undefined {
  try {
    return JSON.parse(line) as Message;
  } catch {
    return undefined; // not of the protocol: a log line that begins with a brace
  }
}

function tail(log: string): string {
  try {
    return readFileSync(log, 'utf8').slice(-LOG_TAIL_CHARS);
  } catch {
    return '(no log)';
  }
}
