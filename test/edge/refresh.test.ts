// How state comes to an isolate: cache, then stores (E1), everything verified (E2), every wait and
// every count bounded (E3, E4).

import { describe, expect, test } from 'vitest';
import { findTenant, refresh } from '../../edge/control/refresh.ts';
import { View } from '../../edge/control/view.ts';
import {
  HEAD_CACHE_S,
  HEAD_COMMITS_MAX,
  NODE_CACHE_S,
  SOFT_AGE_MS,
  STORE_TIMEOUT_MS,
} from '../../shared/limits.ts';
import { crypto, keyNamed, signCommit, testTrust } from '../shared/kit.ts';
import { FakeStore, fakePorts } from './fake-ports.ts';
import { change, NOW, Origin } from './origin.ts';

const trust = await testTrust();
const origin = await Origin.start(trust, change(1), change(2));
const fresh = await origin.freshHead(NOW);
const { manifest } = origin.held.holder.state;

function stores(head = fresh): readonly [FakeStore, FakeStore, FakeStore] {
  return [
    new FakeStore('weur', origin, head),
    new FakeStore('enam', origin, head),
    new FakeStore('apac', origin, head),
  ];
}

function callsOf(all: readonly FakeStore[]): readonly string[] {
  return all.flatMap(({ id, calls }) => calls.map((call) => `${id} ${call}`));
}

async function counters(view: View) {
  return view.status(NOW).counters;
}

interface HeadText {
  v: number;
  commits: { jws: { payload: string; signatures: { signature: string }[] }; manifest: object }[];
  attestations: unknown[];
}

function tampered(tamper: (head: HeadText) => unknown): string {
  return JSON.stringify(tamper(JSON.parse(fresh) as HeadText));
}

const fork = await Origin.start(trust, change(1), change(3));
const strangers = await signCommit(origin.held, change(9), {}, keyNamed('stranger'));
const bobs = await signCommit(origin.held, change(9), {}, keyNamed('bob'));
const elsewhere = await signCommit(origin.held, change(9), { cluster: 'other' });
const agents = await signCommit(origin.held, change(9), {}, keyNamed('agent eu1-1'));

/** A head whose one more commit is `jws`. */
function headWith(jws: unknown): string {
  return tampered((head) => ({
    ...head,
    commits: [...head.commits, { jws, manifest: head.commits[0]?.manifest }],
  }));
}

// Whatever a cache or a store hands over, by the code under which it is counted.
const POISON: readonly (readonly [string, string, string])[] = [
  ['nothing', 'malformed', ''],
  ['no JSON', 'malformed', 'nonsense'],
  ['JSON that is no head', 'malformed', '[]'],
  ['a head without attestations', 'malformed', '{"commits":[],"v":1}'],
  ['JSON of great depth', 'malformed', '['.repeat(100_000)],
  ['a lone surrogate', 'malformed', '{"v":1,"commits":[],"attestations":["\\ud800"]}'],
  [
    'one commit too many',
    'malformed',
    tampered((head) => ({ ...head, commits: Array(HEAD_COMMITS_MAX + 1).fill(head.commits[0]) })),
  ],
  ['a commit that is no document', 'malformed', headWith({})],
  ['another format', 'version-unsupported', tampered((head) => ({ ...head, v: 2 }))],
  [
    'another manifest',
    'digest',
    tampered((head) => ({
      ...head,
      commits: head.commits.map((one) => ({ ...one, manifest: { ...one.manifest, rules: 2 } })),
    })),
  ],
  [
    'no manifest',
    'digest',
    tampered((head) => ({ ...head, commits: head.commits.map(({ jws }) => ({ jws })) })),
  ],
  [
    'a changed signature',
    'signature',
    tampered((head) => {
      for (const one of head.commits[0]?.jws.signatures ?? []) {
        one.signature = `${one.signature.startsWith('A') ? 'B' : 'A'}${one.signature.slice(1)}`;
      }
      return head;
    }),
  ],
  [
    'padding',
    'encoding',
    tampered((head) => {
      for (const { jws } of head.commits) jws.payload = `${jws.payload}=`;
      return head;
    }),
  ],
  ["a stranger's commit", 'key-unknown', headWith(strangers)],
  ["an agent's commit", 'key-unknown', headWith(agents)],
  ["a commit in another operator's name", 'author', headWith(bobs)],
  ['a commit of another cluster', 'cluster', headWith(elsewhere)],
  [
    'commits in another order',
    'gap',
    tampered((head) => ({ ...head, commits: head.commits.toReversed() })),
  ],
  [
    'a hole',
    'gap',
    tampered((head) => ({ ...head, commits: head.commits.toSpliced(1, 1) })),
  ],
  [
    'commits of two histories',
    'previous',
    tampered((head) => {
      const [first, , third] = head.commits;
      const other = JSON.parse(fork.head()) as HeadText;
      return { ...head, commits: [first, { ...other.commits[1] }, third].with(1, ...twoOf(other)) };
    }),
  ],
];

/** Version 2 of a history in which it is another commit. */
function twoOf(_: HeadText): [HeadText['commits'][number]] {
  return [(JSON.parse(otherTwo) as HeadText).commits[1] as HeadText['commits'][number]];
}

const otherTwo = (await Origin.start(trust, change(7))).head();
