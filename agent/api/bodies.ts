// Bodies of requests, each within the bound of its route, all together within one: strangers may
// send deltas, and hundreds of large ones at once must not take the memory that the gateway in this
// process lives on.

import type { IncomingMessage } from 'node:http';
import { API_BODIES_BYTES_MAX } from '../limits.ts';

export class Bodies {
  #held = 0;

  /**
   * Reads the body, and counts it until `work` is done with it. Rejects when the sender breaks off,
   * and as `work` does.
   */
  async use<T>(
    incoming: IncomingMessage,
    maxBytes: number,
    work: (body: Buffer) => Promise<T>,
  ): Promise<T | 'too-large' | 'busy'> {
    const chunks: Buffer[] = [];
    let bytes = 0;
    try {
      // Left early, the rest is thrown away by the server until its timeout: whoever is still
      // sending then reads why it was refused, instead of a broken connection.
      for await (const chunk of incoming.iterator({ destroyOnReturn: false })) {
        const { length } = chunk as Buffer;
        bytes += length;
        this.#held += length;
        if (bytes > maxBytes) return 'too-large';
        if (this.#held > API_BODIES_BYTES_MAX) return 'busy';
        chunks.push(chunk as Buffer);
      }
      return await work(Buffer.concat(chunks));
    } finally {
      this.#held -= bytes;
    }
  }
}
