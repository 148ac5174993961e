// The real process through a rotation of its own key (C5): with both keys in its configuration it
// goes on without a pause.

import { writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { AgentFolder, type AgentProcess, jwkOf } from '../fakes/agent-process.ts';
import { testTrust } from '../shared/kit.ts';
import { signedAfter, sitesWith } from '../shared/rotations.ts';
import { until } from '../world/wait.ts';

const SOON = { deadlineMs: 10_000 };
const TEST_MS = 20_000;

let folder: AgentFolder;
let started: AgentProcess[];
beforeEach(async () => {
  folder = await AgentFolder.make();
  started = [];
  await writeFile(folder.at('keys', 'next.jwk'), jwkOf('new agent eu1-1'));
});
afterEach(async () => {
  await Promise.all(started.map((agent) => agent.kill()));
  await folder.remove();
});

function start(): AgentProcess {
  const agent = folder.start();
  started.push(agent);
  return agent;
}

/** eu1-1 has the next key from here on. */
async function rotate(): Promise<void> {
  const pin = await testTrust();
  await folder.control.writeTrust(1n, pin.jws);
  await folder.control.writeTrust(2n, await signedAfter(pin, { sites: sitesWith(['eu1']) }));
}

/** Under the second document a word of eu1 is one under the next key. */
function heardUnderNext(agent: AgentProcess) {
  return until(
    'it is heard under the second document',
    async () => {
      const status = await agent.status();
      return (
        status['trust'] === '2' && (status['sitesHeard'] as string[]).includes('eu1') && status
      );
    },
    SOON,
  );
}

test(
  'an agent signs with the next key from the moment that trust names it, and then with it alone',
  async () => {
    await folder.configure({ nextKey: 'keys/next.jwk' });
    const agent = start();
    await agent.ready;
    await rotate();
    expect(await heardUnderNext(agent)).toMatchObject({ alarms: {} });
    await agent.kill();
    await folder.configure({ key: 'keys/next.jwk' });
    const again = start();
    await again.ready;
    expect(await heardUnderNext(again)).toMatchObject({ alarms: {} });
  },
  TEST_MS,
);

test(
  'an agent does not start with a key that was taken out, nor with one that was never named',
  async () => {
    await folder.configure({ key: 'keys/next.jwk' });
    const early = start();
    expect(await early.ended).toEqual([1, null]);
    await rotate();
    await folder.configure({});
    const late = start();
    expect(await late.ended).toEqual([1, null]);
    for (const { log } of [early, late]) {
      expect(log.at(-1)).toMatchObject({ level: 60, code: 'config' });
      expect(log.at(-1)?.['error']).toContain('is not the key of eu1/eu1-1');
    }
  },
  TEST_MS,
);
