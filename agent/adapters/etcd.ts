// etcd over `etcd3`, and the only file that imports it (docs/adr/0006-etcd-client.md). Of that
// client it uses the transport: transactions, ranges, the raw watch stream, compaction. Its own
// watchers lose events, its retries apply a write twice, its breaker lets one oversized request
// stop everybody: all of those are switched off, and the rules for them are in our own loops.
//
// A client a member and a purpose: what closes a broken connection for ranges must not close the
// stream of a watch beside it.

import { readFile } from 'node:fs/promises';
import { type CallOptions, InterceptingCall, type Interceptor, status } from '@grpc/grpc-js';
import { noop } from 'cockatiel';
import { Etcd3, type IWatchResponse } from 'etcd3';
import {
  type Etcd,
  EtcdError,
  endOf,
  type RangeRead,
  type RangeRequest,
  type Transaction,
  type TransactionResult,
  type Watch,
  type WatchEvent,
  type WatchFrame,
} from '../etcd-port.ts';
import {
  ETCD_CALL_TIMEOUT_MS,
  ETCD_KEEPALIVE_MS,
  ETCD_KEEPALIVE_TIMEOUT_MS,
  ETCD_RECEIVE_BYTES_MAX,
} from '../limits.ts';

export interface EtcdAccess {
  /** `https://host:port` of the members, the nearest first. */
  readonly endpoints: readonly string[];
  /** PEM texts. Without them the connection is not encrypted: tests on loopback only. */
  readonly tls?: { readonly ca: string; readonly cert: string; readonly key: string };
}

/** From PEM files. Rejects when one cannot be read. */
export async function readTls(paths: {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}): Promise<NonNullable<EtcdAccess['tls']>> {
  const text = (path: string) => readFile(path, 'utf8');
  return { ca: await text(paths.ca), cert: await text(paths.cert), key: await text(paths.key) };
}

type Client = Etcd3;

export class EtcdCluster implements Etcd {
  readonly #ranges: readonly Client[];
  readonly #watches: readonly Client[];
  /** The member asked last with success; a failure goes on to the next. */
  #member = 0;
  #watchMember = 0;
  #closed = false;

  constructor(access: EtcdAccess) {
    this.#ranges = access.endpoints.map((endpoint) => clientOf(endpoint, access));
    this.#watches = access.endpoints.map((endpoint) => clientOf(endpoint, access));
  }

  close(): void {
    this.#closed = true;
    for (const client of [...this.#ranges, ...this.#watches]) client.close();
  }

  /** A read may be asked of the next member at once: it changes nothing. */
  async range({ from, to, limit, revision }: RangeRequest): Promise<RangeRead> {
    const request = {
      key: bytesOf(from),
      range_end: bytesOf(to),
      limit,
      ...(revision === undefined ? {} : { revision: revision.toString() }),
    };
    for (let tried = 1; ; tried++) {
      try {
        const read = await this.#client().kv.range(request);
        return {
          revision: BigInt(read.header.revision),
          term: BigInt(read.header.raft_term),
          kvs: read.kvs.map(keyValue),
          more: read.more,
        };
      } catch (error) {
        const failed = errorOf(error, 'unavailable');
        if (failed.code === 'unavailable') this.#member += 1;
        if (failed.code !== 'unavailable' || tried >= this.#ranges.length) throw failed;
      }
    }
  }

  /** Never tried twice: whoever asked must first read what became of it. */
  async txn({ compare, put, remove }: Transaction): Promise<TransactionResult> {
    const request = {
      compare: compare.map(({ key, modRevision }) => ({
        result: 'Equal' as const,
        target: 'Mod' as const,
        key: bytesOf(key),
        mod_revision: modRevision.toString(),
      })),
      success: [
        ...put.map(({ key, value }) => ({
          request_put: { key: bytesOf(key), value: Buffer.from(value) },
        })),
        ...remove.map((key) => ({ request_delete_range: { key: bytesOf(key) } })),
      ],
    };
    try {
      const { succeeded, header } = await this.#client().kv.txn(request);
      return { succeeded, revision: BigInt(header.revision) };
    } catch (error) {
      const failed = errorOf(error, 'ambiguous');
      if (failed.code === 'ambiguous') this.#member += 1;
      throw failed;
    }
  }

  watch(prefix: string, revision: bigint): Watch {
    const client = this.#watches[this.#watchMember++ % this.#watches.length];
    if (client === undefined || this.#closed) return new EndedWatch('the client is closed');
    return new EtcdWatch(client, prefix, revision);
  }

  async compact(revision: bigint): Promise<void> {
    try {
      await this.#client().kv.compact({ revision: revision.toString() });
    } catch (error) {
      throw errorOf(error, 'unavailable');
    }
  }

  #client(): Client {
    const client = this.#ranges[this.#member % this.#ranges.length];
    if (client === undefined || this.#closed) {
      throw new EtcdError('unavailable', 'the client is closed');
    }
    return client;
  }
}

/** One watch on one stream of one member. Frames are pulled, so that memory is bounded. */
class EtcdWatch implements Watch {
  readonly #opened: Promise<AsyncIterator<IWatchResponse> | string>;
  readonly #closed = Promise.withResolvers<WatchFrame>();
  #cancel: () => void = () => {};
  #isClosed = false;

  constructor(client: Client, prefix: string, revision: bigint) {
    this.#opened = this.#open(client, prefix, revision);
  }

  async next(): Promise<WatchFrame> {
    return Promise.race([this.#next(), this.#closed.promise]);
  }

  close(): void {
    this.#isClosed = true;
    this.#closed.resolve({ kind: 'ended', reason: 'closed' });
    this.#cancel();
  }

  async #open(
    client: Client,
    prefix: string,
    revision: bigint,
  ): Promise<AsyncIterator<IWatchResponse> | string> {
    try {
      const stream = await client.watchClient.watch();
      // What breaks the stream ends the iteration below; unhandled it would end the process.
      const raw = stream as unknown as NodeJS.ReadableStream & { cancel(): void };
      raw.on('error', () => {});
      this.#cancel = () => raw.cancel();
      if (this.#isClosed) raw.cancel();
      stream.write({
        create_request: {
          key: bytesOf(prefix),
          range_end: bytesOf(endOf(prefix)),
          start_revision: revision.toString(),
          progress_notify: true,
          fragment: true,
        },
      });
      return raw[Symbol.asyncIterator]() as unknown as AsyncIterator<IWatchResponse>;
    } catch (error) {
      return String(error);
    }
  }

  async #next(): Promise<WatchFrame> {
    const frames = await this.#opened;
    if (typeof frames === 'string') return { kind: 'ended', reason: frames };
    try {
      const { done, value } = await frames.next();
      return done === true ? { kind: 'ended', reason: 'the stream ended' } : frameOf(value);
    } catch (error) {
      return { kind: 'ended', reason: error instanceof Error ? error.message : String(error) };
    }
  }
}

class EndedWatch implements Watch {
  readonly #reason: string;

  constructor(reason: string) {
    this.#reason = reason;
  }

  async next(): Promise<WatchFrame> {
    return { kind: 'ended', reason: this.#reason };
  }

  close(): void {}
}

function frameOf(response: IWatchResponse): WatchFrame {
  const { canceled, compact_revision, cancel_reason, events, fragment } = response;
  // 3.4 gives no reason for a compacted start, only the revision.
  if (compact_revision !== '0') return { kind: 'compacted', revision: BigInt(compact_revision) };
  if (canceled) return { kind: 'ended', reason: cancel_reason || 'the watch was cancelled' };
  if (events.length === 0 && !fragment) return { kind: 'alive' };
  return { kind: 'events', events: events.map(eventOf), more: fragment };
}

function eventOf({ type, kv }: IWatchResponse['events'][number]): WatchEvent {
  const { key, modRevision, ...rest } = keyValue(kv);
  if (type === 'Delete' || (type as unknown) === 'DELETE')
    return { kind: 'delete', key, modRevision };
  return { kind: 'put', key, modRevision, ...rest };
}

/** Of a key. Attack: one that is no text, and as a text would name another, or none. */
function bytesOf(key: string): Buffer {
  return Buffer.from(key, 'latin1');
}

function keyValue(kv: IWatchResponse['events'][number]['kv']) {
  return {
    key: kv.key.toString('latin1'),
    value: kv.value.toString('utf8'),
    createRevision: BigInt(kv.create_revision),
    modRevision: BigInt(kv.mod_revision),
  };
}

function clientOf(endpoint: string, { tls }: EtcdAccess): Client {
  return new Etcd3({
    hosts: endpoint,
    ...(tls === undefined
      ? {}
      : {
          credentials: {
            rootCertificate: Buffer.from(tls.ca),
            privateKey: Buffer.from(tls.key),
            certChain: Buffer.from(tls.cert),
          },
        }),
    grpcOptions: {
      'grpc.max_receive_message_length': ETCD_RECEIVE_BYTES_MAX,
      'grpc.keepalive_time_ms': ETCD_KEEPALIVE_MS,
      'grpc.keepalive_timeout_ms': ETCD_KEEPALIVE_TIMEOUT_MS,
      'grpc.keepalive_permit_without_calls': 1,
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': 1_000,
      // A connection of its own: one that is half open must not carry another's calls.
      'grpc.use_local_subchannel_pool': 1,
      interceptors: [requireLeader],
    } as NonNullable<ConstructorParameters<typeof Etcd3>[0]>['grpcOptions'] & object,
    faultHandling: { host: () => noop, global: noop },
    defaultCallOptions: ({ isStream }): CallOptions => {
      return isStream ? {} : { deadline: Date.now() + ETCD_CALL_TIMEOUT_MS };
    },
  });
}

/** A member cut off from the others answers "no leader" instead of staying silent. */
const requireLeader: Interceptor = (options, nextCall) => {
  return new InterceptingCall(nextCall(options), {
    start(metadata, listener, next) {
      metadata.set('hasleader', 'true');
      next(metadata, listener);
    },
  });
};

/** `unknown` is the code of an answer that does not say what happened. */
function errorOf(error: unknown, unknown: 'unavailable' | 'ambiguous'): EtcdError {
  if (error instanceof EtcdError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new EtcdError(codeOf(message) ?? unknown, message, { cause: error });
}

/** By etcd's own words: the client's classes mix them up. */
function codeOf(message: string): 'compacted' | 'too-large' | 'denied' | 'refused' | null {
  if (message.includes('revision has been compacted')) return 'compacted';
  if (message.includes('request is too large')) return 'too-large';
  // etcd's own words for a request, and the transport's, in capitals, for an answer.
  if (/received message larger than max/i.test(message)) return 'too-large';
  if (message.includes('permission denied')) return 'denied';
  if (message.startsWith(`${status.UNAUTHENTICATED} `)) return 'denied';
  if (message.includes('too many operations')) return 'refused';
  return message.includes('database space exceeded') ? 'refused' : null;
}
