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

/** Time one push to an edge or a peer may take: under the attestation interval, so none pile up. */
export const PUSH_TIMEOUT_MS = 1_800;

/**
 * Answers to a push list stores, counters and receipts: some kilobytes, and after a catch-up ninety
 * receipts of under a kilobyte from each of nine stores.
 */
export const PUSH_ANSWER_BYTES_MAX = 1024 * 1024;

/** A signed request is good for this long: what somebody copied from a wire soon is not. */
export const REQUEST_LIFE_MS = 30_000;

/** Path and query of a signed request: an agent's id, a version. */
export const REQUEST_TARGET_CHARS_MAX = 512;

/** A signed request names a method, a target and a digest. */
export const REQUEST_BYTES_MAX = 1_536;

/** Its header: base64url around the JWS, which is base64url around the payload. */
export const REQUEST_HEADER_CHARS_MAX = 4_096;

/**
 * How long a store's head stands still before it leaves it for a history that sites have followed
 * further than a delta carries: longer than agents need to bring the next part.
 */
export const FORK_STILL_MS = 15_000;
