// One request of a client and the service's answer to it, streamed both ways.
//
// Each side is read as fast as the other takes it. A service that does not read makes us stop
// reading the client, a client that does not read makes us stop reading the service; in between lie
// some tens of kilobytes, whatever the length of the body.
//
// Invariants:
// - an answer that was cut off never looks complete to the client: its connection breaks;
// - whoever goes away first, the other side is let go at once, and nothing of the exchange stays;
// - every exchange ends: by silence of one side, or by its deadline;
// - after `#settled` nothing is written and no outcome changes.
//
// The service gets the head of a request together with the first bytes of its body (undici writes
// it then), so it cannot refuse a body that the client has not begun to send. A body that ends with
// the connection (HTTP/1.0 services) carries no mark of its end: a service that dies so that its
// kernel closes in good order cannot be told from one that is done.
//
// Rejected: undici's `request` and `stream`, which lay a buffer or an async scope around each body
// and give headers as an object; `dispatch`, on which both are built, gives them raw, and its
// `pause` acts on the socket. The client's IncomingMessage as the body: undici destroys the body of
// a failed request, and what the client still sends could not be read away before it reads the 502.
// undici's timeouts: they tick every half second and cannot say who was waited for.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import { answerHeaders, type ForwardedHead, type HeadRefusalCode } from './hop-headers.ts';
import { answerProblem } from './problem.ts';

export type ForwardOutcome =
  | {
      readonly kind: 'answered';
      readonly status: number;
      /** Bytes of the bodies, from the client and to it. */
      readonly bytesIn: number;
      readonly bytesOut: number;
    }
  /** The request is ambiguous (400); the service has not seen it. */
  | { readonly kind: 'refused'; readonly code: HeadRefusalCode }
  | { readonly kind: 'client-gone' }
  /** 502 if the answer had not begun; `code` is undici's or the system's. */
  | { readonly kind: 'upstream-failed'; readonly code: string }
  /** 504, or 408 where the client was waited for, if the answer had not begun. */
  | {
      readonly kind: 'deadline';
      readonly code: 'service-silent' | 'client-idle' | 'exchange-deadline';
    };

type Failure = Extract<ForwardOutcome, { readonly kind: 'upstream-failed' | 'deadline' }>;

export interface Upstream {
  /** As in ProxyOptions. */
  readonly times: {
    readonly headersTimeoutMs: number;
    readonly bodyIdleTimeoutMs: number;
    readonly deadlineMs: number;
  };
  readonly pool: Pick<Dispatcher, 'dispatch'> & { close(): Promise<void> };
  /** A connection to the service is being reset within the present event. */
  resetting: boolean;
}

export interface Client {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly decision: string;
}

export class Exchange implements Dispatcher.DispatchHandler {
  readonly #upstream: Upstream;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #decision: string;
  readonly #resolve: (outcome: ForwardOutcome) => void;
  #controller: Dispatcher.DispatchController | null = null;
  #body: Readable | null = null;
  #silence: NodeJS.Timeout | undefined;
  #deadline: NodeJS.Timeout | undefined;
  #settled = false;
  #bytesIn = 0;
  #bytesOut = 0;

  constructor(upstream: Upstream, client: Client, resolve: (outcome: ForwardOutcome) => void) {
    this.#upstream = upstream;
    this.#request = client.request;
    this.#response = client.response;
    this.#decision = client.decision;
    this.#resolve = resolve;
  }

  start({ path, headers, hasBody }: ForwardedHead): void {
    const { pool, times } = this.#upstream;
    const gone = () => this.#settle({ kind: 'client-gone' });
    if (this.#response.destroyed) gone();
    if (this.#settled) return; // It left while it was decided whether it is admitted.
    this.#request.on('error', gone);
    this.#response.on('error', gone).on('close', gone);
    this.#response.on('drain', () => this.#resumeAnswer());
    if (times.deadlineMs > 0) {
      const expire = () => this.#fail({ kind: 'deadline', code: 'exchange-deadline' });
      this.#deadline = setTimeout(expire, times.deadlineMs);
    }
    if (hasBody) this.#body = this.#upload();
    this.#watchSilence();
    const method = this.#request.method ?? 'GET';
    pool.dispatch({ path, method, headers: [...headers], body: this.#body }, this);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    // It waited for a connection and is not wanted any more.
    if (this.#settled) controller.abort(new Error('exchange is over'));
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    // 1xx is advice to whoever asked for it, and we did not.
    if (this.#settled || status < 200) return;
    const response = this.#response;
    response.writeHead(status, answerHeaders(status, latin1(controller.rawHeaders)));
    this.#watchSilence();
    // A head without a body yet (events, long polls) must not wait for one; with one, both go at
    // once.
    process.nextTick(() => {
      if (this.#bytesOut === 0 && !response.writableEnded) response.flushHeaders();
    });
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#settled) return;
    this.#bytesOut += chunk.length;
    this.#silence?.refresh();
    if (!this.#response.write(chunk)) controller.pause();
  }

  onResponseEnd(): void {
    if (this.#upstream.resetting) this.#fail({ kind: 'upstream-failed', code: 'ECONNRESET' });
    if (this.#settled) return;
    const status = this.#response.statusCode;
    this.#response.end(() => {
      const [bytesIn, bytesOut] = [this.#bytesIn, this.#bytesOut];
      this.#settle({ kind: 'answered', status, bytesIn, bytesOut });
    });
  }

  onResponseError(_controller: unknown, error: Error & { readonly code?: string }): void {
    const code = error.code ?? error.name;
    // Our clock and undici's of connecting run side by side; whichever is first, it is one fact.
    if (code === 'UND_ERR_CONNECT_TIMEOUT')
      this.#fail({ kind: 'deadline', code: 'service-silent' });
    else this.#fail({ kind: 'upstream-failed', code });
  }

  /** The client's body, read only when undici asks. */
  #upload(): Readable {
    const request = this.#request;
    const take = (chunk: Buffer) => {
      this.#bytesIn += chunk.length;
      this.#silence?.refresh();
      if (!body.push(chunk)) request.pause();
    };
    const body = new Readable({
      read() {
        request.resume();
      },
      destroy(error, done) {
        // What is left is read and dropped: a connection closed over unread bytes is reset, and the
        // client would lose the answer. The server's `requestTimeout` bounds it.
        request.off('data', take).resume();
        done(error);
      },
    });
    // undici stops listening when its request is over; an error later is nobody's.
    body.on('error', () => {});
    request.pause().on('data', take);
    // Not emitted for a body that was cut off.
    request.once('end', () => {
      body.push(null);
      this.#watchSilence();
    });
    return body;
  }

  #resumeAnswer(): void {
    if (this.#settled) return;
    this.#silence?.refresh();
    this.#controller?.resume();
  }

  /** Starts the clock of silence anew, for what is waited for now. */
  #watchSilence(): void {
    clearTimeout(this.#silence);
    if (this.#settled) return;
    const { headersTimeoutMs, bodyIdleTimeoutMs } = this.#upstream.times;
    const isInBody = this.#response.headersSent || this.#isUploading();
    this.#silence = setTimeout(
      () => {
        const code = this.#isClientAwaited() ? 'client-idle' : 'service-silent';
        this.#fail({ kind: 'deadline', code });
      },
      isInBody ? bodyIdleTimeoutMs : headersTimeoutMs,
    );
  }

  #isUploading(): boolean {
    return this.#body !== null && !this.#request.readableEnded;
  }

  #isClientAwaited(): boolean {
    if (this.#response.headersSent) return this.#response.writableLength > 0;
    return this.#isUploading() && !this.#request.isPaused();
  }

  #fail(failure: Failure): void {
    if (this.#settled) return;
    this.#settle(failure);
    if (this.#response.headersSent) {
      breakOff(this.#response);
      return;
    }
    const isIdle = failure.code === 'client-idle';
    const status = failure.kind === 'upstream-failed' ? 502 : isIdle ? 408 : 504;
    const code = failure.kind === 'upstream-failed' ? failure.kind : failure.code;
    answerProblem(this.#response, { status, code, decision: this.#decision, close: isIdle });
  }

  #settle(outcome: ForwardOutcome): void {
    if (this.#settled) return;
    this.#settled = true;
    clearTimeout(this.#silence);
    clearTimeout(this.#deadline);
    if (outcome.kind !== 'answered') this.#controller?.abort(new Error(outcome.kind));
    this.#body?.destroy();
    this.#resolve(outcome);
  }
}

function breakOff(response: ServerResponse): void {
  const socket = response.socket;
  // To HTTP/1.0, a connection closed in good order is the end of the body. TLS has its own mark of
  // it.
  const isReset = response.req.httpVersion === '1.0' && socket !== null && !('encrypted' in socket);
  if (isReset) socket.resetAndDestroy();
  else response.destroy();
}

/** undici gives bytes; node:http writes the same bytes again from their Latin-1 form. */
function latin1(raw: Dispatcher.DispatchController['rawHeaders']): readonly string[] {
  if (!Array.isArray(raw)) return [];
  return raw.map((item) => (typeof item === 'string' ? item : item.toString('latin1')));
}
