// Deltas of who has no key (C9): each is counted, and none fills a log.

import { expect, test } from 'vitest';
import { STRANGERS_SAID_MS } from '../../agent/limits.ts';
import { Fleet } from '../fakes/fleet.ts';

test('they are counted each, and said once a minute', async () => {
  const fleet = await Fleet.afloat();
  const agent = fleet.agent('eu1');
  for (let i = 0; i < 100; i++) await agent.deliver('hello');
  expect(agent.status.alarms).toMatchObject({ malformed: 100 });
  expect(fleet.ownAlarms('eu1')).toEqual(['malformed']);
  fleet.nowMs += STRANGERS_SAID_MS - 1;
  await agent.deliver('hello');
  expect(fleet.ownAlarms('eu1')).toEqual(['malformed']);
  fleet.nowMs += 1;
  await agent.deliver('hello');
  expect(fleet.ownAlarms('eu1')).toEqual(['malformed', 'malformed']);
});
