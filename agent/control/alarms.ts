// What a person should look at: a line of the log and a counter each (INTERFACES).

import type { AgentPorts } from '../ports.ts';
import type { Fault } from './follow.ts';

export class Alarms {
  readonly #counts = new Map<string, number>();
  readonly #log: AgentPorts['log'];

  constructor(log: AgentPorts['log']) {
    this.#log = log;
  }

  /** By code. */
  get counts(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counts);
  }

  raise({ code, detail }: Fault, from?: object): void {
    this.#counts.set(code, (this.#counts.get(code) ?? 0) + 1);
    this.#log({ alarm: code, detail, ...(from === undefined ? {} : { from }) });
  }
}
