// One way of one connection through the fault proxy: bytes come in, and go on, wait, vanish or are
// late, as the fault of the moment says. Order is kept whatever happens; only `swallow` loses.

import type { Socket } from 'node:net';

export type WayFault =
  | { readonly kind: 'none' }
  /** Bytes wait; they go on when the fault is over. */
  | { readonly kind: 'stall' }
  /** So many bytes more, then `stall`. */
  | { readonly kind: 'stall-after'; readonly bytes: number }
  /** Bytes and the end are taken and lost. The way stays like this: a gap cannot be healed. */
  | { readonly kind: 'swallow' }
  | { readonly kind: 'delay'; readonly ms: number };

type Held = { readonly chunk: Buffer | 'end'; readonly notBefore: number };

export class FaultWay {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #passed: (bytes: number) => void;
  readonly #held: Held[] = [];
  #fault: WayFault = { kind: 'none' };
  #left = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(from: Socket, to: Socket, passed: (bytes: number) => void) {
    this.#from = from;
    this.#to = to;
    this.#passed = passed;
    from.on('data', (chunk: Buffer) => this.#take(chunk));
    from.on('end', () => this.#take('end'));
    to.on('drain', () => this.#move());
    from.on('close', () => clearTimeout(this.#timer));
  }

  get isStalled(): boolean {
    const { kind } = this.#fault;
    return kind === 'stall' || (kind === 'stall-after' && this.#left === 0);
  }

  get isBroken(): boolean {
    return this.#fault.kind === 'swallow';
  }

  set(fault: WayFault): void {
    if (this.isBroken) return;
    this.#fault = fault;
    this.#left = fault.kind === 'stall-after' ? fault.bytes : 0;
    this.#move();
  }

  #take(chunk: Buffer | 'end'): void {
    const lateMs = this.#fault.kind === 'delay' ? this.#fault.ms : 0;
    this.#held.push({ chunk, notBefore: performance.now() + lateMs });
    this.#move();
  }

  /** Sends what may go now. What may not is held, and beyond one chunk left with the sender. */
  #move(): void {
    if (this.isBroken) this.#held.length = 0;
    clearTimeout(this.#timer);
    for (let next = this.#held[0]; next !== undefined; next = this.#held[0]) {
      if (this.isStalled || this.#to.writableNeedDrain) break;
      const waitMs = next.notBefore - performance.now();
      if (waitMs > 0 && this.#fault.kind === 'delay') {
        this.#timer = setTimeout(() => this.#move(), waitMs);
        break;
      }
      this.#held.shift();
      this.#send(next.chunk);
    }
    // Late bytes must go on being taken, or the delay would be a limit of speed.
    if (this.#held.length === 0 || this.#fault.kind === 'delay') this.#from.resume();
    else this.#from.pause();
  }

  #send(chunk: Buffer | 'end'): void {
    if (chunk === 'end') {
      this.#to.end();
      return;
    }
    const whole = this.#fault.kind !== 'stall-after' || chunk.length <= this.#left;
    const now = whole ? chunk : chunk.subarray(0, this.#left);
    if (!whole) this.#held.unshift({ chunk: chunk.subarray(this.#left), notBefore: 0 });
    if (this.#fault.kind === 'stall-after') this.#left -= now.length;
    this.#passed(now.length);
    this.#to.write(now);
  }
}
