// Which steps go together: as many as a commit takes, in the order of their arrival.

import { expect, test } from 'vitest';
import { chooseSteps } from '../../agent/control/choose-steps.ts';
import { canonical, utf8Length } from '../../shared/canonical.ts';
import { batchOf } from '../../shared/control/batch.ts';
import { groundOn } from '../../shared/control/provision.ts';
import { type Step, stepKind } from '../../shared/control/step.ts';
import { BATCH_BYTES_MAX, HOSTS_PER_TENANT_MAX } from '../../shared/limits.ts';
import { nodesOf } from '../shared/drafts.ts';
import { vouched } from '../shared/forge.ts';
import { crypto, receive } from '../shared/kit.ts';
import {
  agentCommit,
  creation,
  marketplace,
  retirement,
  shop,
  suspension,
} from '../shared/provisioning.ts';

const market = await marketplace();
await receive(market, await agentCommit(market, [creation('alpha'), creation('omega')]));

async function chosenOf(steps: readonly Step[]) {
  const waiting = await Promise.all(steps.map((step) => vouched(stepKind, step, shop.kid)));
  const ground = groundOn(market.holder.state, nodesOf(market), crypto);
  const choice = chooseSteps(waiting, ground, crypto);
  const names = (of: Iterable<{ readonly value: Step }>) => [...of].map(({ value }) => value.opId);
  return {
    ...choice,
    names: names(choice.chosen),
    landed: names(choice.landed),
    refused: [...choice.refused].map(([{ value }, { code }]) => `${value.opId} ${code}`),
  };
}

test('50 creations fill a commit, and 51 do not fit (C2)', async () => {
  const many = Array.from({ length: 51 }, (_, i) => creation(`t${i}`));
  expect((await chosenOf(many.slice(0, 50))).names).toHaveLength(50);
  expect((await chosenOf(many)).names).toHaveLength(50);
});

test('steps with many hosts go by their bytes, and the batch fits', async () => {
  const long = 'x'.repeat(60);
  const hosts = (id: string) =>
    Array.from({ length: HOSTS_PER_TENANT_MAX }, (_, i) => {
      return `h${String(i).padStart(2, '0')}.${long}.${long}.${id}.tenants.example`;
    });
  const large = Array.from({ length: 50 }, (_, i) => creation(`t${i}`, { hosts: hosts(`t${i}`) }));
  const { chosen } = await chosenOf(large);
  expect(chosen.length).toBeGreaterThan(5);
  expect(chosen.length).toBeLessThan(50);
  const place = { cluster: 'demo', generation: 1n, opId: 'batch-0001' };
  const bytes = utf8Length(canonical(batchOf(chosen, place, crypto)));
  expect(bytes).toBeLessThanOrEqual(BATCH_BYTES_MAX);
  const one = utf8Length(canonical(chosen[0]?.jws));
  expect(bytes + one).toBeGreaterThan(BATCH_BYTES_MAX);
});

test('what an earlier one stands in the way of waits; what never fits is refused', async () => {
  const same = { hosts: ['same.tenants.example'] };
  const steps = [
    creation('b', same),
    creation('c', same),
    suspension(market, 'alpha'),
    retirement(market, 'alpha'),
    creation('d', { hosts: ['shop.example'] }),
    creation('omega'),
  ];
  const { names, landed, refused } = await chosenOf(steps);
  expect(names).toEqual(['create-b', 'suspend-alpha']);
  expect(landed).toEqual(['create-omega']);
  expect(refused).toEqual(['create-d template']);
});
