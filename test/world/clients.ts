// Traffic of one place whose kinds of request have names, so that what becomes of each can be said
// by the moment at which it was sent.

import type { Report } from './report.ts';
import { Stream, type StreamRow } from './stream.ts';
import { until } from './wait.ts';
import type { World } from './world.ts';

const PATIENCE_MS = 30_000;

export class Clients<Name extends string> {
  readonly #stream: Stream;
  readonly #rows: Readonly<Record<Name, StreamRow>>;

  private constructor(stream: Stream, rows: Readonly<Record<Name, StreamRow>>) {
    this.#stream = stream;
    this.#rows = rows;
  }

  static start<Name extends string>(
    world: World,
    rows: Readonly<Record<Name, StreamRow>>,
  ): Clients<Name> {
    return new Clients(Stream.start(world, Object.values(rows)), rows);
  }

  stop(): Promise<void> {
    return this.#stream.stop();
  }

  /** Resolves when one was answered that was sent after the moment (of performance.now()). */
  async pastMs(momentMs: number): Promise<void> {
    const { answers } = this.#stream;
    const deadlineMs = momentMs - performance.now() + PATIENCE_MS;
    await until('clients go on', () => (answers.at(-1)?.atMs ?? 0) > momentMs, { deadlineMs });
  }

  /** Resolves when the last of every kind was answered with that status. */
  async untilAll(expected: Readonly<Record<Name, number>>): Promise<void> {
    await until(
      'every kind of request is answered so',
      () => {
        const wrong = this.#names().filter((name) => this.#last(name) !== expected[name]);
        if (wrong.length === 0) return true;
        throw new Error(wrong.map((name) => `${name} ${this.#last(name)}`).join());
      },
      { deadlineMs: PATIENCE_MS },
    );
  }

  /** Checks that all that were sent from the one moment to the other had that status. */
  checkAll(
    report: Report,
    what: string,
    expected: Readonly<Record<Name, number>>,
    [fromMs, toMs]: readonly [number, number] = [0, Number.POSITIVE_INFINITY],
  ): void {
    for (const name of this.#names()) {
      const sent = this.#of(name).filter(({ atMs }) => atMs >= fromMs && atMs < toMs);
      const found = new Set(sent.map(({ status }) => status));
      report.equal(`${what}: ${name}`, [...found].join(), `${expected[name]}`);
    }
  }

  /** When the last one was sent that was answered as its row says. */
  lastServedMs(name: Name): number {
    const { status } = this.#rows[name];
    return this.#of(name).findLast((one) => one.status === status)?.atMs ?? 0;
  }

  #last(name: Name): number | undefined {
    return this.#of(name).at(-1)?.status;
  }

  #of(name: Name) {
    return this.#stream.answers.filter(({ row }) => row === this.#rows[name]);
  }

  #names(): readonly Name[] {
    return Object.keys(this.#rows) as Name[];
  }
}
