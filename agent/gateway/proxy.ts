// The way from the gateway to one service: a pool of connections, and over it one exchange a
// request (exchange.ts). Whether a request may pass is decided before; here it is only carried.
//
// Invariants:
// - one call, one request to the service, at most: no retry, no redirect followed. Only the edge
//   knows whether an operation may be repeated (S6), and a followed redirect could leave the scope
//   (E7);
// - an ambiguous request (hop-headers.ts), and whatever follows it on its connection, opens none.
//
// Rejected: HTTP/2 to the service, which undici would take when it is offered. Many exchanges would
// share one connection's window and one broken connection, and its headers are no raw list.

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { buildConnector, Pool } from 'undici';
import { Exchange, type ForwardOutcome, type Upstream } from './exchange.ts';
import { type GatewayHeaders, type HeadRefusal, upstreamHead } from './hop-headers.ts';
import { answerProblem } from './problem.ts';

export interface ProxyOptions {
  /** Origin of the service; a path is refused. */
  readonly upstream: URL | string;
  /** From the end of the request to the head of the answer; connecting counts. */
  readonly headersTimeoutMs: number;
  /** Longest silence within a body, of either side. */
  readonly bodyIdleTimeoutMs: number;
  /** The whole exchange, from `forward` to its last byte; 0 for none. */
  readonly deadlineMs: number;
  /** Connections to the service; what comes beyond them waits, within the times above. */
  readonly connections: number;
}

export interface ForwardExtra extends GatewayHeaders {
  /** Id of the decision, for the client's problem report. */
  readonly decision: string;
}

export interface ServiceProxy {
  /** Carries one request and its answer; never rejects. */
  forward(
    request: IncomingMessage,
    response: ServerResponse,
    extra: ForwardExtra,
  ): Promise<ForwardOutcome>;
  /** Takes no more, and is done when what runs is done. */
  close(): Promise<void>;
}

export function createProxy(options: ProxyOptions): ServiceProxy {
  const upstream: Upstream = {
    times: options,
    pool: poolFor(options, noteReset),
    resetting: false,
  };
  const condemned = new WeakMap<Socket, HeadRefusal>();
  let closing: Promise<void> | null = null;
  function noteReset(): void {
    upstream.resetting = true;
    queueMicrotask(() => {
      upstream.resetting = false;
    });
  }
  return {
    forward(request, response, { decision, ...own }) {
      const before = condemned.get(request.socket);
      if (before !== undefined) return Promise.resolve(before);
      const head = upstreamHead(request, own);
      if (head.kind === 'refused') {
        // Nobody knows where the next request on this connection begins (RFC 9112, 6.3), and what
        // the server takes for it may have been parsed already.
        condemned.set(request.socket, head);
        answerProblem(response, { status: 400, code: head.code, decision, close: true });
        return Promise.resolve(head);
      }
      return new Promise((resolve) => {
        new Exchange(upstream, { request, response, decision }, resolve).start(head);
      });
    },
    close() {
      closing ??= upstream.pool.close();
      return closing;
    },
  };
}

function poolFor(options: ProxyOptions, noteReset: () => void): Pool {
  const connect = buildConnector({ timeout: options.headersTimeoutMs, allowH2: false });
  return new Pool(options.upstream, {
    connections: options.connections,
    // More would let one stalled answer hold others, and one broken connection fail them.
    pipelining: 1,
    // The exchange has its own clocks.
    headersTimeout: 0,
    bodyTimeout: 0,
    connect(target, callback) {
      connect(target, (error, socket) => {
        if (error !== null) {
          callback(error, null);
          return;
        }
        // undici takes a reset for the end of a body that ends with the connection. This listener
        // stands before undici's, which calls `onResponseEnd` within the same event.
        socket.on('error', noteReset);
        callback(null, socket);
      });
    },
  });
}
