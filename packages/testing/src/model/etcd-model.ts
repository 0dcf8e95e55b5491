/**
 * The key-value store as a person would write it in an afternoon: what the real one is compared with.
 *
 * One immutable map per revision, every answer computed the slow and obvious way. Two things matter: that it can be read
 * against etcd's documentation line by line, and that it shares no code with what it checks. Operations have the shape of
 * the server's `Operation`, so that both sides take the same objects; keys and values are kept as latin-1 text, which
 * orders like bytes.
 *
 * `apply` is for what goes through the log, `range` for reads. A refusal leaves the model as it was. Limits of the request
 * (sizes, counts, duplicate keys in a txn) are judged before an operation gets here.
 */

export interface ModelKeyValue {
  readonly key: string;
  readonly value: string;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
  readonly lease: bigint;
}

export interface ModelRange {
  readonly kind: 'range';
  readonly key: Uint8Array;
  readonly rangeEnd: Uint8Array;
  readonly limit: number;
  readonly revision: number;
  readonly sortOrder: number;
  readonly sortTarget: number;
  readonly keysOnly: boolean;
  readonly countOnly: boolean;
  readonly minModRevision: number;
  readonly maxModRevision: number;
  readonly minCreateRevision: number;
  readonly maxCreateRevision: number;
}

export interface ModelPut {
  readonly kind: 'put';
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly lease: bigint;
  readonly prevKv: boolean;
  readonly ignoreValue: boolean;
  readonly ignoreLease: boolean;
}

export interface ModelDeleteRange {
  readonly kind: 'delete-range';
  readonly key: Uint8Array;
  readonly rangeEnd: Uint8Array;
  readonly prevKv: boolean;
}

export interface ModelCompare {
  readonly result: number;
  readonly target: number;
  readonly key: Uint8Array;
  readonly rangeEnd: Uint8Array;
  readonly number: bigint;
  readonly value: Uint8Array;
}

export interface ModelTxn {
  readonly kind: 'txn';
  readonly compare: readonly ModelCompare[];
  readonly success: readonly ModelStep[];
  readonly failure: readonly ModelStep[];
}

export type ModelStep = ModelRange | ModelPut | ModelDeleteRange | ModelTxn | { readonly kind: 'none' };

export type ModelOperation =
  | ModelPut
  | ModelDeleteRange
  | ModelTxn
  | { readonly kind: 'compact'; readonly revision: number }
  | { readonly kind: 'lease-grant'; readonly id: bigint; readonly ttlSec: number }
  | { readonly kind: 'lease-revoke'; readonly id: bigint };

export type ModelOutcome =
  | {
      readonly kind: 'range';
      readonly kvs: readonly ModelKeyValue[];
      readonly count: number;
      readonly more: boolean;
      readonly revision: number;
    }
  | { readonly kind: 'put'; readonly revision: number; readonly previous: ModelKeyValue | null }
  | {
      readonly kind: 'delete-range';
      readonly revision: number;
      readonly deleted: number;
      readonly previous: readonly ModelKeyValue[];
    }
  | {
      readonly kind: 'txn';
      readonly revision: number;
      readonly succeeded: boolean;
      readonly responses: readonly ModelOutcome[];
    }
  | { readonly kind: 'compact'; readonly revision: number }
  | { readonly kind: 'lease-grant'; readonly id: bigint; readonly ttlSec: number }
  | { readonly kind: 'done' };

export type ModelResult = { readonly outcome: ModelOutcome } | { readonly error: string };

type KeyValues = ReadonlyMap<string, ModelKeyValue>;

class Refusal extends Error {}

/** The keys while one operation works on them; `changed` decides whether a revision is taken. */
interface Draft {
  kvs: Map<string, ModelKeyValue>;
  changed: boolean;
}

export class EtcdModel {
  /** Of the newest write; 1 before the first. */
  revision = 1;
  /** Reads below it fail; -1 before the first compaction. */
  compactRevision = -1;
  /** Id to TTL in seconds. */
  readonly leases = new Map<bigint, number>();
  /** The keys at each revision. */
  readonly #history = new Map<number, KeyValues>([[1, new Map()]]);

  /** A model that begins in the middle: `states` holds the keys at `revision` and at those older ones that will be read. */
  static at(revision: number, states: ReadonlyMap<number, ReadonlyMap<string, ModelKeyValue>>): EtcdModel {
    const model = new EtcdModel();
    model.revision = revision;
    for (const [at, kvs] of states) model.#history.set(at, kvs);
    return model;
  }

  /** An independent copy; what the two share is never changed. */
  fork(): EtcdModel {
    const copy = EtcdModel.at(this.revision, this.#history);
    copy.compactRevision = this.compactRevision;
    for (const [id, ttlSec] of this.leases) copy.leases.set(id, ttlSec);
    return copy;
  }

  apply(operation: ModelOperation): ModelResult {
    try {
      return { outcome: this.#run(operation) };
    } catch (error) {
      if (error instanceof Refusal) return { error: error.message };
      throw error;
    }
  }

  /** A stand-alone read. */
  range(request: ModelRange): ModelResult {
    if (request.revision > this.revision) return { error: 'FUTURE_REVISION' };
    const at = request.revision <= 0 ? this.revision : request.revision;
    if (at < this.compactRevision) return { error: 'COMPACTED' };
    return { outcome: rangeOf(this.#at(at), request, this.revision) };
  }

  /** Every key now, in order. */
  keyValues(): readonly ModelKeyValue[] {
    return inOrder(this.#at(this.revision));
  }

  leaseKeys(id: bigint): readonly string[] {
    return this.keyValues()
      .filter((kv) => kv.lease === id)
      .map((kv) => kv.key);
  }

  #at(revision: number): KeyValues {
    const kvs = this.#history.get(revision);
    if (kvs === undefined) throw new Error(`the model has no revision ${revision}`);
    return kvs;
  }

  #run(operation: ModelOperation): ModelOutcome {
    switch (operation.kind) {
      case 'put':
        if (operation.lease !== 0n && !this.leases.has(operation.lease)) throw new Refusal('LEASE_NOT_FOUND');
        return this.#write((draft) => this.#put(draft, operation));
      case 'delete-range':
        return this.#write((draft) => this.#delete(draft, operation));
      case 'txn':
        return this.#txn(operation);
      case 'compact':
        if (operation.revision <= this.compactRevision) throw new Refusal('COMPACTED');
        if (operation.revision > this.revision) throw new Refusal('FUTURE_REVISION');
        this.compactRevision = operation.revision;
        return { kind: 'compact', revision: this.revision };
      case 'lease-grant':
        if (this.leases.has(operation.id)) throw new Refusal('LEASE_EXIST');
        this.leases.set(operation.id, operation.ttlSec);
        return { kind: 'lease-grant', id: operation.id, ttlSec: operation.ttlSec };
      case 'lease-revoke':
        if (!this.leases.delete(operation.id)) throw new Refusal('LEASE_NOT_FOUND');
        return this.#write((draft) => {
          for (const kv of inOrder(draft.kvs)) {
            if (kv.lease !== operation.id) continue;
            draft.kvs.delete(kv.key);
            draft.changed = true;
          }
          return { kind: 'done' };
        });
    }
  }

  /** Runs `work` on a copy of the newest keys; the copy becomes the next revision when something changed. */
  #write<T extends ModelOutcome>(work: (draft: Draft) => T): T {
    const draft: Draft = { kvs: new Map(this.#at(this.revision)), changed: false };
    const outcome = work(draft);
    if (draft.changed) {
      this.revision++;
      this.#history.set(this.revision, draft.kvs);
    }
    return outcome;
  }

  #put(draft: Draft, put: ModelPut): ModelOutcome {
    const key = text(put.key);
    const present = draft.kvs.get(key) ?? null;
    if ((put.ignoreValue || put.ignoreLease) && present === null) throw new Refusal('KEY_NOT_FOUND');
    const revision = this.revision + 1;
    draft.changed = true;
    draft.kvs.set(key, {
      key,
      value: put.ignoreValue ? present!.value : text(put.value),
      createRevision: present?.createRevision ?? revision,
      modRevision: revision,
      version: (present?.version ?? 0) + 1,
      lease: put.ignoreLease ? present!.lease : put.lease,
    });
    return { kind: 'put', revision, previous: put.prevKv ? present : null };
  }

  #delete(draft: Draft, operation: ModelDeleteRange): ModelOutcome {
    const victims = inOrder(draft.kvs).filter((kv) => isWithin(kv.key, operation.key, operation.rangeEnd));
    for (const kv of victims) draft.kvs.delete(kv.key);
    if (victims.length > 0) draft.changed = true;
    return {
      kind: 'delete-range',
      revision: this.#seen(draft),
      deleted: victims.length,
      previous: operation.prevKv ? victims : [],
    };
  }

  #txn(txn: ModelTxn): ModelOutcome {
    const before = this.#at(this.revision);
    const taken = branches(before, txn);
    const steps = [...stepsOf(txn, taken)];
    for (const step of steps) if (step.kind === 'put') this.#checkPut(before, step);
    for (const step of steps) if (step.kind === 'range') this.#checkRange(step);
    return this.#write((draft) => {
      const outcome = this.#runTxn(draft, txn, taken);
      return { ...outcome, revision: this.#seen(draft) };
    });
  }

  #runTxn(draft: Draft, txn: ModelTxn, taken: ReadonlyMap<ModelTxn, boolean>): ModelOutcome {
    const succeeded = taken.get(txn)!;
    const responses: ModelOutcome[] = [];
    for (const step of succeeded ? txn.success : txn.failure) {
      if (step.kind === 'put') responses.push(this.#put(draft, step));
      else if (step.kind === 'delete-range') responses.push(this.#delete(draft, step));
      else if (step.kind === 'txn') responses.push(this.#runTxn(draft, step, taken));
      else if (step.kind === 'range') {
        const old = step.revision > 0 && step.revision <= this.revision;
        responses.push(rangeOf(old ? this.#at(step.revision) : draft.kvs, step, this.#seen(draft)));
      }
    }
    return { kind: 'txn', revision: 0, succeeded, responses };
  }

  #checkPut(before: KeyValues, put: ModelPut): void {
    if ((put.ignoreValue || put.ignoreLease) && !before.has(text(put.key)))
      throw new Refusal('KEY_NOT_FOUND');
    if (put.lease !== 0n && !this.leases.has(put.lease)) throw new Refusal('LEASE_NOT_FOUND');
  }

  #checkRange(range: ModelRange): void {
    if (range.revision === 0) return;
    if (range.revision > this.revision) throw new Refusal('FUTURE_REVISION');
    if (range.revision < this.compactRevision) throw new Refusal('COMPACTED');
  }

  /** What a reader within the operation calls the current revision. */
  #seen(draft: Draft): number {
    return draft.changed ? this.revision + 1 : this.revision;
  }
}

/** Which branch every txn takes, nested ones on the way included: all decided on the state before. */
function branches(before: KeyValues, txn: ModelTxn): Map<ModelTxn, boolean> {
  const succeeded = txn.compare.every((compare) => holds(before, compare));
  const taken = new Map([[txn, succeeded]]);
  for (const step of succeeded ? txn.success : txn.failure) {
    if (step.kind === 'txn') for (const [nested, way] of branches(before, step)) taken.set(nested, way);
  }
  return taken;
}

function* stepsOf(txn: ModelTxn, taken: ReadonlyMap<ModelTxn, boolean>): Generator<ModelStep> {
  for (const step of taken.get(txn) ? txn.success : txn.failure) {
    if (step.kind === 'txn') yield* stepsOf(step, taken);
    else yield step;
  }
}

function holds(kvs: KeyValues, compare: ModelCompare): boolean {
  const found = inOrder(kvs).filter((kv) => isWithin(kv.key, compare.key, compare.rangeEnd));
  if (found.length === 0) return compare.target !== 3 && verdict(compare, null);
  return found.every((kv) => verdict(compare, kv));
}

function verdict(compare: ModelCompare, kv: ModelKeyValue | null): boolean {
  const [left, right] = operands(compare, kv);
  switch (compare.result) {
    case 0:
      return left === right;
    case 1:
      return left > right;
    case 2:
      return left < right;
    case 3:
      return left !== right;
    default:
      return true;
  }
}

function operands(compare: ModelCompare, kv: ModelKeyValue | null): [bigint, bigint] | [string, string] {
  switch (compare.target) {
    case 0:
      return [BigInt(kv?.version ?? 0), compare.number];
    case 1:
      return [BigInt(kv?.createRevision ?? 0), compare.number];
    case 2:
      return [BigInt(kv?.modRevision ?? 0), compare.number];
    case 3:
      return [kv?.value ?? '', text(compare.value)];
    case 4:
      return [kv?.lease ?? 0n, compare.number];
    default:
      return [0n, 0n];
  }
}

function rangeOf(kvs: KeyValues, request: ModelRange, revision: number): ModelOutcome {
  const all = inOrder(kvs).filter((kv) => isWithin(kv.key, request.key, request.rangeEnd));
  const count = all.length;
  if (request.countOnly) return { kind: 'range', kvs: [], count, more: false, revision };
  const limit = request.limit > 0 ? request.limit : Number.POSITIVE_INFINITY;
  const bounds = [
    ['modRevision', request.minModRevision, request.maxModRevision],
    ['createRevision', request.minCreateRevision, request.maxCreateRevision],
  ] as const;
  const filtered = bounds.some(([, low, high]) => low !== 0 || high !== 0);
  // Without order and filters, the store is asked for one more than the limit, and what it gives is sorted.
  let found = request.sortOrder === 0 && !filtered ? all.slice(0, limit + 1) : all;
  for (const [field, low, high] of bounds) {
    found = found.filter((kv) => (low === 0 || kv[field] >= low) && (high === 0 || kv[field] <= high));
  }
  const order = request.sortOrder === 0 && request.sortTarget !== 0 ? 1 : request.sortOrder;
  if (order !== 0)
    found = found.toSorted((a, b) => bySortTarget(request.sortTarget, a, b) * (order === 2 ? -1 : 1));
  const more = found.length > limit;
  found = found.slice(0, limit);
  if (request.keysOnly) {
    found = found.map((kv) => ({ ...kv, value: '', lease: request.sortTarget === 4 ? kv.lease : 0n }));
  }
  return { kind: 'range', kvs: found, count, more, revision };
}

function bySortTarget(target: number, a: ModelKeyValue, b: ModelKeyValue): number {
  const fields = ['key', 'version', 'createRevision', 'modRevision', 'value'] as const;
  const field = fields[target];
  if (field === undefined || a[field] === b[field]) return 0;
  return a[field] < b[field] ? -1 : 1;
}

function inOrder(kvs: KeyValues): ModelKeyValue[] {
  return [...kvs.values()].sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
}

/** An empty end: the one key. One zero byte: from the key on. Otherwise up to the end, without it. */
function isWithin(key: string, from: Uint8Array, end: Uint8Array): boolean {
  if (end.length === 0) return key === text(from);
  if (key < text(from)) return false;
  return (end.length === 1 && end[0] === 0) || key < text(end);
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1');
}
