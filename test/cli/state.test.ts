// A control directory that somebody else can write: what was altered stops the command, with its
// own code, whatever was altered.

import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { nodeCrypto } from '../../agent/adapters/crypto.ts';
import { initProject, type Project } from '../../agent/cli/init.ts';
import { readSigner } from '../../agent/cli/project.ts';
import { readState } from '../../agent/cli/state.ts';
import { type Envelope, envelopeKind } from '../../shared/control/envelope.ts';
import { decodeJws, type Jws, signJws } from '../../shared/control/jws.ts';
import { withBrokenSignature } from '../shared/forge.ts';
import { keyNamed } from '../shared/kit.ts';
import {
  commit,
  commitPath,
  configOf,
  type Edit,
  failureOf,
  newFolder,
  newProject,
} from './project-kit.ts';

let project: Project;

const start = (slowStartS: number): Edit => {
  return ({ policies }) => {
    policies['std'] = { ...policies['std'], slowStartS } as never;
  };
};

beforeEach(async () => {
  project = await newProject();
  for (const slow of [60, 30, 20]) await commit(project, start(slow));
});

async function commitAt(version: number): Promise<Jws> {
  return JSON.parse(await readFile(commitPath(project, version), 'utf8'));
}

async function put(version: number, jws: unknown): Promise<void> {
  await writeFile(commitPath(project, version), JSON.stringify(jws));
}

/** The operator's own signature over an envelope that is not the one that was there. */
async function resigned(version: number, changes: Partial<Envelope>): Promise<void> {
  const decoded = decodeJws(await commitAt(version), envelopeKind, nodeCrypto);
  if ('code' in decoded) throw new Error(decoded.code);
  const signer = await readSigner(project.keys.operator);
  await put(version, await signJws(envelopeKind.typ, { ...decoded.claimed, ...changes }, [signer]));
}

async function refusal(): Promise<readonly [string, number]> {
  const error = await failureOf(readState(project.paths, project.trust));
  return [error.code, error.exit];
}

test('an untouched directory is read to its head', async () => {
  const { holder, commits } = await readState(project.paths, project.trust);
  expect(holder.state.manifest.version).toBe(3n);
  expect(commits.map(({ version }) => version)).toEqual([1n, 2n, 3n]);
});

test('it is read up to the version asked for', async () => {
  const { holder } = await readState(project.paths, project.trust, 2n);
  expect(holder.state.manifest.version).toBe(2n);
  expect(holder.state.global.policies['std']?.slowStartS).toBe(30);
});

describe('a commit that was altered stops at its version', () => {
  const table: readonly (readonly [string, () => Promise<unknown>, string])[] = [
    ['signature', async () => put(2, withBrokenSignature(await commitAt(2))), 'signature'],
    ['cut off', () => writeFile(commitPath(project, 2), '{"payload":"ey'), 'malformed'],
    ['empty', () => writeFile(commitPath(project, 2), ''), 'malformed'],
    ['another kind of file', () => put(2, { hello: 1 }), 'malformed'],
    ['encoding', async () => put(2, { ...(await commitAt(2)), payload: '!' }), 'encoding'],
    ['a bit of its text', async () => put(2, flipped(await commitAt(2))), 'encoding'],
    ['cluster', () => resigned(2, { cluster: 'other' }), 'cluster'],
    ['generation', () => resigned(2, { generation: 2n }), 'generation'],
    ['author', () => resigned(2, { author: 'somebody' }), 'author'],
    ['digest', async () => resigned(2, { manifest: await manifestOf(1) }), 'manifest'],
    ['history', () => resigned(2, { previous: null }), 'previous'],
    ['the commit before it', () => resigned(1, { reason: 'another' }), 'previous'],
    ['lamport', () => resigned(2, { lamport: 7n }), 'lamport'],
    ['operations', () => resigned(2, { operations: [{ op: 'delete', key: 'x' }] }), 'operations'],
    ['class', () => resigned(2, { operations: [widening] }), 'class'],
    ['a class that needs approvals', () => resigned(2, { class: 'safety' }), 'safety'],
    ['approvals', () => resigned(2, { approvals: ['me'] }), 'approvals'],
    ['a stranger signs', async () => put(2, await signedBy('stranger')), 'key-unknown'],
    ['copied', async () => put(2, await commitAt(1)), 'gap'],
    ['order', () => swap(2, 3), 'gap'],
  ];
  test.each(table)('%s', async (_, alter, code) => {
    await alter();
    const error = await failureOf(readState(project.paths, project.trust));
    expect([error.code, error.exit, error.details]).toEqual([
      code,
      7,
      { version: 2n, verified: 1n },
    ]);
    expect(error.message).toMatch(/^commit 2 is refused: /);
  });

  const widening = {
    op: 'put' as const,
    key: 'global/scopes/eu',
    value: { regions: ['eu1', 'us1'], ingress: 'any' },
  };

  function flipped(jws: Jws): Jws {
    return { ...jws, payload: `${jws.payload.slice(0, 40)}A${jws.payload.slice(41)}` };
  }

  async function manifestOf(version: number) {
    const decoded = decodeJws(await commitAt(version), envelopeKind, nodeCrypto);
    if ('code' in decoded) throw new Error(decoded.code);
    return decoded.claimed.manifest;
  }

  async function signedBy(name: string): Promise<Jws> {
    const decoded = decodeJws(await commitAt(2), envelopeKind, nodeCrypto);
    if ('code' in decoded) throw new Error(decoded.code);
    return signJws(envelopeKind.typ, decoded.claimed, [keyNamed(name)]);
  }

  async function swap(a: number, b: number): Promise<void> {
    const [first, second] = [await commitAt(a), await commitAt(b)];
    await put(a, second);
    await put(b, first);
  }
});

describe('what is missing', () => {
  test('a commit in the middle is a gap and not an older head', async () => {
    await rm(commitPath(project, 2));
    expect(await refusal()).toEqual(['gap', 7]);
  });

  test('the newest commit alone is an older head', async () => {
    await rm(commitPath(project, 3));
    const { holder } = await readState(project.paths, project.trust);
    expect(holder.state.manifest.version).toBe(2n);
  });

  test('a directory without its trust document is not mounted: nothing is planned', async () => {
    await rename(project.paths.control, `${project.paths.control}.away`);
    expect(await refusal()).toEqual(['source-unreadable', 6]);
  });
});

describe('the trust document of the directory', () => {
  test('is the pinned one', async () => {
    const other = await initProject(await newFolder(), configOf());
    const path = join('trust', '1.json');
    const text = await readFile(join(other.paths.control, path), 'utf8');
    await writeFile(join(project.paths.control, path), text);
    expect(await refusal()).toEqual(['trust-previous', 7]);
  });

  test('is not followed by one that this command cannot judge', async () => {
    for (const text of ['{}', '{"payl', '']) {
      await writeFile(join(project.paths.control, 'trust', '2.json'), text);
      expect(await refusal()).toEqual(['malformed', 7]);
    }
  });
});
