// Heads as a poisoned cache or a lying store hands them over, each with the one thing that is wrong
// with it and the code under which the isolate counts it.

import { HEAD_COMMITS_MAX } from '../../shared/limits.ts';
import { keyNamed, signCommit } from '../shared/kit.ts';
import { change, type Origin } from './origin.ts';

interface HeadCommit {
  readonly jws: {
    readonly payload: string;
    readonly signatures: readonly { readonly protected: string; readonly signature: string }[];
  };
  readonly manifest: object;
}

interface HeadText {
  readonly v: number;
  readonly commits: readonly HeadCommit[];
  readonly attestations: readonly unknown[];
}

export type Poison = readonly [name: string, code: string, head: string];

/** `good` is a head of `origin`; `other` is a history that differs from its second commit on. */
export async function poisons(
  origin: Origin,
  other: Origin,
  good: string,
): Promise<readonly Poison[]> {
  const head = JSON.parse(good) as HeadText;
  const { commits } = head;
  const [first, ...later] = commits as [HeadCommit, ...HeadCommit[]];
  const its = JSON.parse(other.head()) as HeadText;
  const text = (changes: object) => JSON.stringify({ ...head, ...changes });
  const withOneMore = (jws: unknown) =>
    text({ commits: [...commits, { jws, manifest: first.manifest }] });
  const stranger = await signCommit(origin.held, change(9), {}, keyNamed('stranger'));
  const agent = await signCommit(origin.held, change(9), {}, keyNamed('agent eu1-1'));
  const bob = await signCommit(origin.held, change(9), {}, keyNamed('bob'));
  const elsewhere = await signCommit(origin.held, change(9), { cluster: 'other' });
  return [
    ['nothing', 'malformed', ''],
    ['no JSON', 'malformed', 'nonsense'],
    ['JSON that is no head', 'malformed', '[]'],
    ['no attestations', 'malformed', '{"commits":[],"v":1}'],
    ['JSON of great depth', 'malformed', '['.repeat(100_000)],
    ['a lone surrogate', 'malformed', text({ attestations: ['\ud800'] })],
    ['a commit too many', 'malformed', text({ commits: Array(HEAD_COMMITS_MAX + 1).fill(first) })],
    ['a commit that is no document', 'malformed', withOneMore({})],
    ['another format', 'version-unsupported', text({ v: 3 })],
    ['another manifest', 'digest', text({ commits: [{ ...first, manifest: {} }, ...later] })],
    ['no manifest', 'malformed', text({ commits: [{ jws: first.jws }, ...later] })],
    ['a changed signature', 'signature', text({ commits: [broken(first), ...later] })],
    ['padding', 'encoding', text({ commits: [padded(first), ...later] })],
    ["a stranger's commit", 'key-unknown', withOneMore(stranger)],
    ["an agent's commit", 'approvals', withOneMore(agent)],
    ["a commit in another operator's name", 'author', withOneMore(bob)],
    ['a commit of another cluster', 'cluster', withOneMore(elsewhere)],
    ['commits in another order', 'gap', text({ commits: commits.toReversed() })],
    ['a hole', 'gap', text({ commits: commits.toSpliced(1, 1) })],
    ['two histories', 'previous', text({ commits: [first, its.commits[1], ...later.slice(1)] })],
  ];
}

function broken({ jws, manifest }: HeadCommit): HeadCommit {
  const signatures = jws.signatures.map((one) => {
    const { signature } = one;
    return { ...one, signature: (signature.startsWith('A') ? 'B' : 'A') + signature.slice(1) };
  });
  return { jws: { ...jws, signatures }, manifest };
}

function padded({ jws, manifest }: HeadCommit): HeadCommit {
  return { jws: { ...jws, payload: `${jws.payload}=` }, manifest };
}
