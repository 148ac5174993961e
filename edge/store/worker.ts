// The store's own Worker (E1): it has no public route, only the object that the edge Worker binds.

import { DurableObject } from 'cloudflare:workers';
import { canonical, parseJson } from '../../shared/canonical.ts';
import type { StoreAnswer } from '../../shared/control/answer.ts';
import { openTrust } from '../../shared/control/trust.ts';
import type { Signer } from '../../shared/crypto.ts';
import { edgeCrypto, signerOf } from '../crypto.ts';
import { Rows } from './rows.ts';
import { Store } from './store.ts';

export interface StoreEnv {
  /** The pinned trust document, as signed: the first, or a later one (C5). */
  readonly TRUST: string;
  /** Private JWK of an edge that trust names: it signs receipts (C11). */
  readonly EDGE_KEY?: string;
  /** The key that comes next: used from the moment that trust names it and no longer the other. */
  readonly EDGE_NEXT_KEY?: string;
}

/** Text in, text out, so that a store and an edge Worker of neighbouring versions understand it. */
export class EdgeStore extends DurableObject<StoreEnv> {
  #store: Promise<Store> | null = null;

  async ingest(id: string, delta: string): Promise<string> {
    const store = await this.#open(id);
    return canonical((await store.ingest(delta)) satisfies StoreAnswer);
  }

  async head(id: string): Promise<string> {
    return (await this.#open(id)).head();
  }

  async piece(id: string, digest: string): Promise<string | null> {
    return (await this.#open(id)).piece(digest);
  }

  #open(id: string): Promise<Store> {
    this.#store ??= this.#load(id).catch((error: unknown) => {
      // The next call tries again.
      this.#store = null;
      throw error;
    });
    return this.#store;
  }

  async #signers(): Promise<readonly Signer[]> {
    const { EDGE_KEY = '', EDGE_NEXT_KEY = '' } = this.env;
    const found = await Promise.all([EDGE_KEY, EDGE_NEXT_KEY].map(signerOf));
    return found.filter((signer) => signer !== null);
  }

  async #load(id: string): Promise<Store> {
    const trust = await openTrust(parseJson(this.env.TRUST)?.value, edgeCrypto);
    // A configuration that cannot be trusted stops the store; edges go on by the others.
    if ('code' in trust) throw new Error(`TRUST: ${trust.code}: ${trust.detail}`);
    return Store.open(id, trust, {
      nowMs: () => Date.now(),
      crypto: edgeCrypto,
      rows: new Rows(this.ctx.storage),
      signers: await this.#signers(),
      log: (line) => console.log(JSON.stringify(line)),
    });
  }
}

export default {
  async fetch(): Promise<Response> {
    return new Response(null, { status: 404 });
  },
} satisfies ExportedHandler<StoreEnv>;
