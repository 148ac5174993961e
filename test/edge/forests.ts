// Maps of any depth under an operator's signature. An isolate does not fold, it follows digests, so
// a map of a million tenants is, on the way to one of them, just a few nodes.

import { canonical, toWire, utf8 } from '../../shared/canonical.ts';
import { envelopeKind } from '../../shared/control/envelope.ts';
import { decodeJws } from '../../shared/control/jws.ts';
import { type MapName, pathOf, stepOf } from '../../shared/control/merkle-map.ts';
import { type Digest, digestBytes, digestOf } from '../../shared/digest.ts';
import { crypto, signCommit } from '../shared/kit.ts';
import { change, NOW, type Origin } from './origin.ts';

interface Depths {
  /** Nodes on the way to the host's own name, and to its wildcard: then only that is there. */
  readonly exact: number;
  readonly wildcard?: number;
  /** Nodes on the way to its tenant, `globex`. */
  readonly tenants: number;
}

/** A head after which `host` belongs to `globex`, and the pieces that say so. */
export async function craft(
  origin: Origin,
  host: string,
  { exact, wildcard, tenants }: Depths,
): Promise<{ head: string; pieces: ReadonlyMap<string, string> }> {
  const { manifest, manifestDigest } = origin.held.holder.state;
  const pieces = new Map<string, string>();
  const add = (node: unknown): Digest => {
    const text = canonical(node);
    const digest = digestBytes(utf8(text), crypto);
    pieces.set(digest, text);
    return digest;
  };
  /** The node at depth `from` of the way to `key`, which ends in a leaf at `nodes` - 1. */
  const way = (map: MapName, key: string, nodes: number, value?: unknown, from = 0): Digest => {
    const path = pathOf(key, crypto);
    let digest = add({ map, leaf: value === undefined ? [] : [[key, value]] });
    for (let depth = nodes - 2; depth >= from; depth--) {
      digest = add({ map, branch: { [stepOf(path, depth)]: digest } });
    }
    return digest;
  };
  const star = `*${host.slice(host.indexOf('.'))}`;
  const hosts =
    wildcard === undefined
      ? way('hosts', host, exact, 'globex')
      : add({
          map: 'hosts',
          branch: {
            [stepOf(pathOf(host, crypto), 0)]: way('hosts', host, exact, undefined, 1),
            [stepOf(pathOf(star, crypto), 0)]: way('hosts', star, wildcard, 'globex', 1),
          },
        });
  const next = {
    ...manifest,
    version: manifest.version + 1n,
    lamport: manifest.lamport + 1n,
    previous: manifestDigest,
    hosts,
    tenants: way('tenants', 'globex', tenants, entryOfGlobex(origin)),
  };
  const jws = await signCommit(origin.held, change(9), { manifest: digestOf(next, crypto) });
  const decoded = decodeJws(jws, envelopeKind, crypto);
  if (!('claimed' in decoded)) throw new Error(decoded.code);
  const word = { version: next.version, envelope: decoded.digest };
  const head = JSON.parse(origin.head(await origin.words(NOW, undefined, word)));
  head.commits.push({ jws, manifest: toWire(next) });
  return { head: JSON.stringify(head), pieces };
}

function entryOfGlobex(origin: Origin): unknown {
  const text = origin.pieces.get(origin.held.holder.state.manifest.tenants) ?? '';
  const { leaf } = JSON.parse(text) as { leaf: [string, unknown][] };
  return new Map(leaf).get('globex');
}
