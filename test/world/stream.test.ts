import { expect, test } from 'vitest';
import { Stream } from './stream.ts';
import { until } from './wait.ts';
import type { World } from './world.ts';

test('traffic that nobody stopped ends with its world', async () => {
  const closing = new AbortController();
  // Nobody answers there: what is sent has no answer.
  const nowhere = 'http://127.0.0.1:1';
  const edges = { fra: nowhere, iad: nowhere, gru: nowhere, nrt: nowhere };
  const stream = Stream.start({ closed: closing.signal, edges } as unknown as World);
  await until('two requests', () => stream.answers.length >= 2, { deadlineMs: 5_000 });
  closing.abort();
  await stream.ended;
  expect(stream.wrong()).toHaveLength(stream.answers.length);
});
