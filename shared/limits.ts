// Every bound and default of the platform, each with its reason (DESIGN 13). A bound belongs here
// as soon as input from outside can reach it; its test stands one under and one over.
//
// Policy values (ages, intervals) may be lowered by configuration, never raised above these maxima.

/** etcd allows 128 operations a transaction; a commit also writes itself and the head (C2). */
export const OPERATIONS_PER_COMMIT_MAX = 100;

/** One record: the largest is a tenant with all its hosts (100 names of up to 253 characters). */
export const RECORD_BYTES_MAX = 32 * 1024;

/**
 * One signed commit. etcd takes 1.5 MiB a request, and the transaction that lands it carries it in
 * base64 and its records beside it: two and a third times this.
 */
export const COMMIT_BYTES_MAX = 512 * 1024;

/** The global part is one row of a Durable Object (2 MB at most) and is loaded by every isolate. */
export const GLOBAL_BYTES_MAX = 1024 * 1024;

/** Brackets inside brackets of one document; ours need 10, and recursion must end. */
export const NESTING_MAX = 32;

/** A trust document lists keys, not tenants: some hundred keys fit. */
export const TRUST_BYTES_MAX = 64 * 1024;

/**
 * Trust documents held: one rotation a month for twenty years. Beyond it the oldest is let go, and
 * what was committed under it is verified no more.
 */
export const TRUST_DOCUMENTS_MAX = 256;

/** Trust documents in one delta or head: they come with each, for receivers that just started. */
export const TRUST_PER_DELTA_MAX = 8;

/** An attestation names one version and some regions. */
export const ATTESTATION_BYTES_MAX = 16 * 1024;

/** A receipt names one version, or one code. */
export const RECEIPT_BYTES_MAX = 4 * 1024;

/** Receipts a store keeps; agents hear of each within seconds. */
export const RECEIPT_ROWS_MAX = 256;

/**
 * Newest receipts in every answer of a store: what a commit storm makes between two pushes, for
 * the agents that did not bring it.
 */
export const RECEIPTS_ANSWERED_MAX = 8;

/** One REFUSED for a code that is refused again and again, until it was not for this long. */
export const RECEIPT_BURST_MS = 60_000;

/** Stores whose receipts an agent holds: nine location hints and room. */
export const STORES_HEARD_MAX = 16;

/** Signatures on one document: a threshold of all sites that there may be, each with one key. */
export const SIGNATURES_MAX = 64;

/**
 * A protected header names an algorithm, a type and a thumbprint: some 100 bytes; a signature 86.
 */
export const JWS_HEADER_CHARS_MAX = 512;

/** The whole ingest body: one catch-up of some commits; a longer gap is caught up in several. */
export const DELTA_BYTES_MAX = 4 * 1024 * 1024;

/** Commits one delta may carry; each costs a verification before anything is stored. */
export const COMMITS_PER_DELTA_MAX = 64;

/**
 * Receipts in one answer of a store beside the newest: what the delta wrote, one for each commit
 * and for each code that it was refused for.
 */
export const RECEIPTS_EARLIER_MAX = COMMITS_PER_DELTA_MAX + 16;

/** Every agent of every site once: 64 sites with four agents each. */
export const ATTESTATIONS_PER_DELTA_MAX = 256;

/** Hosts of one tenant: custom domains are counted in tens. */
export const HOSTS_PER_TENANT_MAX = 100;

/** A step holds one tenant: a record of the largest kind, its placement, and what was read. */
export const STEP_BYTES_MAX = 48 * 1024;

/** Records that a step names as read: the template, the tenant, its placement, and what is near. */
export const STEP_READS_MAX = 16;

/** A batch of steps that each retire or suspend is one operation a step (C2). */
export const STEPS_PER_BATCH_MAX = 100;

/** In a commit a batch stands as base64url, beside its operations and signatures. */
export const BATCH_BYTES_MAX = 224 * 1024;

/** Domains that a template gives hosts below: a product has a handful. */
export const TEMPLATE_SUFFIXES_MAX = 16;

/** How long an agent gathers steps before it makes a batch: a tenant is served within 5 s. */
export const BATCH_WAIT_MS = 200;

/** Steps that wait at one agent: ten full batches, some seconds of work; more are told to wait. */
export const PROVISION_QUEUE_MAX = 1_000;

/** Steps whose end is remembered for those who ask again; what landed is told by the state. */
export const PROVISION_RESULTS_MAX = 10_000;

/** What a request that brings a step waits to see it land, at most: inside the 5 s promised. */
export const PROVISION_ANSWER_MS = 4_000;

/** Time a peer gets to co-sign a batch: it verifies 100 signatures and folds nothing. */
export const COSIGN_TIMEOUT_MS = 1_500;

/** After a conflict, or too few co-signatures: wait, and a jitter so that two agents part. */
export const PROVISION_RETRY_MS = { base: 100, jitter: 400 } as const;

/** A step that found no threshold for this long is given up; who sent it may send it again. */
export const PROVISION_PATIENCE_MS = 60_000;

/** Sites of a deployment; slots are taken modulo 64 (F1) and never reused. */
export const SITES_MAX = 64;

/**
 * A subtree with at most this many entries is one leaf, so the shape depends on the set alone (C8).
 */
export const MAP_LEAF_ENTRIES_MAX = 8;

/**
 * How long a superseded map node is kept, in commits, for isolates that still hold an older root.
 */
export const NODE_RETENTION_VERSIONS = 512;

/**
 * Links of the chain held in memory beyond the active one; more than that is fetched as a snapshot.
 */
export const CHAIN_LINKS_MAX = 1024;

/** Commits a head carries from the active one on: an isolate needs what sites name (C10). */
export const HEAD_COMMITS_MAX = 64;

/** Map nodes an isolate holds (E4 bounds by bytes later): 2,048 nodes are about 16 MiB parsed. */
export const ISOLATE_NODES_MAX = 2048;

/**
 * Nodes one look-up may fetch: host, wildcard, tenant, each of log256 depth; 5 is 10^13 tenants.
 */
export const LOOKUP_FETCHES_MAX = 16;

/** Attestation life (H3): silence of a site is believed for this long. */
export const ATTESTATION_LIFE_MS = 15_000;

/** Pace of attestations (H3). */
export const ATTESTATION_INTERVAL_MS = 2_000;

/** Clocks of agents and edges may differ by this much (H3); more is refused and alarmed. */
export const CLOCK_SKEW_MS = 5_000;

/** Versions remembered for each site to notice that it attested two digests for one (C10). */
export const SIGHTINGS_PER_SITE_MAX = 64;

/** Age at which an isolate refreshes its view in the background (E3). */
export const SOFT_AGE_MS = 2_000;

/**
 * A head older than this makes an isolate ask the next store too: two intervals of attestations,
 * and what the way takes.
 */
export const LAGGING_AGE_MS = 5_000;

/**
 * So long a store whose commits are overtaken by the words that name later ones hands out its head
 * of before, on which isolates can stand: what it lacks usually comes with the next delta. Not
 * longer: isolates must hear that they are behind.
 */
export const OVERTAKEN_HEAD_MS = 1_000;

/** A refresh's mark lapses after this, because nobody may await another request's promise (E3). */
export const REFRESH_MARK_MS = 1_000;

/** How long a cold or expired isolate may try to get verified state before it answers 503 (E3). */
export const COLD_BUDGET_MS = 2_000;

/**
 * What the location's cache gets before the first store is asked too: it answers in less, and a
 * fresh isolate then costs no object call (E1).
 */
export const CACHE_HEAD_START_MS = 20;

/** After this much silence the next store and a gateway are asked too (E3). */
export const RACE_STAGGER_MS = 200;

/** How often a request that waits looks whether another one has brought what it needs. */
export const RACE_TICK_MS = 50;

/**
 * Reads of one store or gateway that an isolate has under way: a herd of cold requests needs the
 * same few texts, so more would only repeat them.
 */
export const READS_PER_SOURCE_MAX = 8;

/** Gateways asked for state by one reader: a dead one and another. */
export const STATE_GATEWAYS_MAX = 2;

/** Answers with state that a gateway has under way; a slow reader holds up to 4 MiB. */
export const STATE_ANSWERS_MAX = 16;

/**
 * Attestations in a response header, in characters (E3): six or so, a threshold of a few sites;
 * proxies and runtimes take 16 KiB of headers.
 */
export const ATTESTATIONS_HEADER_CHARS_MAX = 8 * 1024;

/** How long an isolate asks a store or gateway that failed only after the others. */
export const STORE_PENALTY_MS = 5_000;

/** Life of the head document in the Cache API of a location (E1). */
export const HEAD_CACHE_S = 1;

/**
 * A cached head is good enough up to this age: an isolate looks when its own is over the soft age,
 * the cache keeps one for a second, and words come up to half a second late. With less, every
 * isolate of a location would refuse it at the same moment and ask a store for itself.
 */
export const CACHED_HEAD_AGE_MS = SOFT_AGE_MS + HEAD_CACHE_S * 1_000 + 500;

/** Life of a map node in the Cache API: its name is its digest, so only space limits it. */
export const NODE_CACHE_S = 86_400;

/**
 * Time a store gets in the fan-out of an ingest (E1), and then the isolate to refresh itself:
 * together under what the sender waits (PUSH_TIMEOUT_MS).
 */
export const STORE_INGEST_TIMEOUT_MS = 900;
export const INGEST_REFRESH_MS = 600;

/** Time a store or gateway gets to answer a read: two in a row fit the cold budget. */
export const STORE_READ_TIMEOUT_MS = 600;

/** Hard ages in seconds (E3): default and the most a policy may ask for. */
export const HARD_AGE_S = {
  write: { default: 60, max: 60 },
  read: { default: 300, max: 3_600 },
  revocation: { default: 60, max: 60 },
} as const;

/** Retry-After of refusals that time alone may cure: base and the jitter added to it (S8). */
export const RETRY_AFTER_S = { base: 2, jitter: 4 } as const;

/** Paths longer than this are refused: Workers take 16 KiB of URL. */
export const PATH_BYTES_MAX = 8 * 1024;

/** How long a gateway that knows less than the edge waits for its own state (P3). */
export const GATEWAY_CATCH_UP_MS = 250;

/** What a gateway waits for a service's response headers, and between two chunks of a body. */
export const SERVICE_HEADERS_TIMEOUT_MS = 30_000;
export const SERVICE_IDLE_TIMEOUT_MS = 60_000;
export const SERVICE_DEADLINE_MS = 300_000;

/** Connections of a gateway to one service. */
export const SERVICE_CONNECTIONS_MAX = 256;

/** What the edge waits for a gateway's response headers: a little more than the gateway itself. */
export const GATEWAY_TIMEOUT_MS = 32_000;

/** How often an agent reads its source without being told of a change. */
export const SOURCE_POLL_MS = 500;

/** Time one push to an edge or a peer may take: under the attestation interval, so none pile up. */
export const PUSH_TIMEOUT_MS = 1_800;

/**
 * Answers to a push list stores, counters and receipts: some kilobytes, and after a catch-up ninety
 * receipts of under a kilobyte from each of nine stores.
 */
export const PUSH_ANSWER_BYTES_MAX = 1024 * 1024;

/**
 * Commits that one read of a source returns; the next read goes on from there. Half of the chain,
 * so that what is copied to disk behind it may lag by the other half.
 */
export const COMMITS_PER_READ_MAX = 512;

/**
 * One call to an etcd member: a few round trips between regions. A turn of an agent waits for it,
 * so it stays under the attestation interval.
 */
export const ETCD_CALL_TIMEOUT_MS = 1_500;

/** etcd answers pings that come more often than every 5 s with a goodbye. */
export const ETCD_KEEPALIVE_MS = 10_000;
export const ETCD_KEEPALIVE_TIMEOUT_MS = 3_000;

/** One answer of etcd: a page of the largest commits. gRPC's own 4 MiB loses a longer replay. */
export const ETCD_RECEIVE_BYTES_MAX = 64 * 1024 * 1024;

/** What etcd takes in one request (`--max-request-bytes`); the rest is its own framing. */
export const ETCD_REQUEST_BYTES_MAX = 1536 * 1024;

/**
 * Keys of one page: 64 of the largest commits stay under ETCD_RECEIVE_BYTES_MAX. Where others wrote
 * larger values, it is halved.
 */
export const ETCD_PAGE_KEYS_MAX = 64;

/**
 * Texts that one read of commits, or one sweep, takes in before it ends: what others wrote must
 * neither fill the memory nor hold a turn. One page more may come.
 */
export const ETCD_READ_BYTES_MAX = 32 * 1024 * 1024;

/** Waits between attempts to watch again: the first, and the most. */
export const WATCH_RETRY_MS = { first: 100, most: 1_000 } as const;

/** A watch that has not told of a write by then is taken down: its connection may be half open. */
export const WATCH_LAG_MS = 1_000;

/** Pace of the sweep that compares etcd with the fold, a page at a time. */
export const SWEEP_INTERVAL_MS = 30_000;

/** Keys of one sweep: 32 MiB of the largest records. */
export const SWEEP_KEYS_MAX = 1_024;

/** Keys of the fold that a sweep looks at in one go: a few ms, then requests have their turn. */
export const SWEEP_STRETCH_KEYS = 4_096;

/** Keys known to be changed and not judged yet; beyond it the sweep finds them. */
export const TOUCHED_KEYS_MAX = 4_096;

/** Longer values are read again when they are judged: 4,096 of these are 16 MiB. */
export const TOUCHED_VALUE_CHARS_MAX = 4 * 1024;

/** Findings put right in one turn, and time for them: a flood must not stop the attestations. */
export const REPAIRS_PER_TURN_MAX = 32;
export const REPAIRS_TURN_MS = 1_000;

/** Lines of the log about what strangers send: one a code for this long; each is counted. */
export const STRANGERS_SAID_MS = 60_000;

/** History kept behind the commit that a threshold of sites stands on, in revisions. */
export const COMPACTION_MARGIN = 10_000n;
export const COMPACTION_INTERVAL_MS = 300_000;

/**
 * Commits that an agent without a source takes from a peer, and what they may take in memory until
 * they have led to what others attest: 4 KiB each. Farther behind, it waits for etcd.
 */
export const CATCH_UP_COMMITS_MAX = 16_384;
export const CATCH_UP_BYTES_MAX = 64 * 1024 * 1024;

/**
 * What one peer gets to bring them all: 64 pages between regions. No turn waits for it, but the
 * next peer does.
 */
export const CATCH_UP_PEER_MS = 30_000;

/** Commits written to an agent's own copy in one turn: each is synced to disk. */
export const COPIES_PER_TURN_MAX = 64;

/** A signed request is good for this long: what somebody copied from a wire soon is not. */
export const REQUEST_LIFE_MS = 30_000;

/** Path and query of a signed request: an agent's id, a version. */
export const REQUEST_TARGET_CHARS_MAX = 512;

/** A signed request names a method, a target and a digest. */
export const REQUEST_BYTES_MAX = 1_536;

/** Its header: base64url around the JWS, which is base64url around the payload. */
export const REQUEST_HEADER_CHARS_MAX = 4_096;

/** Body of a proposed commit: base64 and JSON around it take a third more. */
export const COMMIT_BODY_BYTES_MAX = 1_536 * 1024;

/** Body of a question to `explain`: a path of 8 KiB and some words. */
export const EXPLAIN_BODY_BYTES_MAX = 16 * 1024;

/** Commits of one answer; the next one goes on from there. */
export const COMMITS_PER_ANSWER_MAX = 256;

/** Bytes of commits in one answer: some of the largest, or all 256 of a usual size. */
export const COMMITS_ANSWER_BYTES_MAX = 4 * 1024 * 1024;

/** Trust documents of one answer: 64 KiB each. */
export const TRUSTS_PER_ANSWER_MAX = 16;

/** Commits that one answer of `history` tells of: each is parsed for it. */
export const HISTORY_ENTRIES_MAX = 200;

/** Connections of the agents' listener: peers, operators, and what hangs. */
export const API_CONNECTIONS_MAX = 512;

/** Bodies that an agent holds at once: the deltas of some dozens of peers. */
export const API_BODIES_BYTES_MAX = 128 * 1024 * 1024;

/** Header lines of one request to an agent: the signed request is the largest. */
export const API_HEADER_BYTES_MAX = 16 * 1024;

/**
 * What a client of the agents' listener gets for its headers, for the whole request (4 MiB over a
 * slow line) and for taking the answer. A listener that waits for ever is held by who never ends.
 */
export const API_HEADERS_TIMEOUT_MS = 5_000;
export const API_REQUEST_TIMEOUT_MS = 15_000;
export const API_ANSWER_TIMEOUT_MS = 30_000;

/** Body of a published trust document: base64 and JSON around it take a third more. */
export const TRUST_BODY_BYTES_MAX = 96 * 1024;

/** Body of a step: one tenant with all its hosts, in base64. */
export const STEP_BODY_BYTES_MAX = 96 * 1024;

/** Receipts of one store kept in etcd, by number: at one a commit, some days as usual. */
export const RECEIPTS_KEPT = 4_096;

/**
 * Receipts under one number that go at once: as many as a store lost its storage, and few; with the
 * new one they fit a transaction.
 */
export const RECEIPTS_PRUNED_MAX = 64;

/** Receipts written to the source in one turn, and those that wait for one at most. */
export const RECEIPTS_PER_COLLECTION_MAX = 8;
export const RECEIPTS_WAITING_MAX = 1_024;

/**
 * How long a store's head stands still before it leaves it for a history that sites have followed
 * further than a delta carries: longer than agents need to bring the next part.
 */
export const FORK_STILL_MS = 15_000;

/** One page of commits from a peer: 4 MiB between regions. */
export const PEER_COMMITS_TIMEOUT_MS = 5_000;

/**
 * How long an agent keeps superseded pieces, in commits behind the active one: an edge that loses
 * its stores goes on by gateways from the version it stands on. 25 KB each at 100,000 tenants.
 */
export const PIECES_RETENTION_VERSIONS = 64n;
