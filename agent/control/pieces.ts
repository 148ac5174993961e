// The pieces of state that an agent holds in memory: map nodes and global parts, by digest. Pieces
// that a commit replaced are kept until that commit has been active for some versions: the gateway
// serves what is active while the holder is already at the head, and edges walk from older roots.

import { parseJson } from '../../shared/canonical.ts';
import type { Admitted } from '../../shared/control/holder.ts';
import type { MapNode, NodeSource } from '../../shared/control/merkle-map.ts';
import type { HolderStorage } from '../../shared/control/receive.ts';
import { type Global, globalSchema } from '../../shared/control/record.ts';
import type { Writes } from '../../shared/control/state.ts';
import type { Digest } from '../../shared/digest.ts';

export class Pieces implements HolderStorage {
  readonly #nodes = new Map<Digest, MapNode>();
  readonly #globals = new Map<Digest, Global>();
  /** Version that retired a piece; content that comes back (a rollback) is taken out again. */
  readonly #retiredAt = new Map<Digest, bigint>();
  readonly nodes: NodeSource = (digest) => this.#nodes.get(digest);

  constructor(genesis: Writes, global: Digest) {
    this.#add(genesis, global);
  }

  store({ link, writes }: Admitted): void {
    for (const digest of writes.retired) this.#retiredAt.set(digest, link.version);
    this.#add(writes, link.manifest.global);
  }

  /** The global part that a manifest names. */
  global(digest: Digest): Global | null {
    return this.#globals.get(digest) ?? null;
  }

  /** Lets go of what no version from `active` on uses. */
  prune(active: bigint): void {
    for (const [digest, version] of this.#retiredAt) {
      if (version > active) continue;
      this.#retiredAt.delete(digest);
      this.#nodes.delete(digest);
      this.#globals.delete(digest);
    }
  }

  #add({ nodes, pieces }: Writes, global: Digest): void {
    for (const [digest, node] of nodes) {
      this.#retiredAt.delete(digest);
      this.#nodes.set(digest, node);
    }
    const text = pieces.get(global);
    if (text === undefined) return;
    this.#retiredAt.delete(global);
    this.#globals.set(global, globalSchema.parse(parseJson(text)?.value));
  }
}
