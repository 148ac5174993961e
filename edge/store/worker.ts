// The store's own Worker (E1): it has no public route, only the object that the edge Worker binds.

import { DurableObject } from 'cloudflare:workers';
import { canonical, parseJson } from '../../shared/canonical.ts';
import type { StoreAnswer } from '../../shared/control/answer.ts';
import { openTrust } from '../../shared/control/trust.ts';
import { edgeCrypto, signerOf } from '../crypto.ts';
import { Rows } from './rows.ts';
import { Store } from './store.ts';

export interface StoreEnv {
  /** The first trust document, as signed. */
  readonly TRUST: string;
  /** Private JWK of an edge that trust names: it signs receipts (C11). */
  readonly EDGE_KEY?: string;
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

  async #load(id: string): Promise<Store> {
    const trust = await openTrust(parseJson(this.env.TRUST)?.value, edgeCrypto);
    // A configuration that cannot be trusted stops the store; edges go on by the others.
    if ('code' in trust) throw new Error(`TRUST: ${trust.code}: ${trust.detail}`);
    return Store.open(id, trust, {
      nowMs: () => Date.now(),
      crypto: edgeCrypto,
      rows: new Rows(this.ctx.storage),
      signer: await signerOf(this.env.EDGE_KEY ?? ''),
      log: (line) => console.log(JSON.stringify(line)),
    });
  }
}

export default {
  async fetch(): Promise<Response> {
    return new Response(null, { status: 404 });
  },
} satisfies ExportedHandler<StoreEnv>;
