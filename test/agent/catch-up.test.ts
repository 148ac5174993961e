// Commits from peers who lie, stall or flood (E6, I16): they cost time that nobody waits for, and
// no more memory than is named.

import { expect, test } from 'vitest';
import { commitsFromPeers } from '../../agent/control/catch-up.ts';
import { CATCH_UP_PEER_MS } from '../../agent/limits.ts';
import { type CommitSource, SourceError } from '../../agent/ports.ts';
import { receiveAll, verifyAttestations } from '../../shared/control/holder.ts';
import { Fleet, priorityOf, START_MS, settled } from '../fakes/fleet.ts';
import { MemoryKeep } from '../fakes/memory-keep.ts';
import { MemorySource } from '../fakes/memory-source.ts';
import {
  attest,
  commit,
  crypto,
  FIRST,
  keyNamed,
  newHolder,
  signCommit,
  type TestHolder,
  testTrust,
} from '../shared/kit.ts';

const trust = await testTrust();
const author = newHolder(trust);
await commit(author, FIRST);
for (const priority of [2, 3, 4]) await commit(author, priorityOf(priority));

/** Holds nothing but the words of two other sites for what `of` has. */
async function told(of: TestHolder) {
  const { holder } = newHolder(trust);
  const words = [await attest(of, 'us1', START_MS), await attest(of, 'w1', START_MS)];
  const { verified } = await verifyAttestations(holder.book, words, trust, crypto);
  return receiveAll(holder, verified, START_MS).holder;
}

const pageOf =
  ({ commits }: TestHolder, most = 1) =>
  async (from: bigint) =>
    commits.slice(Number(from) - 1, Number(from) - 1 + most);

const still = { nowMs: () => START_MS, crypto };

test('a run is taken up to the bound of its bytes, and not beyond', async () => {
  const holder = await told(author);
  const bytes = author.commits.reduce((sum, jws) => sum + JSON.stringify(jws).length, 0);
  const asked = (bytesMax: number) =>
    commitsFromPeers('eu1', holder, [pageOf(author)], still, bytesMax);
  expect(await asked(bytes)).toHaveLength(4);
  expect(await asked(bytes - 1)).toEqual([]);
});

test('a peer that stalls is left when its time is over, and the next one asked', async () => {
  const holder = await told(author);
  let nowMs = START_MS;
  const asked: string[] = [];
  const slow = async (from: bigint) => {
    asked.push('slow');
    nowMs += CATCH_UP_PEER_MS / 2;
    return pageOf(author)(from);
  };
  const quick = async (from: bigint) => {
    asked.push('quick');
    return pageOf(author, 9)(from);
  };
  const run = await commitsFromPeers('eu1', holder, [slow, quick], { nowMs: () => nowMs, crypto });
  expect(run).toHaveLength(4);
  expect(asked).toEqual(['slow', 'slow', 'quick']);
});

// Attack: a history without an end that somebody makes up as he is asked.
test('a run that nobody signed ends with its first commit', async () => {
  const holder = await told(author);
  const made = newHolder(trust);
  let asked = 0;
  const lying = async () => {
    asked += 1;
    return [await signCommit(made, FIRST, {}, keyNamed('mallory'))];
  };
  expect(await commitsFromPeers('eu1', holder, [lying], still)).toEqual([]);
  expect(asked).toBe(1);
});

// Attack: a stolen peer that gives one commit a page, just before it would be given up (I16).
test('a peer that holds its answer holds no turn: words go on', async () => {
  const fleet = await Fleet.afloat();
  const copy = new MemorySource(fleet.author.commits);
  fleet.cutOff.add('eu1');
  for (const priority of [2, 3]) await fleet.commit(priorityOf(priority));
  await fleet.turn('us1', 'w1');
  await fleet.deliverAll();
  const asked: string[] = [];
  const answers: PromiseWithResolvers<readonly unknown[]>[] = [];
  const commitsOf = (peer: string, from: bigint) => {
    asked.push(peer);
    if (peer === 'w1') return pageOf(fleet.author, 9)(from);
    const answer = Promise.withResolvers<readonly unknown[]>();
    answers.push(answer);
    return answer.promise;
  };
  await fleet.begin('eu1', { ports: { commitsOf, copy } });
  const before = fleet.wordsOf('eu1').length;
  await fleet.round(4);
  expect(fleet.wordsOf('eu1').length).toBeGreaterThan(before + 2);
  expect(asked).toEqual(['us1']);
  for (const answer of answers) answer.reject(new Error('too late'));
  await settled();
  await fleet.round(2);
  expect(asked).toEqual(['us1', 'w1']);
  expect(fleet.headAt('eu1')).toBe(3n);
});

// Etcd was cut off without a word: a call waits for its deadline, and a gateway for the commit.
test('what others name is asked for and taken in at once, though the turn waits', async () => {
  const fleet = await Fleet.afloat();
  const copy = new MemorySource(fleet.author.commits);
  const answer = { promise: Promise.reject<never>(new SourceError('down')) };
  answer.promise.catch(() => {});
  const silent = () => answer.promise;
  const source: CommitSource = {
    ...{ read: silent, append: silent, trust: silent, writeTrust: silent, join: silent },
  };
  await fleet.begin('eu1', {
    ports: { source, copy, commitsOf: (_, n) => pageOf(fleet.author)(n) },
  });
  await fleet.turn('eu1');
  answer.promise = new Promise<never>(() => {});
  void fleet.agent('eu1').turn();
  for (const priority of [2, 3]) await fleet.commit(priorityOf(priority));
  await fleet.turn('us1', 'w1');
  await fleet.deliverAll();
  await settled();
  expect([fleet.headAt('eu1'), fleet.activeAt('eu1')]).toEqual([3n, 3n]);
});

test('another peer is asked first each time', async () => {
  const fleet = await Fleet.afloat();
  await fleet.commit(priorityOf(2));
  await fleet.round();
  fleet.cutOff.add('eu1');
  const asked: string[] = [];
  const commitsOf = async (peer: string) => {
    asked.push(peer);
    return [];
  };
  await fleet.begin('eu1', { join: null, ports: { commitsOf, keep: new MemoryKeep() } });
  await fleet.round(4);
  expect(asked.slice(0, 4)).toEqual(['us1', 'w1', 'w1', 'us1']);
});
