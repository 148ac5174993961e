// One isolate on fake surroundings, and the requests of a client in Frankfurt for globex.example,
// which may be read in eu1 and us1 and has its home in us1.

import { refresh } from '../../edge/control/refresh.ts';
import { View } from '../../edge/control/view.ts';
import type { EdgePorts } from '../../edge/env.ts';
import { handle } from '../../edge/steering/handle.ts';
import { parseProvenance } from '../../shared/provenance/profile.ts';
import { crypto, testTrust } from '../shared/kit.ts';
import { type FakePorts, FakeStore, fakePorts } from './fake-ports.ts';
import { change, NOW, Origin } from './origin.ts';

const trust = await testTrust();
export const origin = await Origin.start(trust, change(1));
const fresh = await origin.freshHead(NOW);

export const CF = {
  country: 'DE',
  colo: 'FRA',
  latitude: '50.1',
  longitude: '8.7',
  continent: 'EU',
};

export function request(path = '/a', init: RequestInit<IncomingRequestCfProperties> = {}): Request {
  const cf = CF as unknown as IncomingRequestCfProperties;
  return new Request(`https://globex.example${path}`, { cf, ...init });
}

export interface Edge {
  readonly view: View;
  readonly ports: FakePorts;
  readonly stores: readonly FakeStore[];
  readonly ask: (
    path?: string,
    init?: RequestInit<IncomingRequestCfProperties>,
  ) => Promise<Response>;
}

/** An isolate in front of two stores; `warm`: it has served globex.example before. */
export async function edge(warm: boolean, changes: Partial<EdgePorts> = {}): Promise<Edge> {
  const stores = ['weur', 'enam'].map((id) => new FakeStore(id, origin, fresh));
  const ports = fakePorts(stores, changes);
  const view = new View(trust, crypto);
  const made = {
    view,
    ports,
    stores,
    ask: (...asked: Parameters<typeof request>) =>
      ports.clock.run(handle(request(...asked), view, ports)),
  };
  if (warm) {
    await ports.clock.run(refresh(view, ports));
    await made.ask();
    await ports.settle();
    ports.sent.length = 0;
    forget(stores);
  }
  return made;
}

function forget(stores: readonly FakeStore[]): void {
  for (const { calls } of stores) calls.length = 0;
}

export function provenanceOf(sent: Request | undefined) {
  return parseProvenance(sent?.headers.get('portolan-provenance') ?? '');
}
