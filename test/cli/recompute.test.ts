// Logged decisions, decided again: the same, or different and where.

import { describe, expect, test } from 'vitest';
import { ask } from '../../agent/cli/question.ts';
import { decideAgain, firstDifference, readRecord } from '../../agent/cli/recompute.ts';
import { readState } from '../../agent/cli/state.ts';
import { toWire } from '../../shared/canonical.ts';
import { decide } from '../../shared/steering/decide.ts';
import { recordOf } from '../../shared/steering/explain.ts';
import { commit, failureOf, newProject } from './project-kit.ts';

describe('a logged decision', () => {
  async function logged() {
    const project = await newProject();
    await commit(project);
    const state = await readState(project.paths, project.trust);
    const question = { tenant: 'globex', op: 'read' as const, from: 'DE', down: ['eu1'] };
    const { facts, scene } = ask(state, question);
    const record = recordOf('d1', facts, scene, decide(facts, scene));
    return { state, record: structuredClone(record) as Record<string, unknown> };
  }

  test('comes out the same', async () => {
    const { state, record } = await logged();
    expect(decideAgain(readRecord(JSON.stringify(record)), state)).toMatchObject({ kind: 'same' });
  });

  const changes: readonly (readonly [string, (record: never) => void, string])[] = [
    [
      'with another verdict',
      (record: { seen: { verdicts: object } }) => {
        record.seen.verdicts = { eu1: 'up', us1: 'up' };
      },
      'decision.candidates.0.lot.kind',
    ],
    [
      'with another place of the client',
      (record: { facts: { at: unknown } }) => {
        record.facts.at = [0, 0];
      },
      'decision.candidates.0.distance.km',
    ],
    [
      'with another outcome',
      (record: { decision: { outcome: { region: string } } }) => {
        record.decision.outcome.region = 'eu1';
      },
      'decision.outcome.region',
    ],
    [
      'that names another manifest',
      (record: { basis: { manifest: string }; decision: { basis: { manifest: string } } }) => {
        record.basis.manifest = 'A'.repeat(43);
      },
      'basis.manifest',
    ],
    [
      'with a candidate left out',
      (record: { decision: { candidates: unknown[] } }) => {
        record.decision.candidates.pop();
      },
      'decision.candidates.1',
    ],
  ];
  test.each(changes)('%s comes out different, and where is said', async (_, change, path) => {
    const { state, record } = await logged();
    change(record as never);
    const again = decideAgain(readRecord(JSON.stringify(record)), state);
    expect(again).toMatchObject({ kind: 'different', first: { path } });
  });

  test('of a version that the directory does not have cannot be confirmed', async () => {
    const { state, record } = await logged();
    const later = { ...record, basis: { ...(record['basis'] as object), version: '7' } };
    const error = await failureOf(
      Promise.try(() => decideAgain(readRecord(JSON.stringify(later)), state)),
    );
    expect([error.code, error.exit]).toEqual(['gap', 7]);
  });

  test('that is none is refused', async () => {
    const { record } = await logged();
    const { decision: _, ...without } = record;
    for (const text of ['', '{}', '[', JSON.stringify(without)]) {
      const error = await failureOf(Promise.try(() => readRecord(text)));
      expect([error.code, error.exit]).toEqual(['input', 2]);
    }
  });

  test('equal values have no first difference, whatever the order of members', () => {
    expect(firstDifference({ a: 1, b: [2n] }, { b: ['2'], a: 1 })).toBeNull();
    expect(firstDifference(toWire({ a: null }), {})).toEqual({
      path: 'a',
      recorded: null,
      recomputed: undefined,
    });
  });
});
