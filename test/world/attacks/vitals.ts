// Whether everybody is alive and well: no process of the world has ended, and no log says that
// something happened which must not, whatever anybody sends.

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Child } from '../children.ts';
import { SITES } from '../demo.ts';
import type { Report } from '../report.ts';
import type { World } from '../world.ts';

/** A bug by its code, an exception that nobody caught. */
const BUG = /"(?:alarm|code)":"(?:[a-z]+-bug|internal)"|"level":"error"|"level":60|Uncaught/;

export class Vitals {
  readonly #world: World;
  readonly #ended: string[] = [];

  constructor(world: World) {
    this.#world = world;
    const services = [...world.services.values()];
    for (const child of [...world.agents.values(), world.edgeHost, ...services]) this.#watch(child);
  }

  async check(report: Report): Promise<void> {
    report.equal('processes that have ended', this.#ended.join(), '');
    const lines = await bugLines(this.#world);
    for (const line of lines.slice(0, 5)) report.event(`a bug: ${line.slice(0, 300)}`);
    report.equal('lines of bugs in the logs of agents, stores and edges', lines.length, 0);
  }

  #watch(child: Child): void {
    void child.exited.then(() => this.#ended.push(child.name));
  }
}

async function bugLines({ folder }: World): Promise<readonly string[]> {
  const edge = join(folder, 'edge');
  const names = (await readdir(edge)).filter((name) => name.endsWith('.log'));
  const logs = [
    ...SITES.map((site) => join(folder, `agent-${site}.log`)),
    join(folder, 'edges.log'),
    ...names.map((name) => join(edge, name)),
  ];
  const texts = await Promise.all(logs.map((log) => readFile(log, 'utf8')));
  return texts.flatMap((text) => text.split('\n').filter((line) => BUG.test(line)));
}
