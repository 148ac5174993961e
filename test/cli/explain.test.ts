// Explanations: every region with its reason, and what was assumed to say so.

import { describe, expect, test } from 'vitest';
import { countryCentres } from '../../agent/cli/countries.ts';
import { ask, type Question } from '../../agent/cli/question.ts';
import { outcomeText, reasonsOf } from '../../agent/cli/reasons.ts';
import { readState, type State } from '../../agent/cli/state.ts';
import { decide } from '../../shared/steering/decide.ts';
import { commit, type Edit, failureOf, newProject } from './project-kit.ts';

async function stateWith(edit?: Edit): Promise<State> {
  const project = await newProject();
  await commit(project, edit);
  return readState(project.paths, project.trust);
}

function answerTo(state: State, question: Partial<Question>) {
  const asked = ask(state, { tenant: 'globex', op: 'read', down: [], ...question });
  const decision = decide(asked.facts, asked.scene);
  const regions = reasonsOf(decision, asked.scene.global, asked.scene.verdicts);
  return {
    asked,
    decision,
    outcome: outcomeText(decision),
    reasons: regions.map(({ region, verdict, reason }) => `${region} ${verdict}: ${reason}`),
    distances: regions.map(({ distance }) => distance),
  };
}

const open: Edit = ({ scopes }) => {
  scopes['atlantic'] = { regions: ['eu1', 'us1'], ingress: 'any' };
};

describe('a question is answered for every region', () => {
  const table: readonly (readonly [string, Partial<Question>, string, readonly string[]])[] = [
    [
      'a read near a replica',
      { op: 'read', from: 'DE' },
      'served by eu1 at https://gw.eu1.example',
      [
        'eu1 up: chosen: nearest level',
        'us1 up: may serve it, but another is nearer (level 2 by distance)',
      ],
    ],
    [
      'a write, wherever it comes from',
      { op: 'write', from: 'DE' },
      'served by us1 at https://gw.us1.example',
      [
        'eu1 up: not the home: writes and sessions go to the home alone',
        'us1 up: chosen: nearest level',
      ],
    ],
    [
      'a session',
      { op: 'session', from: 'FR' },
      'served by us1 at https://gw.us1.example',
      [
        'eu1 up: not the home: writes and sessions go to the home alone',
        'us1 up: chosen: nearest level',
      ],
    ],
    [
      'a read while the near region is down',
      { op: 'read', from: 'DE', down: ['eu1'] },
      'served by us1 at https://gw.us1.example',
      ['eu1 down: may serve it, but is down', 'us1 up: chosen: level 2 by distance'],
    ],
    [
      'a write while the home is down',
      { op: 'write', from: 'DE', down: ['us1'] },
      'refused: no region that may serve it is able to (no-able-region)',
      [
        'eu1 up: not the home: writes and sessions go to the home alone',
        'us1 down: may serve it, but is down',
      ],
    ],
    [
      'a tenant of one region',
      { tenant: 'acme', op: 'read', from: 'US' },
      'served by eu1 at https://gw.eu1.example',
      ['eu1 up: chosen: nearest level', 'us1 up: outside the tenant’s scope'],
    ],
  ];
  test.each(table)('%s', async (_, question, outcome, reasons) => {
    const answer = answerTo(await stateWith(open), question);
    expect([answer.outcome, answer.reasons]).toEqual([outcome, reasons]);
  });

  test('also where the country ends it before any region is looked at', async () => {
    const answer = answerTo(await stateWith(), { from: 'BR' });
    expect(answer.decision.outcome).toEqual({ kind: 'refuse', code: 'ingress-country' });
    expect(answer.reasons).toEqual([
      'eu1 up: not looked at: the scope takes no requests from this country',
      'us1 up: not looked at: the scope takes no requests from this country',
    ]);
    const unknown = answerTo(await stateWith(), {});
    expect(unknown.decision.outcome).toEqual({ kind: 'refuse', code: 'country-unknown' });
  });

  test('a path of the policy makes it a session', async () => {
    const answer = answerTo(await stateWith(open), { op: 'read', path: '/cart/1' });
    expect(answer.decision.admission?.op).toBe('session');
  });
});

describe('where a question comes from', () => {
  test('is the middle of its country, if nothing better is said', async () => {
    const state = await stateWith(open);
    const { asked } = answerTo(state, { from: 'DE' });
    expect(asked.facts).toMatchObject({ country: 'DE', at: [51, 9] });
    expect(asked.assumed).toContain('place: the middle of DE');
    const better = answerTo(state, { from: 'DE', at: [39, -77] });
    expect(better.asked.facts).toMatchObject({ country: 'DE', at: [39, -77] });
    expect(better.decision.outcome).toMatchObject({ region: 'us1' });
  });

  test('is unknown for a country that is not in the table, and said to be', async () => {
    const { asked, distances } = answerTo(await stateWith(open), { from: 'AQ' });
    expect(asked.facts).toMatchObject({ country: 'AQ' });
    expect(asked.facts.at).toBeUndefined();
    expect(distances).toEqual(['unknown', 'unknown']);
  });

  test('is an edge location where the table of latencies knows it', async () => {
    const measured: Edit = (config) => {
      open(config);
      config.latency = { FRA: { eu1: 90, us1: 10 } };
    };
    const answer = answerTo(await stateWith(measured), { colo: 'FRA', from: 'DE' });
    expect(answer.distances).toEqual(['90 ms measured', '10 ms measured']);
    expect(answer.decision.outcome).toMatchObject({ region: 'us1' });
  });

  test('what was not said is listed as assumed', async () => {
    const { asked } = answerTo(await stateWith(open), {});
    expect(asked.assumed).toEqual([
      'verdicts: every region up',
      'age of the state: 0 s',
      'client: any (--client decides between equals)',
      'place: unknown (--at, --from, --colo)',
    ]);
  });

  test('countries are whole degrees on the globe, sixty of them or more', () => {
    const centres = Object.entries(countryCentres);
    expect(centres.length).toBeGreaterThanOrEqual(60);
    for (const [code, [lat, lon]] of centres) {
      expect(code).toMatch(/^[A-Z]{2}$/);
      expect([Number.isInteger(lat), Number.isInteger(lon)]).toEqual([true, true]);
      expect(Math.abs(lat) <= 90 && Math.abs(lon) <= 180).toBe(true);
    }
  });
});

describe('a question that makes no sense', () => {
  test('an unknown tenant is named, with the one that was meant', async () => {
    const state = await stateWith();
    const asking = failureOf(
      Promise.try(() => ask(state, { tenant: 'globx', op: 'read', down: [] })),
    );
    expect(await asking).toMatchObject({ code: 'tenant-unknown', exit: 2 });
    expect((await asking).message).toContain('did you mean "globex"?');
  });

  test('an unknown region and a path that is none are usage', async () => {
    const state = await stateWith();
    const wrong: readonly Partial<Question>[] = [
      { down: ['eu2'] },
      { path: 'x' },
      { path: '/a?b' },
    ];
    for (const more of wrong) {
      const question = { tenant: 'acme', op: 'read' as const, down: [], ...more };
      const error = await failureOf(Promise.try(() => ask(state, question)));
      expect([error.code, error.exit]).toEqual(['usage', 2]);
    }
  });
});
