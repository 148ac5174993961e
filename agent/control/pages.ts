// Reading many keys of etcd page by page, whatever lies there. One answer has a bound and a
// deadline, and whoever writes large values decides how many keys fit it: pages that did not come
// are asked for in halves, down to one key, which always fits; those that did, in doubles again. On
// a way that was too slow they grow by a key: each page that comes too late costs a turn.

import { type Etcd, EtcdError, type RangeRead } from '../etcd-port.ts';
import { ETCD_PAGE_KEYS_MAX } from '../limits.ts';

export class Pages {
  readonly #etcd: Pick<Etcd, 'range'>;
  #keys = ETCD_PAGE_KEYS_MAX;
  #isSlow = false;

  constructor(etcd: Pick<Etcd, 'range'>) {
    this.#etcd = etcd;
  }

  /** The first keys of [from, to), one at least if there is one. Rejects with EtcdError. */
  async read(from: string, to: string): Promise<RangeRead> {
    for (;;) {
      const limit = this.#keys;
      try {
        const page = await this.#etcd.range({ from, to, limit });
        this.#keys = Math.min(this.#isSlow ? limit + 1 : limit * 2, ETCD_PAGE_KEYS_MAX);
        if (this.#keys === ETCD_PAGE_KEYS_MAX) this.#isSlow = false;
        return page;
      } catch (error) {
        this.#keys = Math.ceil(limit / 2);
        const isTooLarge = error instanceof EtcdError && error.code === 'too-large';
        if (!isTooLarge) this.#isSlow = true;
        // What took too long is for the next turn: this one has waited enough.
        if (!isTooLarge || limit === 1) throw error;
      }
    }
  }
}

/** Characters of a page's values: what it takes to hold it. */
export function sizeOf({ kvs }: RangeRead): number {
  return kvs.reduce((sum, { value }) => sum + value.length, 0);
}
