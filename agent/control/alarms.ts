// What a person should look at: a line of the log and a counter each (INTERFACES).

import { STRANGERS_SAID_MS } from '../limits.ts';
import type { AgentPorts } from '../ports.ts';
import type { Fault } from './follow.ts';

export class Alarms {
  readonly #counts = new Map<string, number>();
  readonly #saidAtMs = new Map<string, number>();
  readonly #log: AgentPorts['log'];

  constructor(log: AgentPorts['log']) {
    this.#log = log;
  }

  /** By code. */
  get counts(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counts);
  }

  raise({ code, detail }: Fault, from?: object): void {
    this.#count(code);
    this.#log({ alarm: code, detail, ...(from === undefined ? {} : { from }) });
  }

  /** Of somebody who may be anybody. Attack: a log, and a disk, filled by who has no key. */
  raiseOfStranger(fault: Fault, nowMs: number): void {
    const saidAtMs = this.#saidAtMs.get(fault.code) ?? Number.NEGATIVE_INFINITY;
    if (Math.abs(nowMs - saidAtMs) < STRANGERS_SAID_MS) {
      this.#count(fault.code);
      return;
    }
    this.#saidAtMs.set(fault.code, nowMs);
    this.raise(fault);
  }

  #count(code: string): void {
    this.#counts.set(code, (this.#counts.get(code) ?? 0) + 1);
  }
}
