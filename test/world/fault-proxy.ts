// A TCP proxy that breaks what goes through it, in the ways networks do: connections reset,
// refused, stalled, half-open, cut in mid-stream, late. Faults of the world are made here, outside
// the product; the proxy reads no byte of what it carries, so TLS goes through.
//
// A proxy has a port for each target and one fault for all of them: it is "the way of one site to
// the cluster". For a fault on one target alone, give that target a proxy of its own.

import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { FaultWay, type WayFault } from './fault-way.ts';
import { freePorts } from './ports.ts';

/** Seen from the client's side of the proxy. */
export type Direction = 'to-client' | 'to-target';

export type ProxyCounts = {
  /** Accepted so far. */
  readonly accepted: number;
  readonly open: number;
  /** Open ones of which a direction is held at this moment. */
  readonly stalled: number;
  readonly bytesToClient: number;
  readonly bytesToTarget: number;
};

type Connection = {
  readonly client: Socket;
  readonly target: Socket;
  readonly ways: Readonly<Record<Direction, FaultWay>>;
};

const DIRECTIONS = ['to-client', 'to-target'] as const satisfies readonly Direction[];
const NONE: WayFault = { kind: 'none' };
/** A port may be taken between the look and the listening; hardly three times. */
const LISTEN_TRIES = 3;

export class FaultProxy {
  /** Of 127.0.0.1, one for each target, in their order. The same for the proxy's whole life. */
  readonly ports: readonly number[];
  readonly #servers: readonly Server[];
  readonly #connections = new Set<Connection>();
  readonly #faults: Record<Direction, WayFault> = { 'to-client': NONE, 'to-target': NONE };
  readonly #bytes: Record<Direction, number> = { 'to-client': 0, 'to-target': 0 };
  #accepted = 0;

  private constructor(ports: readonly number[], targets: readonly number[]) {
    this.ports = ports;
    this.#servers = targets.map((target) =>
      createServer({ allowHalfOpen: true }, (client) => this.#accept(client, target)),
    );
  }

  /** `targets` are ports of 127.0.0.1. */
  static async start(targets: readonly number[]): Promise<FaultProxy> {
    for (let tries = 1; ; tries++) {
      const proxy = new FaultProxy(await freePorts(targets.length), targets);
      try {
        await proxy.#listen();
        return proxy;
      } catch (error) {
        await proxy.close();
        if (tries === LISTEN_TRIES) throw error;
      }
    }
  }

  /** The port of the first target. */
  get port(): number {
    const [port] = this.ports;
    if (port === undefined) throw new Error('a proxy without a target');
    return port;
  }

  counts(): ProxyCounts {
    const stalled = [...this.#connections].filter(({ ways }) =>
      DIRECTIONS.some((direction) => ways[direction].isStalled),
    );
    return {
      accepted: this.#accepted,
      open: this.#connections.size,
      stalled: stalled.length,
      bytesToClient: this.#bytes['to-client'],
      bytesToTarget: this.#bytes['to-target'],
    };
  }

  /** Resets every open connection, on both sides. New ones are taken as before. */
  cut(): void {
    for (const { client, target } of this.#connections) {
      client.resetAndDestroy();
      target.resetAndDestroy();
    }
  }

  /** From now on a new connection is refused. Open ones go on. */
  refuse(): void {
    for (const server of this.#servers) if (server.listening) server.close();
  }

  /** Connections stay open, new ones are taken, no byte goes either way; `heal` lets all go on. */
  stall(): void {
    for (const direction of DIRECTIONS) this.#set(direction, { kind: 'stall' });
  }

  /**
   * Lets each connection, open or new, have so many bytes more towards the client and then stalls
   * that direction. With `cut` after it a stream ends in mid-frame.
   */
  stallAfter(bytes: number): void {
    this.#set('to-client', { kind: 'stall-after', bytes });
  }

  /**
   * Bytes of these directions are taken and lost, an end or a reset of the far side, too: the
   * connection looks alive. `heal` gives new connections their way back, never these.
   */
  halfOpen(directions: readonly Direction[] = ['to-client']): void {
    for (const direction of directions) this.#set(direction, { kind: 'swallow' });
  }

  /** Each way takes so much longer; order is kept. */
  delay(ms: number): void {
    for (const direction of DIRECTIONS) this.#set(direction, { kind: 'delay', ms });
  }

  /** Lets what was held go on; resolves when every port listens again. */
  async heal(): Promise<void> {
    for (const direction of DIRECTIONS) this.#set(direction, NONE);
    await this.#listen();
  }

  /** Ends all connections and frees the ports. */
  async close(): Promise<void> {
    this.cut();
    const listening = this.#servers.filter((server) => server.listening);
    await Promise.all(
      listening.map((server) => {
        server.close();
        return once(server, 'close');
      }),
    );
  }

  #set(direction: Direction, fault: WayFault): void {
    this.#faults[direction] = fault;
    for (const { ways } of this.#connections) ways[direction].set(fault);
  }

  async #listen(): Promise<void> {
    const idle = this.#servers.flatMap((server, index) => (server.listening ? [] : [index]));
    await Promise.all(
      idle.map(async (index) => {
        this.#servers[index]?.listen(this.ports[index], '127.0.0.1');
        await once(this.#servers[index] as Server, 'listening');
      }),
    );
  }

  #accept(client: Socket, port: number): void {
    this.#accepted += 1;
    const target = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    client.setNoDelay(true);
    const way = (from: Socket, to: Socket, direction: Direction) => {
      const made = new FaultWay(from, to, (bytes) => {
        this.#bytes[direction] += bytes;
      });
      made.set(this.#faults[direction]);
      return made;
    };
    const ways = {
      'to-client': way(target, client, 'to-client'),
      'to-target': way(client, target, 'to-target'),
    };
    const connection = { client, target, ways };
    this.#connections.add(connection);
    this.#endTogether(connection);
  }

  /** A side that breaks breaks the other, unless the way between them is one that shows nothing. */
  #endTogether(connection: Connection): void {
    const { client, target, ways } = connection;
    const gone = (to: Socket, way: FaultWay) => {
      if (!way.isBroken && !to.destroyed) to.resetAndDestroy();
      if (client.destroyed && target.destroyed) this.#connections.delete(connection);
    };
    // What a client says of its own end, a way that shows nothing cannot answer.
    client.on('end', () => {
      if (!ways['to-client'].isBroken) return;
      client.destroy();
      target.resetAndDestroy();
    });
    for (const [from, to, way] of [
      [client, target, ways['to-target']],
      [target, client, ways['to-client']],
    ] as const) {
      let broke = false;
      from.on('error', () => {
        broke = true;
      });
      from.on('close', () => {
        if (broke || to.destroyed) gone(to, way);
      });
    }
  }
}
