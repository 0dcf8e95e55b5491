/**
 * Random requests at the edges: a seed gives the same sequence on every machine.
 *
 * Small worlds find more than large ones, so there are a dozen keys, a few values and leases, and revisions near the
 * current one; every number field now and then gets an end of its type. What etcd 3.4.23 does not survive (unknown
 * sort options) is left to the hand-picked cases.
 */
import { Random } from '@quorate/testing';
import { b, type Fields, INT64_MAX, INT64_MIN } from './build.ts';
import type { Step } from './exchange.ts';

const KEYS = ['a', 'a\0', 'aa', 'ab', 'b', 'b\xff', 'c', 'd', '\0', '\xff', '\xff\xff', 'k/1', 'k/2'];
const ENDS = ['', '\0', 'a', 'b', 'c', 'l', '\xff', '\0\0', 'k0', 'ab\0'];
const VALUES = ['', 'v', 'w', 'vv', '\0', '\xff\xfe', 'x'.repeat(300)];
const LEASES = [1n, 2n, 3n, -4n, INT64_MAX];
const EDGES = [0n, 1n, -1n, 2n, INT64_MAX, INT64_MIN, 9007199254740992n, -9007199254740993n, 4294967296n];

export class Generator {
  readonly #random: Random;

  constructor(seed: number | string) {
    this.#random = new Random(seed, 'differential');
  }

  /** @param revision the current one @param compacted the last compacted one */
  next(revision: bigint, compacted: bigint): Step {
    const random = this.#random;
    const kind = random.weighted({
      range: 26,
      put: 26,
      delete: 8,
      txn: 26,
      compact: 1.5,
      grant: 3,
      revoke: 2,
      timeToLive: 2,
      leases: 0.5,
      hashKv: 2,
    });
    switch (kind) {
      case 'range':
        return { call: 'KV/Range', request: this.#range(revision, compacted) };
      case 'put':
        return { call: 'KV/Put', request: this.#put() };
      case 'delete':
        return { call: 'KV/DeleteRange', request: this.#delete() };
      case 'txn':
        return { call: 'KV/Txn', request: this.#txn(revision, compacted, 2) };
      case 'compact':
        return {
          call: 'KV/Compact',
          request: {
            // Not so far that nothing old is left to read.
            revision: random.chance(0.2) ? this.#edge() : this.#near(revision, compacted, 10),
            physical: random.chance(0.5),
          },
        };
      case 'grant':
        return { call: 'Lease/LeaseGrant', request: { ID: random.pick(LEASES), TTL: this.#ttl() } };
      case 'revoke':
        return { call: 'Lease/LeaseRevoke', request: { ID: this.#lease() } };
      case 'timeToLive':
        return { call: 'Lease/LeaseTimeToLive', request: { ID: this.#lease(), keys: random.chance(0.7) } };
      case 'leases':
        return { call: 'Lease/LeaseLeases', request: {} };
      case 'hashKv':
        return {
          call: 'Maintenance/HashKV',
          request: { revision: random.chance(0.5) ? 0n : this.#near(revision, compacted, 3) },
        };
    }
  }

  #edge(): bigint {
    return this.#random.pick(EDGES);
  }

  /** Mostly a revision that can be read, sometimes one around the borders. */
  #near(revision: bigint, compacted: bigint, border: number): bigint {
    const random = this.#random;
    const low = compacted < 0n ? 0n : compacted;
    const draw = random.weighted({ between: 6, compacted: 1, current: 1 });
    if (draw === 'compacted') return low + BigInt(random.between(-2, 2));
    if (draw === 'current') return revision + BigInt(random.between(-border, 2));
    const span = revision - low;
    return low + (span > 0n ? BigInt(random.int(Number(span))) : 0n);
  }

  #key(): Uint8Array {
    return b(this.#random.chance(0.01) ? '' : this.#random.pick(KEYS));
  }

  #span(): Fields {
    const random = this.#random;
    return random.chance(0.45) ? { key: this.#key() } : { key: this.#key(), rangeEnd: b(random.pick(ENDS)) };
  }

  #lease(): bigint {
    return this.#random.chance(0.1) ? this.#edge() : this.#random.pick(LEASES);
  }

  /** Long enough that nothing expires during a run. */
  #ttl(): bigint {
    return this.#random.pick([600n, 3600n, 9000000000n, 9000000001n, INT64_MAX]);
  }

  /** Sometimes sets a number field, usually leaves it out. */
  #maybe(name: string, probability: number, value: () => bigint): Fields {
    return this.#random.chance(probability) ? { [name]: value() } : {};
  }

  #flag(name: string, probability: number): Fields {
    return this.#random.chance(probability) ? { [name]: true } : {};
  }

  #range(revision: bigint, compacted: bigint): Fields {
    const random = this.#random;
    const near = () => (random.chance(0.2) ? this.#edge() : this.#near(revision, compacted, 3));
    return {
      ...this.#span(),
      ...this.#maybe('limit', 0.3, () => (random.chance(0.2) ? this.#edge() : BigInt(random.between(1, 5)))),
      ...this.#maybe('revision', 0.35, near),
      ...(random.chance(0.3) ? { sortOrder: random.int(3) } : {}),
      ...(random.chance(0.3) ? { sortTarget: random.int(5) } : {}),
      ...this.#flag('serializable', 0.2),
      ...this.#flag('keysOnly', 0.15),
      ...this.#flag('countOnly', 0.15),
      ...this.#maybe('minModRevision', 0.08, near),
      ...this.#maybe('maxModRevision', 0.08, near),
      ...this.#maybe('minCreateRevision', 0.08, near),
      ...this.#maybe('maxCreateRevision', 0.08, near),
    };
  }

  #put(): Fields {
    const random = this.#random;
    const ignoreValue = random.chance(0.08);
    const ignoreLease = random.chance(0.08);
    return {
      key: this.#key(),
      ...(ignoreValue && random.chance(0.8) ? {} : { value: b(random.pick(VALUES)) }),
      ...(random.chance(ignoreLease ? 0.1 : 0.3) ? { lease: this.#lease() } : {}),
      ...this.#flag('prevKv', 0.3),
      ...(ignoreValue ? { ignoreValue } : {}),
      ...(ignoreLease ? { ignoreLease } : {}),
    };
  }

  #delete(): Fields {
    return { ...this.#span(), ...this.#flag('prevKv', 0.4) };
  }

  #txn(revision: bigint, compacted: bigint, depth: number): Fields {
    const random = this.#random;
    const list = <T>(most: number, make: () => T): T[] => Array.from({ length: random.int(most + 1) }, make);
    return {
      compare: list(2, () => this.#compare(revision)),
      success: list(4, () => this.#operation(revision, compacted, depth)),
      failure: list(3, () => this.#operation(revision, compacted, depth)),
    };
  }

  #operation(revision: bigint, compacted: bigint, depth: number): Fields {
    const kind = this.#random.weighted({ range: 4, put: 5, delete: 2, txn: depth > 0 ? 1.5 : 0, none: 0.03 });
    switch (kind) {
      case 'range':
        return { requestRange: this.#range(revision, compacted) };
      case 'put':
        return { requestPut: this.#put() };
      case 'delete':
        return { requestDeleteRange: this.#delete() };
      case 'txn':
        return { requestTxn: this.#txn(revision, compacted, depth - 1) };
      case 'none':
        return {};
    }
  }

  #compare(revision: bigint): Fields {
    const random = this.#random;
    const number = () =>
      random.chance(0.15)
        ? this.#edge()
        : random.chance(0.5)
          ? BigInt(random.int(4))
          : revision - BigInt(random.int(8));
    const member = random.pick([
      'version',
      'createRevision',
      'modRevision',
      'value',
      'lease',
      'none',
    ] as const);
    const fitting = {
      version: 0,
      createRevision: 1,
      modRevision: 2,
      value: 3,
      lease: 4,
      none: random.int(5),
    }[member];
    return {
      ...(random.chance(0.75) ? { key: this.#key() } : this.#span()),
      result: random.chance(0.03) ? random.pick([-1, 4, 99]) : random.int(4),
      target: random.chance(0.93) ? fitting : random.pick([0, 1, 2, 3, 4, 5, -1, 99]),
      ...(member === 'none' ? {} : { [member]: member === 'value' ? b(random.pick(VALUES)) : number() }),
    };
  }
}
