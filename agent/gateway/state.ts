// The gateway as a source of control state for edges whose stores fail them (E3): the head and the
// pieces that this agent itself stands on, in the same texts that stores give. They verify by
// themselves and are no tenant's data, so no provenance is asked for; a call that carries some is a
// tenant's request, whatever its path.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { canonical, utf8 } from '../../shared/canonical.ts';
import { writeHead } from '../../shared/control/head.ts';
import type { Hasher } from '../../shared/crypto.ts';
import { type Digest, digestBytes, isDigest } from '../../shared/digest.ts';
import { STATE_ANSWERS_MAX } from '../../shared/limits.ts';
import { provenanceHeader } from '../../shared/provenance/profile.ts';
import type { Standing } from '../control/hold.ts';
import { noStoreHeader } from './hop-headers.ts';

const HEAD_PATH = '/.portolan/head';
const PIECE_PATH = '/.portolan/piece/';

/** What a request asks of the state, or null when it is another request. */
export type StateAsked = { readonly kind: 'head' } | { readonly kind: 'piece'; digest: Digest };

export function stateAsked({ method, url, headers }: IncomingMessage): StateAsked | null {
  const hasBody = headers['content-length'] !== undefined || 'transfer-encoding' in headers;
  if (method !== 'GET' || url === undefined || hasBody) return null;
  if (headers[provenanceHeader] !== undefined) return null;
  if (url === HEAD_PATH) return { kind: 'head' };
  if (!url.startsWith(PIECE_PATH)) return null;
  const digest = url.slice(PIECE_PATH.length);
  return isDigest(digest) ? { kind: 'piece', digest } : null;
}

export interface StatePorts {
  readonly standing: () => Standing | null;
  readonly hasher: Hasher;
}

/**
 * Answers what was asked, at most STATE_ANSWERS_MAX at a time: 200 with the text, 404 for a piece
 * that is not held, 503 for the rest. Only edges ask, and they read no more than that.
 */
export class StateAnswers {
  readonly #ports: StatePorts;
  #underWay = 0;
  #head: { readonly of: Standing; readonly text: string } | null = null;
  #global: { readonly digest: Digest; readonly text: string } | null = null;

  constructor(ports: StatePorts) {
    this.#ports = ports;
  }

  /** What became of it, for the counts: `state`, `state-absent`, `state-busy`. */
  answer(asked: StateAsked, response: ServerResponse): string {
    if (this.#underWay >= STATE_ANSWERS_MAX) return send(response, 503, '', 'state-busy');
    const standing = this.#ports.standing();
    if (standing === null) return send(response, 503, '', 'state-absent');
    const text = this.#textOf(asked, standing);
    if (text === null) return send(response, 404, '', 'state-absent');
    this.#underWay += 1;
    response.once('close', () => {
      this.#underWay -= 1;
    });
    return send(response, 200, text, 'state');
  }

  #textOf(asked: StateAsked, standing: Standing): string | null {
    if (asked.kind === 'head') return this.#headOf(standing);
    const { digest } = asked;
    if (digest === standing.link.manifest.global) return this.#globalOf(digest, standing);
    const node = standing.nodes(digest);
    return node === undefined ? null : canonical(node);
  }

  /** Written once for each state of the holder, however often it is asked for. */
  #headOf(standing: Standing): string {
    if (this.#head?.of !== standing) {
      // Not what is active in the holder: that may not be kept yet, and a restart would undo it.
      const text = writeHead({ ...standing.holder, active: standing.link });
      this.#head = { of: standing, text };
    }
    return this.#head.text;
  }

  #globalOf(digest: Digest, { global }: Standing): string | null {
    if (this.#global?.digest !== digest) {
      const text = canonical(global);
      if (digestBytes(utf8(text), this.#ports.hasher) !== digest) return null;
      this.#global = { digest, text };
    }
    return this.#global.text;
  }
}

function send(response: ServerResponse, status: number, text: string, outcome: string): string {
  const bytes = utf8(text);
  response.writeHead(status, [
    ...['Content-Type', 'application/json', 'Content-Length', `${bytes.length}`],
    ...['Cache-Control', 'no-store', ...noStoreHeader],
  ]);
  response.end(bytes);
  return outcome;
}
