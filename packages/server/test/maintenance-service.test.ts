import { etcdApi, services as rpc } from '@quorate/proto';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { createServices } from '../src/api/services.ts';
import type { Member } from '../src/member.ts';
import { call, callBytes } from './support/direct-calls.ts';
import { type RunningMember, runMember } from './support/running-member.ts';

const KV = rpc['etcdserverpb.KV'];
const { Status, Hash, HashKV, Alarm, Defragment } = rpc['etcdserverpb.Maintenance'];
const { MemberList } = rpc['etcdserverpb.Cluster'];

let running: RunningMember;
afterEach(() => running?.stop());

const handlers = () => running.services.handlers;
const text = (value: string) => Uint8Array.from(Buffer.from(value));
const put = (key: string, value: Uint8Array = text('v')) =>
  call(handlers(), KV.Put, { key: text(key), value });
const alarm = (action: number, type: number, memberID: bigint) =>
  call(handlers(), Alarm, { action, alarm: type, memberID });

/** The same member, except that it knows no leader. */
function withoutLeader(member: Member): Member {
  return new Proxy(member, {
    get(target, name) {
      if (name === 'leader') return 0n;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

describe('Status', () => {
  test('sem-189 what a member knows by itself', async () => {
    running = await runMember({ quotaBytes: 64 * 1024 * 1024 });
    const { member } = running;
    await put('a');
    const status = await call(handlers(), Status, {});
    expect(status).toMatchObject({
      header: { revision: 2n, clusterId: member.clusterId, memberId: member.memberId },
      version: '3.7.0',
      storageVersion: '3.7.0',
      leader: member.memberId,
      raftIndex: BigInt(member.committedIndex),
      raftAppliedIndex: BigInt(member.appliedIndex),
      raftTerm: BigInt(member.term),
      isLearner: false,
      errors: [],
      dbSizeQuota: 64n * 1024n * 1024n,
      downgradeInfo: { enabled: false, targetVersion: '' },
    });
    expect(status.dbSize).toBeGreaterThanOrEqual(status.dbSizeInUse);
    expect(status.dbSizeInUse).toBeGreaterThan(0n);
    expect(etcdApi.version).toBe('3.7.0');
  });

  test('sem-190 what is wrong, in words and in the text form of protobuf', async () => {
    running = await runMember();
    await alarm(1, 1, 5n);
    await alarm(1, 2, 2n ** 64n - 1n);
    const { errors } = await call(handlers(), Status, {});
    expect(errors.toSorted()).toEqual([
      'memberID:18446744073709551615 alarm:CORRUPT ',
      'memberID:5 alarm:NOSPACE ',
    ]);
    const leaderless = withoutLeader(running.member);
    const alone = createServices(leaderless);
    try {
      expect((await call(alone.handlers, Status, {})).errors[0]).toBe('etcdserver: no leader');
      await expect(
        call(alone.handlers, KV.Range, { key: text('a') }, { hasleader: 'true' }),
      ).rejects.toMatchObject({
        // sem-007 err-ErrGRPCNoLeader
        status: 14,
        message: 'etcdserver: no leader',
      });
    } finally {
      alone.close();
    }
  });
});

describe('Hash and HashKV', () => {
  test('sem-183 sem-185 revisions that exist, that are gone, that are not yet', async () => {
    running = await runMember();
    for (const key of ['a', 'b', 'c', 'd']) await put(key);
    const whole = await call(handlers(), HashKV, {});
    expect(whole).toMatchObject({ header: { revision: 5n }, compactRevision: -1n, hashRevision: 5n });
    expect(await call(handlers(), HashKV, { revision: 5n })).toEqual(whole);
    const earlier = await call(handlers(), HashKV, { revision: 3n });
    expect(earlier).toMatchObject({ header: { revision: 5n }, hashRevision: 3n });
    expect(earlier.hash).not.toBe(whole.hash);
    await expect(call(handlers(), HashKV, { revision: 6n })).rejects.toMatchObject({
      status: 11,
      message: 'etcdserver: mvcc: required revision is a future revision',
    });
    await expect(call(handlers(), HashKV, { revision: 2n ** 63n - 1n })).rejects.toMatchObject({
      status: 11,
    });
    await call(handlers(), KV.Compact, { revision: 4n });
    await expect(call(handlers(), HashKV, { revision: 3n })).rejects.toMatchObject({
      status: 11,
      message: 'etcdserver: mvcc: required revision has been compacted',
    });
    expect(await call(handlers(), HashKV, { revision: 4n })).toMatchObject({ compactRevision: 4n });
  });

  test('sem-183 a negative revision is before all records', async () => {
    running = await runMember();
    await put('a');
    for (const revision of [-1n, -(2n ** 63n)]) {
      expect(await call(handlers(), HashKV, { revision })).toMatchObject({
        header: { revision: 2n },
        // As etcd 3.4.23 answers: the checksum of "key".
        hash: 1_084_519_789,
        compactRevision: -1n,
        hashRevision: revision,
      });
    }
  });

  test('Hash covers the database, with the revision in its header', async () => {
    running = await runMember();
    await put('a');
    const hash = async () => (await call(handlers(), Hash, {})).hash;
    expect((await call(handlers(), Hash, {})).header?.revision).toBe(2n);
    // The member still publishes its name and version, which is data as well.
    await vi.waitFor(async () => expect(await hash()).toBe(await hash()));
    const before = await hash();
    await put('b');
    expect(await hash()).not.toBe(before);
  });
});

describe('Alarm', () => {
  test('sem-181 sem-182 listing, raising, clearing', async () => {
    running = await runMember();
    const list = async (type = 0, memberID = 0n) => (await alarm(0, type, memberID)).alarms;
    expect(await list()).toEqual([]);
    const raised = { memberID: 7n, alarm: 2 };
    const answer = await alarm(1, 2, 7n);
    expect(answer.alarms).toEqual([raised]);
    expect(answer.header?.memberId).toBe(running.member.memberId);
    expect((await alarm(1, 2, 7n)).alarms).toEqual([raised]);
    expect(await list()).toEqual([raised]);
    expect(await list(2, 12345n)).toEqual([raised]);
    expect(await list(1)).toEqual([]);
    // Neither raises anything: no type, and an action that does not exist.
    expect((await alarm(1, 0, 7n)).alarms).toEqual([]);
    expect((await alarm(9, 1, 7n)).alarms).toEqual([]);
    expect(await list()).toEqual([raised]);
    expect((await alarm(2, 1, 7n)).alarms).toEqual([]);
    expect((await alarm(2, 2, 8n)).alarms).toEqual([]);
    expect((await alarm(2, 2, 7n)).alarms).toEqual([raised]);
    expect((await alarm(2, 2, 7n)).alarms).toEqual([]);
    expect(await list()).toEqual([]);
  });

  test('sem-176 sem-178 sem-179 err-ErrGRPCNoSpace: beyond the quota only what frees space goes on', async () => {
    running = await runMember({ quotaBytes: 2 * 1024 * 1024 });
    const noSpace = { status: 8, message: 'etcdserver: mvcc: database space exceeded' };
    const value = new Uint8Array(256 * 1024);
    let error: unknown = null;
    for (let index = 0; index < 100 && error === null; index++) {
      await put(`q${index}`, value).catch((refusal: unknown) => {
        error = refusal;
      });
    }
    expect(error).toMatchObject(noSpace);
    const alarms = (await alarm(0, 0, 0n)).alarms;
    expect(alarms).toEqual([{ memberID: running.member.memberId, alarm: 1 }]);
    await expect(put('small')).rejects.toMatchObject(noSpace);
    await expect(
      call(handlers(), KV.Txn, { success: [{ requestPut: { key: text('small') } }] }),
    ).rejects.toMatchObject(noSpace);
    // Reading, deleting, compacting and defragmenting go on.
    expect((await call(handlers(), KV.Range, { key: text('q0') })).count).toBe(1n);
    const gone = await call(handlers(), KV.DeleteRange, { key: text('q'), rangeEnd: text('r') });
    expect(gone.deleted).toBeGreaterThan(1n);
    await call(handlers(), KV.Compact, { revision: gone.header!.revision, physical: true });
    await call(handlers(), Defragment, {});
    await expect(put('small')).rejects.toMatchObject(noSpace);
    await alarm(2, 1, running.member.memberId);
    await expect(put('small')).resolves.toBeDefined();
  });

  test('sem-177 what was under way when space ran out is written, and refused all the same', async () => {
    // The size of the database is looked up again after a while: here that while passes with every write.
    let passedMs = 0;
    running = await runMember({ quotaBytes: 2 * 1024 * 1024 }, (world) => ({
      ...world,
      env: { ...world.env, monotonicMs: () => world.env.monotonicMs() + passedMs },
      failpoint(name) {
        if (name === 'afterStoreCommit') passedMs += 50;
      },
    }));
    const value = new Uint8Array(256 * 1024);
    const outcomes = await Promise.allSettled(
      Array.from({ length: 20 }, (_, index) => put(`over${index}`, value)),
    );
    const refused = outcomes.filter(({ status }) => status === 'rejected');
    expect(refused.length).toBeGreaterThan(0);
    for (const one of refused) expect(one).toMatchObject({ reason: { status: 8 } });
    const written = await call(handlers(), KV.Range, {
      key: text('over'),
      rangeEnd: text('ovet'),
      countOnly: true,
    });
    expect(written.count).toBe(20n);
    expect((await alarm(0, 0, 0n)).alarms).toEqual([{ memberID: running.member.memberId, alarm: 1 }]);
  });

  test('sem-180 err-ErrGRPCCorrupt: reads go on when data is in doubt', async () => {
    running = await runMember();
    await put('a');
    await alarm(1, 2, 1n);
    const corrupt = { status: 15, message: 'etcdserver: corrupt cluster' };
    await expect(put('a')).rejects.toMatchObject(corrupt);
    await expect(call(handlers(), KV.DeleteRange, { key: text('a') })).rejects.toMatchObject(corrupt);
    await expect(call(handlers(), KV.Compact, { revision: 2n })).rejects.toMatchObject(corrupt);
    expect((await call(handlers(), KV.Range, { key: text('a') })).count).toBe(1n);
    expect(
      (await call(handlers(), KV.Txn, { success: [{ requestRange: { key: text('a') } }] })).succeeded,
    ).toBe(true);
  });
});

describe('Defragment', () => {
  test('sem-003 sem-081 answers without a header, and the file is smaller', async () => {
    running = await runMember();
    for (let index = 0; index < 40; index++) await put('same', new Uint8Array(100_000).fill(index));
    await call(handlers(), KV.Compact, { revision: BigInt(running.member.store.revision), physical: true });
    await new Promise((resolve) => running.member.store.flush(resolve));
    const before = (await call(handlers(), Status, {})).dbSize;
    const answer = await callBytes(handlers(), Defragment.path, new Uint8Array(0));
    expect(answer).toMatchObject({ status: 0 });
    expect(answer.response).toHaveLength(0);
    expect((await call(handlers(), Status, {})).dbSize).toBeLessThan(before);
    expect((await call(handlers(), KV.Range, { key: text('same') })).count).toBe(1n);
  });
});

describe('MemberList', () => {
  test('sem-003 sem-170 local and linearizable, without a revision', async () => {
    running = await runMember();
    const { member } = running;
    for (const linearizable of [true, false]) {
      const { header, members } = await call(handlers(), MemberList, { linearizable });
      expect(header).toEqual({
        clusterId: member.clusterId,
        memberId: member.memberId,
        revision: 0n,
        raftTerm: BigInt(member.term),
      });
      expect(members).toHaveLength(1);
      expect(members[0]).toMatchObject({
        ID: member.memberId,
        peerURLs: ['http://127.0.0.1:2380'],
        isLearner: false,
      });
    }
  });
});

describe('a member that stops', () => {
  test('err-ErrGRPCStopped: what comes afterwards is told so', async () => {
    running = await runMember();
    await running.member.stop();
    const stopped = { status: 14, message: 'etcdserver: server stopped' };
    await expect(put('a')).rejects.toMatchObject(stopped);
    await expect(call(handlers(), KV.Range, { key: text('a') })).rejects.toMatchObject(stopped);
    await expect(call(handlers(), MemberList, { linearizable: true })).rejects.toMatchObject(stopped);
    await expect(alarm(0, 0, 0n)).rejects.toMatchObject(stopped);
  });

  test('local reads and hashes of a closed store are refused, not thrown', async () => {
    running = await runMember();
    await put('a');
    await running.member.stop();
    for (const attempt of [
      call(handlers(), KV.Range, { key: text('a'), serializable: true }),
      call(handlers(), KV.Txn, { success: [{ requestRange: { key: text('a'), serializable: true } }] }),
      call(handlers(), HashKV, {}),
      call(handlers(), Hash, {}),
      call(handlers(), Defragment, {}),
    ]) {
      await expect(attempt).rejects.toMatchObject({ status: 14, message: 'etcdserver: server stopped' });
    }
  });
});
